// What the store has of one repository: links, edges, tags, manifests, and which edges are true. Each is looked at once.

import type { Answers } from '../engine/answers.ts';
import { LarderError } from '../engine/errors.ts';
import type { Store } from '../engine/ports.ts';
import { readAll } from '../http/download.ts';
import { digestText, type Digest } from './digest.ts';
import { listEdges, type EdgeList, type EdgeLists } from './edge-lists.ts';
import { repositoryHash, type Owner } from './edges.ts';
import { contentKey, linkKey, referencesFolder, tagKey } from './keys.ts';
import { MAX_MANIFEST, parseManifest, type Manifest } from './manifest.ts';
import { targetOf } from './tags.ts';
import type { RepositoryName } from './upstreams.ts';

export interface ViewParts {
  readonly store: Pick<Store, 'open' | 'record' | 'readDocument' | 'list'>;
  readonly answers: Pick<Answers, 'read'>;
}

/** Every method throws LarderError `store_failed`. */
export class RepositoryView {
  readonly repository: RepositoryName;
  readonly hash: string;
  readonly #parts: ViewParts;
  readonly #lists: Pick<EdgeLists, 'of'> | undefined;
  readonly #looked = new Map<string, Promise<unknown>>();

  /** `lists`: of edges, which it shares with views of other repositories; else it reads its own. */
  constructor(parts: ViewParts, repository: RepositoryName, lists?: Pick<EdgeLists, 'of'>) {
    this.#parts = parts;
    this.#lists = lists;
    this.repository = repository;
    this.hash = repositoryHash(repository);
  }

  isLinked(digest: Digest): Promise<boolean> {
    const key = linkKey(this.repository, digest);
    return this.#once(key, async () => (await this.#parts.store.readDocument(key)) !== undefined);
  }

  /** All edges that lead to it, whichever repository their owners are of. */
  edges(digest: Digest): Promise<EdgeList> {
    return this.#once(
      referencesFolder(digest),
      () => this.#lists?.of(digest) ?? listEdges(this.#parts.store, digest),
    );
  }

  /** Those who own it in this repository, as the edges say. */
  async owners(digest: Digest): Promise<Owner[]> {
    return (await this.edges(digest)).ownersIn(this.hash);
  }

  /** What a tag leads to, as its own document says; undefined where that is not there or cannot be read. */
  target(tag: string): Promise<Digest | undefined> {
    const key = tagKey(this.repository, tag);
    return this.#once(key, async () => {
      const answer = await this.#parts.answers.read(key);
      try {
        return answer && targetOf(answer.bytes).digest;
      } catch {
        return undefined; // it leads nowhere
      }
    });
  }

  /** What a stored manifest names, each digest once; undefined for what is none, or is not stored as one. */
  children(digest: Digest): Promise<Children | undefined> {
    return this.#once(contentKey(digest), () => storedChildren(this.#parts.store, digest));
  }

  /** Whether an edge says what is so. What cannot be known counts as true. */
  async isTrue(owner: Owner, digest: Digest): Promise<boolean> {
    if (owner.kind === 'use') return true;
    const text = digestText(digest);
    if (owner.kind === 'tag') {
      const target = await this.target(owner.tag);
      return target !== undefined && digestText(target) === text;
    }
    if (!(await this.isLinked(owner.digest))) return false;
    const children = await this.children(owner.digest);
    return children === undefined || children.has(text);
  }

  #once<T>(key: string, look: () => Promise<T>): Promise<T> {
    const known = this.#looked.get(key);
    if (known) return known as Promise<T>;
    const looking = look();
    this.#looked.set(key, looking);
    return looking;
  }
}

/** What a manifest names, as it says. */
export interface Child extends Digest {
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
}

/** By their text. */
export type Children = ReadonlyMap<string, Child>;

/** What a manifest owns: not its subject. */
export const childrenOf = ({ manifests, blobs }: Manifest): Children =>
  new Map(
    [...manifests, ...blobs].map(({ digest, mediaType, size }) => [
      digestText(digest),
      { ...digest, mediaType, size },
    ]),
  );

/** As `RepositoryView.children`. */
export async function storedChildren(
  store: Pick<Store, 'open' | 'record'>,
  digest: Digest,
): Promise<Children | undefined> {
  const manifest = await manifestUnlessBlob(store, digest);
  return manifest && childrenOf(manifest);
}

/** As `storedManifest`, where it may well be a blob: that need not be opened. */
export async function manifestUnlessBlob(
  store: Pick<Store, 'open' | 'record'>,
  digest: Digest,
): Promise<Manifest | undefined> {
  const record = await store.record(contentKey(digest));
  // what was checked as a manifest has one
  return record?.extra['mediaType'] === undefined ? undefined : storedManifest(store, digest);
}

/** Undefined for what is none, or is not stored as one. Throws LarderError `store_failed`. */
export async function storedManifest(
  store: Pick<Store, 'open'>,
  digest: Digest,
): Promise<Manifest | undefined> {
  const stored = await store.open(contentKey(digest));
  if (stored === undefined) return undefined;
  const { body, record } = stored;
  const mediaType = record.extra['mediaType'];
  try {
    if (mediaType === undefined) return undefined;
    const { signal } = new AbortController();
    const bytes = body.bytes ?? (await readAll(body.read(0, undefined, signal), MAX_MANIFEST));
    return parseManifest(bytes, mediaType);
  } catch (error) {
    if (error instanceof LarderError && error.code === 'bad_content') return undefined;
    throw error;
  } finally {
    body.close();
  }
}
