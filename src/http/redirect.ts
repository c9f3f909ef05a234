// Where a redirect may lead: never from https to http, never to a link-local address, to a private or loopback one only
// from an upstream that is on such itself; credentials stay with the origin that they are for.

import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { LarderError } from '../engine/errors.ts';

const linkLocal = ranges(['169.254.0.0', 16, 'ipv4'], ['fe80::', 10, 'ipv6']);
const inner = ranges(
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['::', 127, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
);

/** The next URL and the headers that may go there. Throws LarderError `upstream_failed`. */
export async function nextHop(
  from: URL,
  location: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ url: URL; headers: Readonly<Record<string, string>> }> {
  const url = URL.parse(location, from);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw refused(from, 'to something that is no http or https URL');
  }
  if (from.protocol === 'https:' && url.protocol === 'http:')
    throw refused(from, 'from https to http');
  if (url.origin === from.origin) {
    if (url.username === '') [url.username, url.password] = [from.username, from.password];
    return { url, headers };
  }
  await refuseInner(from, url, 'redirects');
  const rest = Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization');
  return { url, headers: Object.fromEntries(rest) };
}

/**
 * Whether the server at `from` may send Larder to `to`: not to a link-local address, nor to a private or loopback one
 * unless it is on such itself. `does`: how it sends there, for the sentence. Throws LarderError `upstream_failed`.
 */
export async function refuseInner(from: URL, to: URL, does: string): Promise<void> {
  const targets = await addresses(to.hostname);
  if (targets.some((address) => within(linkLocal, address)))
    throw refused(from, 'to a link-local address', does);
  if (!targets.some((address) => within(inner, address))) return;
  const own = await addresses(from.hostname);
  if (!own.some((address) => within(inner, address)))
    throw refused(from, 'to a private address', does);
}

async function addresses(hostname: string): Promise<string[]> {
  const bare = hostname.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0) return [bare];
  // a name that does not resolve is told by the connection itself
  return lookup(bare, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );
}

function within(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function ranges(...subnets: [string, number, 'ipv4' | 'ipv6'][]): BlockList {
  const list = new BlockList();
  for (const [address, prefix, family] of subnets) list.addSubnet(address, prefix, family);
  return list;
}

const refused = (from: URL, where: string, does = 'redirects') =>
  new LarderError('upstream_failed', `${from.host} ${does} ${where}, which is refused`);
