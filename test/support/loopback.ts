// Makes a process refuse every address that is not loopback, and every look-up of a name but localhost.
// A vitest setup file; test/support/larder.ts also loads it into the program under test (`--import`), hence no vitest here.

import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

/** Thrown (or handed to the callback) in place of a connection or look-up. */
class NotLoopbackError extends Error {
  override readonly name = 'NotLoopbackError';
  readonly code = 'ENOTLOOPBACK';

  constructor(wanted: string) {
    super(
      `Tests talk to loopback only, and this one tried to ${wanted}. Point it at a server of the test's own.`,
    );
  }
}

const loopback = new net.BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');
loopback.addSubnet('::ffff:127.0.0.0', 104, 'ipv6');

/** Whether connecting to this host, a name or an address in any spelling, stays on this machine. */
function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  const family = net.isIP(bare);
  if (family === 0) return bare === 'localhost';
  return loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6');
}

/** The host of a `connect` call in any of its shapes; undefined for a Unix socket. A port alone means localhost. */
function hostOf(args: unknown[]): string | undefined {
  const first: unknown = Array.isArray(args[0]) ? (args[0] as unknown[])[0] : args[0];
  if (typeof first === 'object' && first !== null) {
    if ('path' in first && typeof first.path === 'string') return undefined;
    return 'host' in first && typeof first.host === 'string' ? first.host : 'localhost';
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return undefined;
  return typeof args[1] === 'string' ? args[1] : 'localhost';
}

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;

/** Replaces a function by one that refuses names and addresses of elsewhere. */
function guard(
  owner: object,
  name: string,
  refuse: (error: Error, args: unknown[]) => unknown,
): void {
  const original = Reflect.get(owner, name) as AnyFunction;
  const guarded: AnyFunction = function (...args) {
    const host = String(args[0]);
    // a look-up of an address asks nobody; `listen` does it with every host
    const address = name === 'lookup' && net.isIP(host) !== 0;
    if (address || isLoopback(host)) return original.apply(this, args);
    return refuse(new NotLoopbackError(`look up ${JSON.stringify(host)} (dns.${name})`), args);
  };
  // keeps util.promisify(dns.lookup) guarded too
  for (const key of Object.getOwnPropertySymbols(original)) {
    const custom: unknown = Reflect.get(original, key);
    if (typeof custom === 'function') Reflect.set(guarded, key, Reflect.get(dns.promises, name));
  }
  Reflect.set(owner, name, guarded);
}

function refuseByCallback(error: Error, args: unknown[]): unknown {
  const callback = args.at(-1);
  if (typeof callback !== 'function') throw error;
  process.nextTick(callback, error);
  return {};
}

const lookups = [
  'lookup',
  'resolve',
  'resolve4',
  'resolve6',
  'resolveAny',
  'resolveCname',
  'resolveSrv',
  'resolveTxt',
];
for (const name of lookups) {
  guard(dns.promises, name, (error) => Promise.reject(error));
  guard(dns, name, refuseByCallback);
}

const connect = Reflect.get(net.Socket.prototype, 'connect') as AnyFunction;
const guardedConnect: AnyFunction = function (...args) {
  const host = hostOf(args);
  if (host === undefined || isLoopback(host)) return connect.apply(this, args);
  const error = new NotLoopbackError(`connect to ${host}`);
  // not at once: tls.connect goes on to set its socket up
  process.nextTick(() => (this as net.Socket).destroy(error));
  return this;
};
Reflect.set(net.Socket.prototype, 'connect', guardedConnect);
syncBuiltinESMExports();
