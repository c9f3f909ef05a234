// Which repository holds which digest, and who owns it there. Bytes are shared between repositories, the right to read
// them is not: it is the link. What is stored is written in this order: bytes, link, edges, tag; the last one of a manifest's
// edges when all others are there.

import { mapBounded } from '../engine/bounded.ts';
import type { Listener, Store } from '../engine/ports.ts';
import { digestText, type Digest } from './digest.ts';
import {
  edgeDocument,
  edgeKey,
  linkDocument,
  parseElement,
  parseLink,
  repositoryHash,
  type Owner,
} from './edges.ts';
import { contentKey, linkKey, repositoryKey } from './keys.ts';
import { KnownLinks, type Told } from './known-links.ts';
import {
  RepositoryView,
  storedChildren,
  type Child,
  type Children,
  type ViewParts,
} from './repository-view.ts';
import type { RepositoryName } from './upstreams.ts';

/** Writes at once, for one manifest. */
const WRITES = 16;
/** Of other repositories, that are looked for in this one. */
const MANIFESTS = 64;

export interface LinksParts {
  readonly store: Store;
  readonly answers: ViewParts['answers'];
  /** Told of what could not be written. */
  readonly listener: Pick<Required<Listener>, 'storeFailed'>;
}

/** Documents on their way. */
interface Writing {
  /** Of the links, and of the bytes that they link: a purge that leaves another repository what it has waits for its links. */
  readonly keys: readonly string[];
  readonly repository: string;
  /** The later it began, the higher. */
  readonly turn: number;
  /** Never rejects. */
  readonly done: Promise<void>;
}

export class Links {
  readonly #parts: LinksParts;
  readonly #known = new KnownLinks();
  /** Fills under way, by the links that they may end in; how many each, and the size that a manifest among them tells. */
  readonly #held = new Map<string, { count: number; size: number | undefined }>();
  readonly #writing = new Set<Writing>();
  #turns = 0;
  /** What was read before it must not be remembered after it. */
  #forgotten = 0;

  constructor(parts: LinksParts) {
    this.#parts = parts;
  }

