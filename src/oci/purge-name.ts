// What of the images may be purged by name: `HOST/REPO`, `HOST/REPO:TAG`, `HOST/REPO@ALGORITHM:HEX`.

import { LarderError } from '../engine/errors.ts';
import { digestText, type Digest } from './digest.ts';
import { checkName, digestOf, tagOf } from './names.ts';
import { splitReference } from './reference.ts';
import {
  canonicalHost,
  looksLikeHost,
  repositories,
  UPSTREAM_NAME,
  type OciUpstreams,
  type RepositoryName,
} from './upstreams.ts';

export type PurgeTarget =
  | { readonly kind: 'repository' }
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'digest'; readonly digest: Digest };

export interface PurgeName {
  /** In its one spelling: `oci:HOST/REPO`, `oci:HOST/REPO:TAG`, `oci:HOST/REPO@DIGEST`. */
  readonly name: string;
  /** Where it may be stored; at least one. */
  readonly repositories: readonly RepositoryName[];
  readonly target: PurgeTarget;
}

/**
 * Hosts that are not configured may be named, as they may have been once. Throws LarderError `invalid` with a sentence that
 * says what would be right.
 */
export function parsePurgeName(text: string, upstreams: Pick<OciUpstreams, 'has'>): PurgeName {
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
  if (tag !== undefined && digest !== undefined) {
    throw invalid(
      'tag and digest cannot be purged by one name: give HOST/REPO:TAG or HOST/REPO@DIGEST',
    );
  }
  checkName(path.split('/'), path.length);
  const found = repositories({ name: host }, path);
  const target = targetOf(tag, digest);
  const [likeliest] = found;
  if (likeliest === undefined) throw invalid('this names no repository');
  return { name: purgedName(likeliest, target), repositories: found, target };
}

/** As the answer to a purge names it. */
export function purgedName({ upstream, path }: RepositoryName, target: PurgeTarget): string {
  const repository = `oci:${upstream.name}/${path}`;
  switch (target.kind) {
    case 'repository':
      return repository;
    case 'tag':
      return `${repository}:${target.tag}`;
    case 'digest':
      return `${repository}@${digestText(target.digest)}`;
  }
}

function targetOf(tag: string | undefined, digest: string | undefined): PurgeTarget {
  if (tag !== undefined) return { kind: 'tag', tag: tagOf(tag) };
  if (digest !== undefined) return { kind: 'digest', digest: digestOf(digest) };
  return { kind: 'repository' };
}

const invalid = (sentence: string): LarderError => new LarderError('invalid', sentence);
