// LARDER_REDIS_URL: one server, a master that sentinels name, or a cluster.

import { LarderError } from '../engine/errors.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, and as whom. */
export interface RedisTarget {
  readonly username?: string;
  readonly password?: string;
  /** Number of the database. */
  readonly db: number;
  readonly tls: boolean;
  readonly kind:
    | { readonly name: 'single'; readonly address: RedisAddress }
    | {
        readonly name: 'sentinel';
        readonly sentinels: readonly RedisAddress[];
        readonly master: string;
      }
    | { readonly name: 'cluster'; readonly nodes: readonly RedisAddress[] };
}

const GRAMMAR =
  'it is written redis://[user:password@]host:port[/db], rediss://…, ' +
  'redis+sentinel://[user:password@]host:port,host:port/master[/db] or redis+cluster://[user:password@]host:port,host:port';
const PATTERN =
  /^(rediss?|redis\+sentinel|redis\+cluster):\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^?#]*))?$/;
const PORTS = { redis: 6379, rediss: 6379, 'redis+sentinel': 26_379, 'redis+cluster': 6379 };

/** Throws LarderError `invalid`; its sentence does not repeat the value, which may hold a password. */
export function parseRedisUrl(text: string): RedisTarget {
  const [, scheme = '', login, hosts = '', path = ''] = PATTERN.exec(text) ?? [];
  if (!isScheme(scheme)) throw invalid(GRAMMAR);
  const addresses = hosts.split(',').map((host) => addressOf(host, PORTS[scheme]));
  const words = path === '' ? [] : path.split('/');
  const [first] = addresses;
  const shared = { ...loginOf(login), tls: scheme === 'rediss' };
  if (scheme === 'redis+cluster') {
    if (words.length > 0) throw invalid('a cluster has no path: it has one database');
    return { ...shared, db: 0, kind: { name: 'cluster', nodes: addresses } };
  }
  if (scheme === 'redis+sentinel') {
    const [master, db, ...more] = words;
    if (master === undefined || more.length > 0)
      throw invalid('after the sentinels comes the name of their master, then a database if any');
    const kind = { name: 'sentinel', sentinels: addresses, master } as const;
    return { ...shared, db: databaseOf(db), kind };
  }
  const [db, ...more] = words;
  if (first === undefined || addresses.length > 1 || more.length > 0) throw invalid(GRAMMAR);
  return { ...shared, db: databaseOf(db), kind: { name: 'single', address: first } };
}

const invalid = (why: string) => new LarderError('invalid', why);

const isScheme = (text: string): text is keyof typeof PORTS => Object.hasOwn(PORTS, text);

function addressOf(text: string, defaultPort: number): RedisAddress {
  const [, six, name, port] =
    /^(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = six ?? name;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number === 0 || number > 65_535) throw invalid(GRAMMAR);
  return { host, port: number };
}

function databaseOf(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,5}$/.test(text)) throw invalid('a database is a number, such as /0');
  return Number(text);
}

function loginOf(text: string | undefined): { username?: string; password?: string } {
  if (text === undefined) return {};
  const colon = text.indexOf(':');
  if (colon === -1) throw invalid('a login is written user:password, or :password');
  let username: string;
  let password: string;
  try {
    username = decodeURIComponent(text.slice(0, colon));
    password = decodeURIComponent(text.slice(colon + 1));
  } catch {
    throw invalid('user and password are percent-encoded, and these cannot be decoded');
  }
  return username === '' ? { password } : { username, password };
}
