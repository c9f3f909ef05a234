// What a collection finds of images. First repository by repository: links that nobody owns there, with the edges that lead
// to them. Then all bytes: those that no repository has a link to any more. Last edges that a killed purge left behind.

import { mapBounded } from '../engine/bounded.ts';
import type { Orphans, Search, Sweeper } from '../engine/collection.ts';
import type { Pinned } from '../engine/holdings.ts';
import type { ContentRecord, Store } from '../engine/ports.ts';
import type { PlannedContent } from '../engine/purge-plan.ts';
import { DigestFilter } from './digest-filter.ts';
import { digestText, type Digest } from './digest.ts';
import { edgeRepository, edgeTime, parseElement, repositoryHash } from './edges.ts';
import { contentKey, linkKey, referencesFolder } from './keys.ts';
import type { Links } from './links.ts';
import { OrphanMarks } from './orphan-marks.ts';
import { orphansIn, type RepositoryOrphans } from './orphans.ts';
import { isHeld, namesOf } from './purge.ts';
import { documentsOf, PurgeCascade } from './purge-cascade.ts';
import { RepositoryView, storedChildren, type ViewParts } from './repository-view.ts';
import type { RepositoryName } from './upstreams.ts';
import { blobFolders, digestsIn, edgedDigests, repositories, tagsOf } from './walk.ts';

/** Reads of the store at once. */
const READS = 16;
/** Digests whose edges are looked at together. */
const TOGETHER = 256;

export interface OciSweepParts extends ViewParts {
  /** Without a memory, from which what another replica has deleted or moved would be read again. */
  readonly store: Store;
  readonly links: Pick<Links, 'tagged' | 'filled' | 'settled'>;
  /** Names that are kept for good. Throws LarderError `store_failed`. */
  pinned(): Promise<Pinned>;
}

export class OciSweeper implements Sweeper {
  readonly #parts: OciSweepParts;

  constructor(parts: OciSweepParts) {
    this.#parts = parts;
  }

  async *orphans(search: Search): AsyncGenerator<Orphans> {
    const { store } = this.#parts;
    const sweep = new OciSweep(this.#parts, search, await this.#parts.pinned());
    const folders = await blobFolders(store);
    search.expect(folders.length + 2);
    for await (const repository of repositories(store)) {
      search.signal.throwIfAborted();
      const found = await sweep.links(repository);
      if (found) yield found;
    }
    search.step();
    for (const folder of folders) {
      search.signal.throwIfAborted();
      const found = await sweep.bytes(folder);
      if (found) yield found;
      search.step();
    }
    for await (const digests of inGroups(edgedDigests(store))) {
      search.signal.throwIfAborted();
      const found = await sweep.edges(digests);
      if (found) yield found;
    }
    search.step();
  }
}

class OciSweep {
  readonly #parts: OciSweepParts;
  readonly #search: Search;
  readonly #pinned: Pinned;
  readonly #marks: OrphanMarks;
  /** Digests that are owned in some repository, and those that some repository loses its link to. */
  readonly #staying = new DigestFilter();
  readonly #going = new DigestFilter();

  constructor(parts: OciSweepParts, search: Search, pinned: Pinned) {
    this.#parts = parts;
    this.#search = search;
    this.#pinned = pinned;
    this.#marks = new OrphanMarks(parts.store);
  }

