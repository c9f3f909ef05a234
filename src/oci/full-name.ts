import { LarderError } from '../engine/errors.ts';
import type { Digest } from './digest.ts';
import { checkName, digestOf, tagOf } from './names.ts';
import { splitReference } from './reference.ts';
import { canonicalHost, looksLikeHost, UPSTREAM_NAME, type OciUpstreams } from './upstreams.ts';

/** `HOST/REPO`, with `:TAG`, `@ALGORITHM:HEX` or both behind it: nothing is left to a default. */
export interface FullName {
  /** Of the registry, in its one spelling. */
  readonly host: string;
  /** The repository, as it was written. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/**
 * The registry's host must be there, and need not be configured. Throws LarderError `invalid` with a sentence that says what
 * would be right.
 */
export function parseFullName(text: string, upstreams: Pick<OciUpstreams, 'has'>): FullName {
  const { repository, tag, digest } = splitReference(text);
  const slash = repository.indexOf('/');
  const first = slash < 0 ? '' : repository.slice(0, slash);
  if (!looksLikeHost(first) && !upstreams.has(first)) {
    throw invalid(
      "an image's name begins with its registry's host, as in docker.io/library/nginx:1.27",
    );
  }
  const host = canonicalHost(first);
  if (!UPSTREAM_NAME.test(host))
    throw invalid('this is no host of a registry, with or without a port');
  const path = repository.slice(slash + 1);
  checkName(path.split('/'), path.length);
  return {
    host,
    path,
    tag: tag === undefined ? undefined : tagOf(tag),
    digest: digest === undefined ? undefined : digestOf(digest),
  };
}

const invalid = (sentence: string): LarderError => new LarderError('invalid', sentence);
