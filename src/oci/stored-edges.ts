// Edges as they are stored, each with what its name and its document say.

import type { Store } from '../engine/ports.ts';
import { parseDigest, type Digest } from './digest.ts';
import { edgeRepository, edgeTime, parseElement, type Owner } from './edges.ts';
import { REFERENCES } from './keys.ts';
import type { RepositoryView } from './repository-view.ts';
import type { RepositoryName } from './upstreams.ts';

export interface Edge {
  readonly key: string;
  readonly digest: Digest;
  readonly owner: Owner;
  readonly repository: RepositoryName;
}

export interface StoredEdge extends Edge {
  /** When it was written, milliseconds since the epoch. */
  readonly time: number | undefined;
}

/** Undefined for what is gone, or cannot be read. */
export async function readEdge(store: Store, key: string): Promise<StoredEdge | undefined> {
  const edge = parseEdgeKey(key);
  if (edge === undefined) return undefined;
  const document = await store.readDocument(key);
  const repository = document && edgeRepository(document, edge.hash);
  if (document === undefined || repository === undefined) return undefined;
  return { ...edge, repository, time: edgeTime(document) };
}

/** Undefined for what this version does not write. */
export function parseEdgeKey(key: string) {
  const [algorithm = '', hex = '', ...rest] = key.slice(REFERENCES.length + 1).split('/');
  const digest = parseDigest(`${algorithm}:${hex}`);
  const edge = parseElement(rest.join('/'));
  return digest && edge && { key, digest, ...edge };
}

/** Whether a tag or manifest that can be read says so. */
export async function isSaid(view: RepositoryView, { owner, digest }: Edge): Promise<boolean> {
  if (owner.kind === 'use' || !(await view.isTrue(owner, digest))) return false;
  return owner.kind === 'tag' || (await view.children(owner.digest)) !== undefined;
}
