// Credentials in the format of Docker's config.json, as `docker login` and kubernetes.io/dockerconfigjson secrets have it.

import { LarderError } from '../engine/errors.ts';
import { DOCKER_HUB, type OciUpstream } from './upstreams.ts';

/** A password, or a token that stands for one (`identitytoken`). */
export type Credential =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'identity'; readonly token: string };

/** By host[:port], lower case; Docker Hub by its name. */
export type Credentials = ReadonlyMap<string, Credential>;

/** Throws LarderError `invalid` with a sentence in which there is no secret. */
export function parseAuthFile(text: string): Credentials {
  const found = new Map<string, Credential>();
  for (const [key, entry] of Object.entries(authsOf(text))) {
    const credential = credentialOf(key, entry);
    // an empty entry means that a helper has it, which is not here
    if (credential) found.set(hostOf(key), credential);
  }
  return found;
}

/** What an upstream gets: the entry by its name counts before the one by the host of its URL. */
export const credentialFor = (
  credentials: Credentials,
  { name, url }: OciUpstream,
): Credential | undefined => credentials.get(name) ?? credentials.get(url.host);

function authsOf(text: string): Record<string, unknown> {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch {
    throw new LarderError('invalid', 'it is no JSON');
  }
  const auths = isObject(file) ? file['auths'] : undefined;
  if (isObject(auths)) return auths;
  throw new LarderError('invalid', `it has no "auths", as Docker's config.json has`);
}

function credentialOf(key: string, entry: unknown): Credential | undefined {
  if (!isObject(entry)) throw new LarderError('invalid', `the entry of ${key} is no object`);
  const { auth, username, password, identitytoken } = entry;
  if (typeof identitytoken === 'string' && identitytoken !== '') {
    return { kind: 'identity', token: identitytoken };
  }
  if (typeof username === 'string' && typeof password === 'string' && username !== '') {
    return { kind: 'password', user: username, password };
  }
  if (typeof auth !== 'string' || auth === '') return undefined;
  const pair = Buffer.from(auth, 'base64').toString();
  const colon = pair.indexOf(':');
  if (colon > 0) {
    return { kind: 'password', user: pair.slice(0, colon), password: pair.slice(colon + 1) };
  }
  throw new LarderError('invalid', `the "auth" of ${key} is not user:password in base64`);
}

/** Docker writes keys as hosts, as URLs, and Docker Hub's as `https://index.docker.io/v1/`. */
function hostOf(key: string): string {
  const host = key
    .replace(/^https?:\/\//i, '')
    .replace(/\/.*$/, '')
    .toLowerCase();
  return host === 'index.docker.io' || host === 'registry-1.docker.io' ? DOCKER_HUB : host;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
