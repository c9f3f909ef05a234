// Which tags and digests of one repository go with a purge: what was named, and whatever no owner is left of that stays.

import { mapBounded } from '../engine/bounded.ts';
import { digestText, parseDigest, type Digest } from './digest.ts';
import { edgeKey, sameOwner, type Owner } from './edges.ts';
import { linkKey, linksFolder, tagKey, tagsFolder } from './keys.ts';
import type { PurgeTarget } from './purge-name.ts';
import type { RepositoryView, ViewParts } from './repository-view.ts';
import type { RepositoryName } from './upstreams.ts';

/** Reads of the store at once. */
export const READS = 16;

/** What goes from a repository. */
export interface Gone {
  readonly repository: RepositoryName;
  /** Of its name in edges. */
  readonly hash: string;
  readonly tags: readonly string[];
  /** By their text. */
  readonly digests: ReadonlyMap<string, Digest>;
  /** Keys of links that are there, of edges to what goes, and of edges from there to what stays. */
  readonly links: readonly string[];
  readonly edges: readonly string[];
  readonly edgesOut: readonly string[];
}

/**
 * Groups to be deleted one after another. What has lost its edges and kept its link would count as owned by somebody unknown;
 * edges to what has no link are owned by nobody, whenever that is seen.
 */
export const documentsOf = (gone: readonly Gone[]): string[][] => [
  gone.flatMap(({ repository, tags }) => tags.map((tag) => tagKey(repository, tag))),
  gone.flatMap(({ edgesOut }) => edgesOut),
  gone.flatMap(({ links }) => links),
  gone.flatMap(({ edges }) => edges),
];

/** For one purge. */
export class PurgeCascade {
  readonly #store: ViewParts['store'];
  readonly #repository: RepositoryName;
  readonly #view: RepositoryView;
  readonly #tags = new Set<string>();
  readonly #digests = new Map<string, Digest>();
  /** Nothing of the repository stays. */
  #all = false;

  /** `view`: of the repository, from which nothing was deleted since. */
  constructor(store: ViewParts['store'], view: RepositoryView) {
    this.#store = store;
    this.#repository = view.repository;
    this.#view = view;
  }

  /** Throws LarderError `store_failed`. */
  async gone(target: PurgeTarget): Promise<Gone> {
    let links: readonly string[] | undefined;
    switch (target.kind) {
      case 'repository':
        links = await this.#takeAll();
        break;
      case 'tag':
        await this.#takeTag(target.tag);
        break;
      case 'digest':
        await this.#takeDigest(target.digest);
    }
    return this.#found(links);
  }

  /** Just these, which nobody owns. Throws LarderError `store_failed`. */
  goneOrphans(digests: readonly Digest[]): Promise<Gone> {
    for (const digest of digests) this.#digests.set(digestText(digest), digest);
    return this.#found(undefined);
  }

