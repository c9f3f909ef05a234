// Token servers: which ones may be asked at all, and which of them may see an upstream's credentials.

import { getDomain } from 'tldts';
import { LarderError } from '../engine/errors.ts';
import { refuseInner } from '../http/redirect.ts';
import type { OciUpstream } from './upstreams.ts';

/** Token servers outside an upstream's own domain that may get its credentials: hosts by the upstream's name. */
export type Realms = ReadonlyMap<string, ReadonlySet<string>>;

/** The realm of a challenge as a URL. Throws LarderError `upstream_failed` for what is none, or would leave https. */
export function parseRealm(upstream: OciUpstream, realm: string | undefined): URL {
  const url = URL.parse(realm ?? '');
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new LarderError(
      'upstream_failed',
      `${upstream.url.host} asks for a token from something that is no http or https URL`,
    );
  }
  if (upstream.url.protocol === 'https:' && url.protocol === 'http:') {
    throw new LarderError(
      'upstream_failed',
      `${upstream.url.host} sends for a token from https to http, which is refused`,
    );
  }
  // credentials are the settings' business
  url.username = '';
  url.password = '';
  url.hash = '';
  return url;
}

/** Throws LarderError `upstream_failed` for a token server where no upstream, or not this one, may send Larder. */
export const refuseInnerRealm = (upstream: OciUpstream, realm: URL): Promise<void> =>
  refuseInner(upstream.url, realm, 'sends for a token');

/** Whether this token server may get the upstream's credentials. A host that is listed without a port is meant on any. */
export function mayGetCredentials(upstream: OciUpstream, realm: URL, realms: Realms): boolean {
  if (isOwnDomain(upstream.url.hostname, realm.hostname)) return true;
  const listed = realms.get(upstream.name);
  return listed !== undefined && (listed.has(realm.host) || listed.has(realm.hostname));
}

/** The same registrable domain; for an address, or a name that has none, the same host. */
function isOwnDomain(upstream: string, realm: string): boolean {
  if (upstream === realm) return true;
  // whoever hosts at a shared suffix such as github.io is a domain apart
  const domain = getDomain(upstream, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(realm, { allowPrivateDomains: true });
}
