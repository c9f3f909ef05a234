// Edges: who owns a digest in which repository, one document an owner below `oci/references/<algorithm>/<hex>/`. Lists that
// can be checked against the truth (repository-view.ts), never counters. A manifest's subject is owned by nobody: a
// referrer is reached by its own tag or use.

import { createHash } from 'node:crypto';
import { seal, unseal } from '../engine/seal.ts';
import { parseDigest, type Digest } from './digest.ts';
import { referencesFolder, repositoryKey } from './keys.ts';
import type { Descriptor } from './manifest.ts';
import type { RepositoryName } from './upstreams.ts';

export type Owner =
  | { readonly kind: 'tag'; readonly tag: string }
  /** An index or manifest that names it. */
  | { readonly kind: 'manifest'; readonly digest: Digest }
  /** It was asked for by its digest where nothing else owned it. */
  | { readonly kind: 'use' };

/** Which repository an edge's owner is of, short enough for a name: 32 hex digits. */
export const repositoryHash = (repository: RepositoryName): string =>
  createHash('sha256').update(repositoryKey(repository)).digest('hex').slice(0, 32);

/** The edge's own name below its folder; 177 bytes at most. */
function ownerElement(hash: string, owner: Owner): string {
  switch (owner.kind) {
    case 'tag':
      return `tag-${hash}-${owner.tag}`;
    case 'manifest':
      return `manifest-${hash}-${owner.digest.algorithm}-${owner.digest.hex}`;
    case 'use':
      return `use-${hash}`;
  }
}

export const edgeKey = (digest: Digest, hash: string, owner: Owner): string =>
  `${referencesFolder(digest)}/${ownerElement(hash, owner)}`;

/** What the names of a repository's edges begin with, in the order in which they are listed. */
export const elementsStart = (hash: string): readonly string[] => [
  `manifest-${hash}-`,
  `tag-${hash}-`,
  `use-${hash}`,
];

const ELEMENT = /^(tag|manifest|use)-([0-9a-f]{32})(?:-(.+))?$/;

/** Undefined for what this version does not write. */
export function parseElement(element: string): { hash: string; owner: Owner } | undefined {
  const [, kind, hash = '', rest] = ELEMENT.exec(element) ?? [];
  if (kind === 'use') return rest === undefined ? { hash, owner: { kind } } : undefined;
  if (kind === 'tag' && rest !== undefined) return { hash, owner: { kind, tag: rest } };
  const digest = parseDigest(rest?.replace('-', ':') ?? '');
  return kind === 'manifest' && digest ? { hash, owner: { kind, digest } } : undefined;
}

export function sameOwner(one: Owner, other: Owner): boolean {
  switch (one.kind) {
    case 'tag':
      return other.kind === 'tag' && other.tag === one.tag;
    case 'manifest':
      return other.kind === 'manifest' && other.digest.hex === one.digest.hex;
    case 'use':
      return other.kind === 'use';
  }
}

const MEMBERS = ['upstream', 'path', 'time'];

/** What is kept with an edge. */
export const edgeDocument = ({ upstream, path }: RepositoryName, time: Date): Uint8Array =>
  Buffer.from(seal({ upstream: upstream.name, path, time: time.toISOString() }));

/** What is kept with a link: when it came, and what a manifest says of it, if one does. */
export const linkDocument = (
  time: Date,
  { mediaType, size }: Partial<Pick<Descriptor, 'mediaType' | 'size'>> = {},
): Uint8Array => Buffer.from(seal({ time: time.toISOString(), mediaType, size }));

/** What a link says of what it leads to, as far as a manifest does; undefined for what is not as it was written. */
export function parseLink(
  document: Uint8Array,
): Partial<Pick<Descriptor, 'mediaType' | 'size'>> | undefined {
  const link = unseal(Buffer.from(document).toString(), LINK_MEMBERS);
  if (typeof link?.['time'] !== 'string') return undefined;
  const { mediaType, size } = link;
  return {
    ...(typeof mediaType === 'string' && { mediaType }),
    ...(typeof size === 'number' && Number.isSafeInteger(size) && { size }),
  };
}

const LINK_MEMBERS = ['time', 'mediaType', 'size'];

/** The repository in an edge whose name has this hash; undefined for what cannot be read. */
export function edgeRepository(document: Uint8Array, hash: string): RepositoryName | undefined {
  const { upstream, path } = unseal(Buffer.from(document).toString(), MEMBERS) ?? {};
  if (typeof upstream !== 'string' || typeof path !== 'string') return undefined;
  const repository = { upstream: { name: upstream }, path };
  return repositoryHash(repository) === hash ? repository : undefined;
}

/** When an edge or a link was written, milliseconds since the epoch; undefined for what cannot be read. */
export function edgeTime(document: Uint8Array): number | undefined {
  const { time } = unseal(Buffer.from(document).toString(), [...MEMBERS, ...LINK_MEMBERS]) ?? {};
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