  /** Links of a repository that nobody owns. */
  async links(repository: RepositoryName): Promise<Orphans | undefined> {
    const hash = repositoryHash(repository);
    const before = await this.#marks.read(hash);
    const look = (): Promise<RepositoryOrphans> => {
      const { now, graceMs } = this.#search;
      const pinned = this.#pinned;
      return orphansIn(this.#parts, repository, { now, graceMs, marks: before, pinned });
    };
    const { orphans, owned, marks } = await look();
    if (!this.#search.dryRun) await this.#marks.write(hash, marks);
    for (const digest of owned) this.#staying.add(digest);
    if (orphans.length === 0) return undefined;
    for (const digest of orphans) this.#going.add(digest);
    const links = orphans.map((digest) => linkKey(repository, digest));
    const gone = (digests: readonly Digest[]) =>
      new PurgeCascade(this.#parts, repository).goneOrphans(digests);
    const { store } = this.#parts;
    return {
      found: { names: await namesOf(store, [await gone(orphans)], []), freedBytes: 0 },
      scope: { keys: links, folders: [] },
      plan: async () => {
        const found = new Set(links);
        const still = (await look()).orphans.filter((one) => found.has(linkKey(repository, one)));
        const going = await gone(still);
        return {
          names: await namesOf(store, [going], []),
          documents: documentsOf([going]),
          contents: [],
          after: () => this.#relink(repository, new Set(still.map(digestText))),
        };
      },
    };
  }

  /** For a tag that came back to what has just lost its link. */
  async #relink(repository: RepositoryName, gone: ReadonlySet<string>): Promise<void> {
    const { store, links } = this.#parts;
    const view = new RepositoryView(this.#parts, repository);
    const relinkBelow = async (digest: Digest): Promise<void> => {
      const children = await storedChildren(store, digest);
      if (children === undefined) return;
      links.filled(repository, digest, children);
      for (const child of children.values()) await relinkBelow(child);
    };
    for (const tag of await tagsOf(store, repository)) {
      const target = await view.target(tag);
      if (target === undefined || !gone.has(digestText(target))) continue;
      links.tagged(repository, target, tag);
      await relinkBelow(target);
    }
    await links.settled();
  }

  /** Bytes in a folder that no repository has a link to. */
  async bytes(folder: string): Promise<Orphans | undefined> {
    const { store } = this.#parts;
    const unlinked = (await digestsIn(store, folder)).filter((one) => !this.#staying.has(one));
    const looked = await mapBounded(unlinked, READS, (digest) => this.#orphaned(digest));
    const orphans = looked.flatMap((one) => (one === undefined ? [] : [one]));
    if (orphans.length === 0) return undefined;
    return {
      found: {
        names: orphans.flatMap(({ name, size }) =>
          name === undefined || size === undefined ? [] : [name],
        ),
        freedBytes: orphans.reduce((sum, { size = 0 }) => sum + size, 0),
      },
      scope: { keys: [], folders: [] },
      plan: async () => {
        const free = await mapBounded(orphans, READS, async ({ digest, name }) => {
          const key = contentKey(digest);
          const mayGo = async () => {
            if (this.#isYoung(await store.record(key))) return false;
            return !(await isHeld(store, digest, new Set()));
          };
          if (!(await mayGo())) return [];
          const content: PlannedContent = { key, mayGo, ...(name !== undefined && { name }) };
          return [content];
        });
        return { names: [], documents: [], contents: free.flat() };
      },
    };
  }

  /** Undefined for what stays. Without a size: bytes that a killed process left without a record, which are nothing. */
  async #orphaned(digest: Digest) {
    const record = await this.#parts.store.record(contentKey(digest));
    if (this.#isYoung(record)) return undefined;
    if (await this.#isUnclear(digest)) return undefined;
    // what a repository has just lost is named by it
    const name = this.#going.has(digest) ? undefined : `oci:@${digestText(digest)}`;
    return { digest, name, size: record?.size };
  }

  /** Edges to digests that their repository has no link to. */
  async edges(digests: readonly Digest[]): Promise<Orphans | undefined> {
    const unlinked = digests.filter((digest) => !this.#staying.has(digest));
    const look = async () =>
      (await mapBounded(unlinked, READS, (digest) => this.#looseEdges(digest))).flat();
    const found = await look();
    if (found.length === 0) return undefined;
    return {
      found: { names: [], freedBytes: 0 },
      scope: { keys: found, folders: [] },
      plan: async () => ({ names: [], documents: [await look()], contents: [] }),
    };
  }

  async #looseEdges(digest: Digest): Promise<string[]> {
    const { store } = this.#parts;
    const { now, graceMs } = this.#search;
    const folder = referencesFolder(digest);
    const loose: string[] = [];
    for (const element of await store.list(folder)) {
      const edge = parseElement(element);
      if (edge === undefined) continue;
      const document = await store.readDocument(`${folder}/${element}`);
      if (document === undefined) continue;
      const repository = edgeRepository(document, edge.hash);
      if (repository === undefined) continue;
      if (Math.abs(now - (edgeTime(document) ?? now)) < graceMs) continue;
      const link = await store.readDocument(linkKey(repository, digest));
      if (link === undefined) loose.push(`${folder}/${element}`);
    }
    return loose;
  }

  #isYoung(record: ContentRecord | undefined): boolean {
    const { now, graceMs } = this.#search;
    // a clock that was set back must not keep an orphan for ever
    return record !== undefined && Math.abs(now - Date.parse(record.time)) < graceMs;
  }

  /** Whether edges lead there that this version cannot read. */
  async #isUnclear(digest: Digest): Promise<boolean> {
    const { store } = this.#parts;
    const folder = referencesFolder(digest);
    for (const element of await store.list(folder)) {
      const edge = parseElement(element);
      if (edge === undefined) return true;
      const document = await store.readDocument(`${folder}/${element}`);
      if (document && edgeRepository(document, edge.hash) === undefined) return true;
    }
    return false;
  }
}

async function* inGroups(digests: AsyncIterable<Digest>): AsyncGenerator<Digest[]> {
  let group: Digest[] = [];
  for await (const digest of digests) {
    group.push(digest);
    if (group.length < TOGETHER) continue;
    yield group;
    group = [];
  }
  yield group;
}
