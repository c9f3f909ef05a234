// Links and edges that this process knows to be in the store, or on their way there.

import { LRUCache } from 'lru-cache';
import type { Digest } from './digest.ts';
import { edgeKey, repositoryHash, sameOwner, type Owner } from './edges.ts';
import { linkKey, repositoryKey } from './keys.ts';
import type { Descriptor } from './manifest.ts';
import type { RepositoryName } from './upstreams.ts';

/** Digests in repositories, and owners of each. */
const KNOWN = 100_000;
const KNOWN_OWNERS = 64;

/** What a manifest says of what it names. */
export type Described = Pick<Descriptor, 'mediaType' | 'size'>;

/** What a head says. */
export interface Told {
  readonly mediaType: string;
  /** Bytes, where the upstream tells. */
  readonly size: number | undefined;
}

interface Known {
  readonly repository: RepositoryName;
  readonly digest: Digest;
  linked: boolean;
  /** As a manifest of the repository says. */
  declared: Described | undefined;
  /** As the upstream said when it was asked for it alone. */
  told: Told | undefined;
  owners: readonly Owner[];
  /** What it names is owned by it. */
  ownsChildren: boolean;
}

/** By the key of the link. */
export class KnownLinks {
  readonly #known = new LRUCache<string, Known>({ max: KNOWN });

  isLinked(key: string): boolean {
    return this.#known.get(key)?.linked === true;
  }

  /** With the link. */
  isTagged(key: string, tag: string): boolean {
    const known = this.#known.get(key);
    return (
      known?.linked === true &&
      known.owners.some((owner) => owner.kind === 'tag' && owner.tag === tag)
    );
  }

  /** By anybody. */
  isOwned(key: string): boolean {
    return (this.#known.get(key)?.owners.length ?? 0) > 0;
  }

  /** Bytes that a manifest of the repository says it has. */
  sizeOf(key: string): number | undefined {
    return this.#known.get(key)?.declared?.size;
  }

  /** What is known of it beside its digest. */
  describe(key: string): Told | undefined {
    const known = this.#known.get(key);
    return known?.declared ?? known?.told;
  }

  tell(repository: RepositoryName, digest: Digest, told: Told): void {
    this.#get(repository, digest).told = told;
  }

  ownsChildren(key: string): boolean {
    return this.#known.get(key)?.ownsChildren === true;
  }

  ownChildren(repository: RepositoryName, digest: Digest): void {
    this.#get(repository, digest).ownsChildren = true;
  }

  link(repository: RepositoryName, digest: Digest, declared?: Described): void {
    const known = this.#get(repository, digest);
    known.linked = true;
    known.declared = declared ?? known.declared;
  }

  own(repository: RepositoryName, digest: Digest, owner: Owner): void {
    const known = this.#get(repository, digest);
    if (known.owners.some((one) => sameOwner(one, owner))) return;
    known.owners = [owner, ...known.owners].slice(0, KNOWN_OWNERS);
  }

  drop(key: string): void {
    this.#known.delete(key);
  }

  /** Drops links and edges by their keys in the store; a link with all edges that lead there. */
  forget(matches: (key: string) => boolean): void {
    const hashes = new Map<string, string>();
    for (const [key, known] of [...this.#known.entries()]) {
      if (matches(key)) {
        this.#known.delete(key);
        continue;
      }
      if (known.owners.length === 0) continue;
      const { repository, digest } = known;
      const folder = repositoryKey(repository);
      const hash = hashes.get(folder) ?? repositoryHash(repository);
      hashes.set(folder, hash);
      const left = known.owners.filter((owner) => !matches(edgeKey(digest, hash, owner)));
      for (const owner of known.owners) {
        if (owner.kind !== 'manifest' || left.includes(owner)) continue;
        const manifest = this.#known.peek(linkKey(repository, owner.digest));
        if (manifest) manifest.ownsChildren = false;
      }
      known.owners = left;
    }
  }

  #get(repository: RepositoryName, digest: Digest): Known {
    const key = linkKey(repository, digest);
    let known = this.#known.get(key);
    if (known === undefined) {
      known = {
        repository,
        digest,
        linked: false,
        declared: undefined,
        told: undefined,
        owners: [],
        ownsChildren: false,
      };
      this.#known.set(key, known);
    }
    return known;
  }
}