  /** Whether the repository may read it. Throws LarderError `store_failed`. */
  async has(repository: RepositoryName, digest: Digest): Promise<boolean> {
    const key = linkKey(repository, digest);
    if (this.#known.isLinked(key) || this.#held.has(key)) return true;
    const before = this.#forgotten;
    if (!(await this.#isThere(key))) return false;
    if (before === this.#forgotten) this.#known.link(repository, digest);
    return true;
  }

  /**
   * A fill through this repository has begun, or a manifest in it has named this: whoever reads it through the same
   * repository gets only what the upstream grants. The result ends that; to be called once. `size`: bytes, as the manifest
   * says.
   */
  hold(repository: RepositoryName, digest: Digest, size?: number): () => void {
    const key = linkKey(repository, digest);
    const held = this.#held.get(key) ?? { count: 0, size: undefined };
    held.count++;
    held.size ??= size;
    this.#held.set(key, held);
    return () => {
      held.count--;
      if (held.count === 0) this.#held.delete(key);
    };
  }

  /** Bytes that a manifest of the repository says it has; undefined where that is not known, or cannot be looked up. */
  async declaredSize(repository: RepositoryName, digest: Digest): Promise<number | undefined> {
    const key = linkKey(repository, digest);
    const known = this.#known.sizeOf(key) ?? this.#held.get(key)?.size;
    if (known !== undefined) return known;
    try {
      const link = await this.#parts.store.readDocument(key);
      return link && parseLink(link)?.size;
    } catch (error) {
      this.#parts.listener.storeFailed({ key, operation: 'link', error });
      return undefined;
    }
  }

  /** What is known of it in this repository beside its digest, from a manifest or the upstream. Throws LarderError `store_failed`. */
  async describe(repository: RepositoryName, digest: Digest): Promise<Told | undefined> {
    const key = linkKey(repository, digest);
    const known = this.#known.describe(key);
    if (known) return known;
    const document = await this.#parts.store.readDocument(key);
    const meanwhile = this.#known.describe(key);
    if (meanwhile) return meanwhile;
    const { mediaType, size } = (document && parseLink(document)) ?? {};
    return mediaType === undefined ? undefined : { mediaType, size };
  }

  /** The upstream has said this of it, in this repository's name. */
  told(repository: RepositoryName, digest: Digest, told: Told): void {
    this.#known.tell(repository, digest, told);
  }

  /** Whether the upstream has told of it in this repository's name, which is all that a head needs. */
  wasTold(repository: RepositoryName, digest: Digest): boolean {
    return this.#known.describe(linkKey(repository, digest)) !== undefined;
  }

  /** A tag of the repository leads to this manifest, of which the upstream has told this. Never waited for. */
  tagged(repository: RepositoryName, digest: Digest, tag: string, told?: Told): void {
    if (this.#known.isTagged(linkKey(repository, digest), tag)) return;
    if (told) this.told(repository, digest, told);
    void this.#tag(repository, digest, tag);
  }

  /**
   * A tag is about to be kept that leads to this manifest: a purge of another one must see that both do. Resolves when link
   * and edge are in the store. Throws LarderError `store_failed`.
   */
  async tagging(repository: RepositoryName, digest: Digest, tag: string): Promise<void> {
    const key = linkKey(repository, digest);
    if (this.#known.isTagged(key, tag)) {
      await this.#written(({ keys }) => keys.includes(key));
      if (this.#known.isTagged(key, tag)) return;
    }
    await this.#tag(repository, digest, tag);
  }

  #tag(repository: RepositoryName, digest: Digest, tag: string): Promise<void> {
    const key = linkKey(repository, digest);
    const isLinked = this.#known.isLinked(key);
    const owner: Owner = { kind: 'tag', tag };
    this.#known.link(repository, digest);
    this.#known.own(repository, digest, owner);
    return this.#write(repository, [digest], async () => {
      const edge = edgeKey(digest, repositoryHash(repository), owner);
      const isThere = await this.#isThere(edge);
      if (!isLinked && !(isThere && (await this.#isThere(key)))) await this.#writeLink(key);
      await this.#ownStoredChildren(repository, digest);
      if (!isThere) await this.#writeEdge(repository, edge);
    });
  }

  /** The upstream has shown that the repository holds what is stored; it was asked for by its digest. Never waited for. */
  granted(repository: RepositoryName, digest: Digest): void {
    const key = linkKey(repository, digest);
    this.#known.link(repository, digest);
    void this.#write(repository, [digest], async (turn) => {
      await this.#writeLink(key);
      await this.#ownStoredChildren(repository, digest);
      await this.#useUnlessOwned(repository, digest, turn);
    });
  }

  /** A stored manifest is read through the repository, whoever brought it: what it names is owned there. Never waited for. */
  read(repository: RepositoryName, digest: Digest): void {
    const key = linkKey(repository, digest);
    if (this.#known.ownsChildren(key)) return;
    // at once, so that those who read it beside write nothing
    this.#known.ownChildren(repository, digest);
    void this.#write(repository, [digest], () => this.#ownStoredChildren(repository, digest));
  }

  /**
   * A fill through the repository has stored it; `children`: of a manifest, which may be read through it from now on.
   * Never waited for.
   */
  filled(repository: RepositoryName, digest: Digest, children: Children | undefined): void {
    const key = linkKey(repository, digest);
    const isLinked = this.#known.isLinked(key);
    if (isLinked && children === undefined && this.#known.isOwned(key)) return;
    this.#known.link(repository, digest);
    const unlinked = new Map<string, Digest>();
    const owner: Owner = { kind: 'manifest', digest };
    if (children) this.#known.ownChildren(repository, digest);
    for (const child of children?.values() ?? []) {
      const childKey = linkKey(repository, child);
      if (!this.#known.isLinked(childKey)) unlinked.set(childKey, child);
      this.#known.link(repository, child, child);
      // before any of their own fills ends
      this.#known.own(repository, child, owner);
    }
    void this.#write(repository, [digest, ...unlinked.values()], async (turn) => {
      if (!isLinked) await this.#writeLink(key);
      if (children) await this.#writeChildren(repository, digest, children, unlinked);
      await this.#useUnlessOwned(repository, digest, turn);
    });
  }

  /**
   * Forgets what a purge takes away, links and edges by their keys in the store. Resolves when what was on its way there is
   * written, so that whoever looks then finds it.
   */
  async forget(matches: (key: string) => boolean): Promise<void> {
    this.#drop(matches);
    if (await this.#written(({ keys }) => keys.some(matches))) this.#drop(matches);
  }

  /** Resolves when everything on its way so far is written. */
  async settled(): Promise<void> {
    await this.#written(() => true);
  }

  /** Resolves when those of the writes under way are over; to whether there were any. */
  async #written(which: (writing: Writing) => boolean): Promise<boolean> {
    const writing = [...this.#writing].filter(which);
    await Promise.all(writing.map(({ done }) => done));
    return writing.length > 0;
  }

  #drop(matches: (key: string) => boolean): void {
    this.#forgotten++;
    this.#known.forget(matches);
  }

  async #writeChildren(
    repository: RepositoryName,
    digest: Digest,
    children: Children,
    unlinked: ReadonlyMap<string, Digest>,
  ): Promise<void> {
    const hash = repositoryHash(repository);
    const write = async (child: Child) => {
      const key = linkKey(repository, child);
      if (unlinked.has(key)) await this.#writeLink(key, child);
      await this.#writeEdge(repository, edgeKey(child, hash, { kind: 'manifest', digest }));
    };
    const all = [...children.values()];
    const last = all.pop();
    try {
      await mapBounded(all, WRITES, write);
      if (last) await write(last);
    } catch (error) {
      for (const child of children.values()) this.#known.drop(linkKey(repository, child));
      throw error;
    }
  }

  /** Of a manifest that came through another repository, or whose edges a killed process left out. */
  async #ownStoredChildren(repository: RepositoryName, digest: Digest): Promise<void> {
    const children = await storedChildren(this.#parts.store, digest);
    const last = [...(children?.values() ?? [])].at(-1);
    if (children === undefined || last === undefined) return;
    const owner: Owner = { kind: 'manifest', digest };
    for (const child of children.values()) this.#known.own(repository, child, owner);
    if (await this.#isThere(edgeKey(last, repositoryHash(repository), owner))) return;
    await this.#writeChildren(repository, digest, children, new Map());
  }

  async #useUnlessOwned(repository: RepositoryName, digest: Digest, turn: number): Promise<void> {
    const key = linkKey(repository, digest);
    if (this.#known.isOwned(key)) return;
    // one of them may be about to say who owns it
    const ofRepository = repositoryKey(repository);
    await this.#written((one) => one.turn < turn && one.repository === ofRepository);
    if (this.#known.isOwned(key)) return;
    const view = new RepositoryView(this.#parts, repository);
    let owner = await firstTrue(view, digest, await view.owners(digest));
    if (owner === undefined) {
      owner = (await this.#sharedManifest(view, repository, digest)) ?? { kind: 'use' };
      await this.#writeEdge(repository, edgeKey(digest, view.hash, owner));
    }
    this.#known.own(repository, digest, owner);
  }

  /** A manifest of this repository that names it, as edges in other repositories tell. */
  async #sharedManifest(
    view: RepositoryView,
    repository: RepositoryName,
    digest: Digest,
  ): Promise<Owner | undefined> {
    const { elements } = await view.edges(digest);
    const owners = elements.map((element) => parseElement(element)?.owner);
    const manifests = owners.filter((owner) => owner?.kind === 'manifest');
    const distinct = [...new Map(manifests.map((one) => [digestText(one.digest), one])).values()];
    const remembered = distinct.filter((one) =>
      this.#known.isLinked(linkKey(repository, one.digest)),
    );
    return firstTrue(view, digest, [...remembered, ...distinct].slice(0, MANIFESTS));
  }

  async #isThere(key: string): Promise<boolean> {
    return (await this.#parts.store.readDocument(key)) !== undefined;
  }

  /** With what a manifest says of it, if one does. */
  #writeLink(key: string, child?: Child): Promise<void> {
    return this.#parts.store.writeDocument(key, linkDocument(new Date(), child));
  }

  #writeEdge(repository: RepositoryName, key: string): Promise<void> {
    return this.#parts.store.writeDocument(key, edgeDocument(repository, new Date()));
  }

  /** Of links to `digests`. Where it fails, nothing of it is known. The result may be left alone; it rejects as `run` does. */
  #write(
    repository: RepositoryName,
    digests: readonly [Digest, ...Digest[]],
    run: (turn: number) => Promise<void>,
  ): Promise<void> {
    const turn = this.#turns++;
    const [first] = digests;
    const links = digests.map((digest) => linkKey(repository, digest));
    const written = run(turn);
    const done = written
      .catch((error: unknown) => {
        for (const key of links) this.#known.drop(key);
        const key = linkKey(repository, first);
        this.#parts.listener.storeFailed({ key, operation: 'link', error });
      })
      .finally(() => this.#writing.delete(writing));
    const keys = [...links, ...digests.map(contentKey)];
    const writing = { keys, repository: repositoryKey(repository), turn, done };
    this.#writing.add(writing);
    return written;
  }
}

async function firstTrue(
  view: RepositoryView,
  digest: Digest,
  owners: readonly Owner[],
): Promise<Owner | undefined> {
  for (const owner of owners) {
    if (await view.isTrue(owner, digest)) return owner;
  }
  return undefined;
}