  async #found(links: readonly string[] | undefined): Promise<Gone> {
    return {
      repository: this.#repository,
      hash: this.#view.hash,
      tags: [...this.#tags],
      digests: this.#digests,
      links: links ?? (await this.#links()),
      edges: await this.#edges(),
      edgesOut: await this.#edgesOut(),
    };
  }

  /** The result: keys of all links. */
  async #takeAll(): Promise<string[]> {
    const store = this.#store;
    this.#all = true;
    const tags = await store.list(tagsFolder(this.#repository));
    for (const tag of tags) this.#tags.add(tag);
    const folder = linksFolder(this.#repository);
    const algorithms = await store.list(folder);
    const names = await mapBounded(algorithms, READS, async (algorithm) => {
      const hexes = await store.list(`${folder}/${algorithm.replace(/\/$/, '')}`);
      return hexes.map((hex) => algorithm + hex);
    });
    const linked = names.flat().map((name) => parseDigest(name.replace('/', ':')));
    const targets = await mapBounded(tags, READS, (tag) => this.#view.target(tag));
    await this.#take([...linked, ...targets]);
    return names.flat().map((name) => `${folder}/${name}`);
  }

  async #takeTag(tag: string): Promise<void> {
    const document = await this.#store.readDocument(tagKey(this.#repository, tag));
    if (document === undefined) return;
    this.#tags.add(tag);
    const digest = await this.#view.target(tag);
    if (digest && !(await this.#stays(digest))) await this.#take([digest]);
  }

  /** It goes whoever owns it, unless the repository has nothing to do with it. */
  async #takeDigest(digest: Digest): Promise<void> {
    const owners = await this.#view.owners(digest);
    if (owners.length === 0 && !(await this.#view.isLinked(digest))) return;
    await mapBounded(owners, READS, async (owner) => {
      if (owner.kind === 'tag' && (await this.#view.isTrue(owner, digest)))
        this.#tags.add(owner.tag);
    });
    await this.#take([digest]);
  }

  /** These, and by and by whatever they alone own. */
  async #take(digests: readonly (Digest | undefined)[]): Promise<void> {
    let taken = digests.filter((digest) => digest !== undefined);
    while (taken.length > 0) {
      for (const digest of taken) this.#digests.set(digestText(digest), digest);
      const named = await mapBounded(taken, READS, (digest) => this.#view.children(digest));
      // one that stayed before may have lost its last owner now
      const candidates = new Map(named.flatMap((children) => [...(children ?? [])]));
      for (const text of this.#digests.keys()) candidates.delete(text);
      const left = await mapBounded(candidates.values(), READS, async (digest) =>
        (await this.#stays(digest)) ? [] : [digest],
      );
      taken = left.flat();
    }
  }

  /** Whether somebody owns it who stays. */
  async #stays(digest: Digest): Promise<boolean> {
    if (this.#all) return false;
    for (const owner of await this.#view.owners(digest)) {
      if (!this.#goes(owner) && (await this.#view.isTrue(owner, digest))) return true;
    }
    return false;
  }

  #goes(owner: Owner): boolean {
    if (owner.kind === 'tag') return this.#tags.has(owner.tag);
    return owner.kind === 'manifest' && this.#digests.has(digestText(owner.digest));
  }

  async #edges(): Promise<string[]> {
    const edges = await mapBounded(this.#digests.values(), READS, (digest) =>
      this.#edgesTo(digest),
    );
    return edges.flat();
  }

  async #edgesOut(): Promise<string[]> {
    const ofManifests = await mapBounded(this.#digests.values(), READS, async (digest) => {
      const children = await this.#view.children(digest);
      const owner: Owner = { kind: 'manifest', digest };
      const staying = [...(children ?? [])].filter(([text]) => !this.#digests.has(text));
      return Promise.all(staying.map(([, child]) => this.#edge(child, owner)));
    });
    const ofTags = await mapBounded(this.#tags, READS, async (tag) => {
      const digest = await this.#view.target(tag);
      if (digest === undefined || this.#digests.has(digestText(digest))) return [];
      return this.#edge(digest, { kind: 'tag', tag });
    });
    return [...ofManifests.flat(2), ...ofTags.flat()];
  }

  /** Edges to what goes: not those of a manifest that stays and names it all the same. */
  async #edgesTo(digest: Digest): Promise<string[]> {
    const keys: string[] = [];
    for (const owner of await this.#view.owners(digest)) {
      const named =
        owner.kind === 'manifest' &&
        !this.#all &&
        !this.#goes(owner) &&
        (await this.#view.isTrue(owner, digest));
      if (!named) keys.push(edgeKey(digest, this.#view.hash, owner));
    }
    return keys;
  }

  /** That edge, if it is there. */
  async #edge(digest: Digest, owner: Owner): Promise<string[]> {
    const owners = await this.#view.owners(digest);
    if (!owners.some((one) => sameOwner(one, owner))) return [];
    return [edgeKey(digest, this.#view.hash, owner)];
  }

  async #links(): Promise<string[]> {
    const linked = await mapBounded(this.#digests.values(), READS, async (digest) =>
      (await this.#view.isLinked(digest)) ? [linkKey(this.#repository, digest)] : [],
    );
    return linked.flat();
  }
}
