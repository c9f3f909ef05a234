// What of the images may be purged by name: `HOST/REPO`, `HOST/REPO:TAG`, `HOST/REPO@ALGORITHM:HEX`.

import { LarderError } from '../engine/errors.ts';
import { digestText, type Digest } from './digest.ts';
import { parseFullName } from './full-name.ts';
import { repositories, type OciUpstreams, type RepositoryName } from './upstreams.ts';

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
  const { host, path, tag, digest } = parseFullName(text, upstreams);
  if (tag !== undefined && digest !== undefined) {
    throw invalid(
      'tag and digest cannot be purged by one name: give HOST/REPO:TAG or HOST/REPO@DIGEST',
    );
  }
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

function targetOf(tag: string | undefined, digest: Digest | undefined): PurgeTarget {
  if (tag !== undefined) return { kind: 'tag', tag };
  if (digest !== undefined) return { kind: 'digest', digest };
  return { kind: 'repository' };
}

const invalid = (sentence: string): LarderError => new LarderError('invalid', sentence);
