// The registries that Larder stands in front of, and which of them a request means.

import { LarderError } from '../engine/errors.ts';

export interface OciUpstream {
  /** As images are named by: `docker.io`, `ghcr.io`, `registry.example.com:5000`. Lower case. */
  readonly name: string;
  /** Where its API is, without a slash at its end. */
  readonly url: URL;
}

/** A repository of one upstream. */
export interface Repository {
  readonly upstream: OciUpstream;
  /** As the upstream calls it. */
  readonly path: string;
  /** Where a rule says that it comes from, in place of the upstream's own address. */
  readonly from?: URL | undefined;
  /** When the request came that means it, by `performance.now`. */
  readonly askedAt?: number;
}

/** What a repository is called, whether its upstream is configured or not. */
export interface RepositoryName {
  readonly upstream: Pick<OciUpstream, 'name'>;
  readonly path: string;
}

/** What a request says of where it wants to go. */
export interface Wanted {
  /** Values of `?ns=`, as they came. */
  readonly namespaces: readonly string[];
  /** The name in the path. */
  readonly name: string;
}

export const DOCKER_HUB = 'docker.io';
/** What else Docker's clients call it. */
const HUB_ALIASES = new Set(['index.docker.io', 'registry-1.docker.io']);
export const UPSTREAM_NAME = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/;

/** Parses `name=url` pairs, with commas or white space between them. Throws LarderError `invalid` with a sentence. */
export function parseOciUpstreams(text: string): OciUpstream[] {
  const upstreams: OciUpstream[] = [];
  for (const pair of text.split(/[\s,]+/).filter((word) => word !== '')) {
    const equals = pair.indexOf('=');
    const name = canonicalHost(pair.slice(0, Math.max(0, equals)));
    if (!UPSTREAM_NAME.test(name)) {
      throw new LarderError(
        'invalid',
        `${JSON.stringify(pair)} is not name=url, the name being a host`,
      );
    }
    if (upstreams.some((upstream) => upstream.name === name)) {
      throw new LarderError('invalid', `${name} is there twice`);
    }
    upstreams.push({ name, url: parseRegistryUrl(name, pair.slice(equals + 1)) });
  }
  if (upstreams.length > 0) return upstreams;
  throw new LarderError(
    'invalid',
    'it names no registry: give name=url, as in docker.io=https://registry-1.docker.io',
  );
}

/** Parses `name=host` pairs, with commas or white space between them. Throws LarderError `invalid` with a sentence. */
export function parseRealms(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const realms = new Map<string, Set<string>>();
  for (const pair of text.split(/[\s,]+/).filter((word) => word !== '')) {
    const [name = '', host = '', ...rest] = pair.toLowerCase().split('=');
    if (!UPSTREAM_NAME.test(name) || !UPSTREAM_NAME.test(host) || rest.length > 0) {
      throw new LarderError('invalid', `${JSON.stringify(pair)} is not name=host`);
    }
    const key = canonicalHost(name);
    realms.set(key, (realms.get(key) ?? new Set()).add(host));
  }
  return realms;
}

/** Reads the address of the registry of that name. Throws LarderError `invalid` with a sentence. */
export function parseRegistryUrl(name: string, text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new LarderError(
      'invalid',
      `the URL of ${name} must be an http or https URL without query and fragment`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new LarderError(
      'invalid',
      `the URL of ${name} may hold no password: give it by LARDER_OCI_AUTH_FILE`,
    );
  }
  return url;
}

export class OciUpstreams {
  readonly #byName: ReadonlyMap<string, OciUpstream>;
  readonly #default: OciUpstream;

  /** The first one is the default. */
  constructor(upstreams: readonly OciUpstream[]) {
    const [first] = upstreams;
    if (first === undefined) throw new RangeError('there must be one');
    this.#default = first;
    this.#byName = new Map(upstreams.map((upstream) => [upstream.name, upstream]));
  }

  /**
   * The repositories that a request may mean, the likelier one first; nobody is asked of a host that is not configured.
   * Throws LarderError: `invalid` when `ns` is given twice, `not_found` for such a host.
   */
  choose({ namespaces, name }: Wanted): Repository[] {
    const [namespace, second] = namespaces;
    if (second !== undefined) throw new LarderError('invalid', 'ns is given more than once');
    const slash = name.indexOf('/');
    const first = canonicalHost(slash < 0 ? name : name.slice(0, slash));
    const rest = slash < 0 ? '' : name.slice(slash + 1);
    if (namespace !== undefined) {
      const upstream = this.#find(namespace);
      // some clients name the host in both places
      return named(upstream, first === upstream.name ? rest : name);
    }
    if (this.#byName.has(first) || looksLikeHost(first)) return named(this.#find(first), rest);
    return named(this.#default, name);
  }

  /** Whether a registry of this name is mirrored here. */
  has(host: string): boolean {
    return this.#byName.has(canonicalHost(host));
  }

  /** The registry of this name, where it is mirrored here. */
  named(host: string): OciUpstream | undefined {
    return this.#byName.get(canonicalHost(host));
  }

  #find(host: string): OciUpstream {
    const upstream = this.named(host);
    if (upstream) return upstream;
    throw new LarderError('not_found', 'this registry is not mirrored here', { outcome: 'bypass' });
  }
}

function named(upstream: OciUpstream, path: string): Repository[] {
  if (path !== '') return repositories(upstream, path);
  throw new LarderError('not_found', 'a registry has no repository without a name', {
    outcome: 'bypass',
  });
}

/** What a name may mean, the likelier first: on Docker Hub a name of one element is an official image. */
export function repositories<U extends Pick<OciUpstream, 'name'>>(
  upstream: U,
  path: string,
): { upstream: U; path: string }[] {
  const plain = { upstream, path };
  if (upstream.name !== DOCKER_HUB || path.includes('/')) return [plain];
  // what stands in for Docker Hub may have such names itself
  return [{ upstream, path: `library/${path}` }, plain];
}

/** The one name that a registry's host has here. */
export function canonicalHost(host: string): string {
  const name = host.toLowerCase();
  return HUB_ALIASES.has(name) ? DOCKER_HUB : name;
}

/** Whether it is that in the first place of an image's name. */
export const looksLikeHost = (element: string): boolean =>
  /[.:]/.test(element) || element === 'localhost';
