// What a collection finds of images. First repository by repository: links that nobody owns there, with the edges that lead
// to them, and edges that are missing. Then all bytes: those that no repository has a link to any more. Last edges that say
// what is not so any more: of a tag that moved away, or that a killed purge left behind.

import { hash } from 'node:crypto';
import { mapBounded } from '../engine/bounded.ts';
import type { Orphans, Search, Sweeper } from '../engine/collection.ts';
import type { Pinned } from '../engine/holdings.ts';
import { keysBelow } from '../engine/keys-below.ts';
import type { ContentRecord, Store } from '../engine/ports.ts';
import type { PlannedContent } from '../engine/purge-plan.ts';
import { DigestFilter } from './digest-filter.ts';
import { digestText, type Digest } from './digest.ts';
import { EdgeLists } from './edge-lists.ts';
import { edgeDocument, edgeRepository, parseElement, repositoryHash, sameOwner } from './edges.ts';
import { contentKey, linkKey, REFERENCES, referencesFolder } from './keys.ts';
import type { Links } from './links.ts';
import { OrphanMarks, type Marks } from './orphan-marks.ts';
import { orphansIn, type RepositoryOrphans } from './orphans.ts';
import { isHeld, namesOf } from './purge.ts';
import { documentsOf, PurgeCascade, type Gone } from './purge-cascade.ts';
import { RepositoryView, storedChildren, type ViewParts } from './repository-view.ts';
import { isSaid, parseEdgeKey, readEdge, type Edge, type StoredEdge } from './stored-edges.ts';
import type { RepositoryName } from './upstreams.ts';
import { blobFolders, digestsIn, repositories, tagsOf } from './walk.ts';

/** Reads of the store at once. */
const READS = 16;
/** Edges that are looked at together; links likewise, unless one repository has more. */
const TOGETHER = 256;
/** Repositories that are looked at at once. */
const REPOSITORIES = 8;

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
    await sweep.learnEdges();
    yield* sweep.links();
    search.step();
    for (const folder of folders) {
      search.signal.throwIfAborted();
      const found = await sweep.bytes(folder);
      if (found) yield found;
      search.step();
    }
    for await (const keys of inGroups(sweep.doubtfulEdges())) {
      search.signal.throwIfAborted();
      const found = await sweep.edges(keys);
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
  /** Edges that tags and manifests speak for, by a hash of their keys. */
  readonly #true = new DigestFilter();
  /** Edges that were there at the start, likewise. */
  readonly #there = new DigestFilter();

  constructor(parts: OciSweepParts, search: Search, pinned: Pinned) {
    this.#parts = parts;
    this.#search = search;
    this.#pinned = pinned;
    this.#marks = new OrphanMarks(parts.store);
  }

  /** Which edges there are. */
  async learnEdges(): Promise<void> {
    for await (const key of this.#edges()) {
      this.#search.signal.throwIfAborted();
      this.#there.add(hashOf(key));
    }
  }

  #edges(): AsyncIterable<string> {
    const { store } = this.#parts;
    return store.listBelow?.(REFERENCES) ?? keysBelow(store, REFERENCES);
  }

  /** Links that nobody owns, of several repositories together: what all of them share is looked at once for these. */
  async *links(): AsyncGenerator<Orphans> {
    const { store } = this.#parts;
    const lists = new EdgeLists(store);
    let together: Unowned[] = [];
    let count = 0;
    for await (const repository of repositories(store)) {
      this.#search.signal.throwIfAborted();
      const found = await this.#unowned(repository, lists);
      if (found.digests.size === 0) continue;
      together.push(found);
      count += found.digests.size;
      if (count < TOGETHER) continue;
      yield this.#orphanedLinks(together);
      together = [];
      count = 0;
    }
    if (count > 0) yield this.#orphanedLinks(together);
  }

  /** Links of a repository that nobody owns, as the first look has it. */
  async #unowned(repository: RepositoryName, lists: EdgeLists): Promise<Unowned> {
    const view = new RepositoryView(this.#parts, repository, lists);
    const before = await this.#marks.read(view.hash);
    const missing = new Set<string>();
    const { orphans, owned, marks } = await this.#look(view, before, missing);
    if (!this.#search.dryRun) {
      await this.#marks.write(view.hash, marks);
      await this.#writeMissing(repository, missing);
    }
    for (const digest of owned) this.#staying.add(digest);
    for (const digest of orphans) this.#going.add(digest);
    const digests = new Set(orphans.map(digestText));
    return { repository, digests, marks: before, gone: await this.#gone(view, orphans) };
  }

  /** `missing`: edges that were not there at the start are added to it. */
  #look(view: RepositoryView, marks: Marks, missing?: Set<string>): Promise<RepositoryOrphans> {
    const { now, graceMs } = this.#search;
    return orphansIn(this.#parts.store, view, {
      now,
      graceMs,
      marks,
      pinned: this.#pinned,
      owns: (edge) => {
        const hashed = hashOf(edge);
        this.#true.add(hashed);
        if (!this.#there.has(hashed)) missing?.add(edge);
      },
    });
  }

  #gone(view: RepositoryView, orphans: readonly Digest[]): Promise<Gone> {
    return new PurgeCascade(this.#parts.store, view).goneOrphans(orphans);
  }

  async #orphanedLinks(found: readonly Unowned[]): Promise<Orphans> {
    const { store } = this.#parts;
    const gone = found.map((one) => one.gone);
    return {
      found: { names: await namesOf(store, gone, []), freedBytes: 0 },
      scope: { keys: gone.flatMap(linksOf), folders: [] },
      plan: async () => {
        const going = await this.#lookAgain(found);
        return {
          names: await namesOf(store, going, []),
          documents: documentsOf(going),
          contents: [],
          after: () => this.#relink(going),
        };
      },
    };
  }

  /** What is left of it, once the purge is announced: what was listed before does not count. */
  #lookAgain(found: readonly Unowned[]): Promise<Gone[]> {
    const lists = new EdgeLists(this.#parts.store);
    return mapBounded(found, REPOSITORIES, async ({ repository, digests, marks }) => {
      const view = new RepositoryView(this.#parts, repository, lists);
      const { orphans } = await this.#look(view, marks);
      return this.#gone(
        view,
        orphans.filter((digest) => digests.has(digestText(digest))),
      );
    });
  }

  /** For tags that came back to what has just lost its link. */
  async #relink(gone: readonly Gone[]): Promise<void> {
    const { store, links } = this.#parts;
    for (const { repository, digests } of gone) {
      const view = new RepositoryView(this.#parts, repository);
      for (const tag of await tagsOf(store, repository)) {
        const target = await view.target(tag);
        if (target === undefined || !digests.has(digestText(target))) continue;
        links.tagged(repository, target, tag);
        await this.#relinkBelow(repository, target);
      }
    }
    await links.settled();
  }

  async #relinkBelow(repository: RepositoryName, digest: Digest): Promise<void> {
    const { store, links } = this.#parts;
    const children = await storedChildren(store, digest);
    if (children === undefined) return;
    links.filled(repository, digest, children);
    for (const child of children.values()) await this.#relinkBelow(repository, child);
  }

  /** Edges that a purge at the same time, or a kill, kept from being written. */
  async #writeMissing(repository: RepositoryName, keys: ReadonlySet<string>): Promise<void> {
    const { store } = this.#parts;
    const edges = [...keys].flatMap((key) => parseEdgeKey(key) ?? []);
    await mapBounded(edges, READS, async (edge) => {
      if ((await store.readDocument(edge.key)) === undefined)
        await this.#restore([{ ...edge, repository }]);
    });
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

  /** Edges that no tag and no manifest was met that speaks for. */
  async *doubtfulEdges(): AsyncGenerator<string> {
    for await (const key of this.#edges()) if (!this.#true.has(hashOf(key))) yield key;
  }

  /** Those of them that say what is not so: to what has no link there, or has another owner. */
  async edges(keys: readonly string[]): Promise<Orphans | undefined> {
    const look = async () => {
      const views = viewsBy(this.#parts);
      const looked = await mapBounded(keys, READS, (key) => this.#staleEdge(key, views));
      return looked.filter((edge) => edge !== undefined);
    };
    const keysOf = (edges: readonly StoredEdge[]) => edges.map(({ key }) => key);
    const found = await look();
    if (found.length === 0) return undefined;
    return {
      found: { names: [], freedBytes: 0 },
      scope: { keys: keysOf(found), folders: [] },
      plan: async () => {
        const stale = await look();
        const documents = [keysOf(stale)];
        return { names: [], documents, contents: [], after: () => this.#restore(stale) };
      },
    };
  }

  async #staleEdge(key: string, views: Views): Promise<StoredEdge | undefined> {
    const { now, graceMs } = this.#search;
    const edge = await readEdge(this.#parts.store, key);
    if (edge === undefined || Math.abs(now - (edge.time ?? now)) < graceMs) return undefined;
    const { digest, owner } = edge;
    const view = views(edge.repository);
    if (!(await view.isLinked(digest))) return (await isSaid(view, edge)) ? undefined : edge;
    if (owner.kind === 'use' || (await view.isTrue(owner, digest))) return undefined;
    // else it may be all that tells since when nobody owns it; a use holds what no tag has led to since
    const isMoved = owner.kind === 'tag' && (await view.target(owner.tag)) !== undefined;
    for (const other of await view.owners(digest)) {
      if (sameOwner(other, owner) || (other.kind === 'use' && isMoved)) continue;
      if (await view.isTrue(other, digest)) return edge;
    }
    return undefined;
  }

  /** Those that are so, as it is known now: some came true while they went. */
  async #restore(edges: readonly Edge[]): Promise<void> {
    const { store } = this.#parts;
    const views = viewsBy(this.#parts);
    await mapBounded(edges, READS, async (edge) => {
      const { key, repository } = edge;
      if (!(await isSaid(views(repository), edge))) return;
      await store.writeDocument(key, edgeDocument(repository, new Date()));
      // a purge may have been faster
      if (!(await isSaid(new RepositoryView(this.#parts, repository), edge)))
        await store.delete(key);
    });
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

const linksOf = ({ repository, digests }: Gone): string[] =>
  [...digests.values()].map((digest) => linkKey(repository, digest));

type Views = (repository: RepositoryName) => RepositoryView;

/** One a repository, so that each thing is looked at once. */
function viewsBy(parts: ViewParts): Views {
  const lists = new EdgeLists(parts.store);
  const views = new Map<string, RepositoryView>();
  return (repository) => {
    const hash = repositoryHash(repository);
    const view = views.get(hash) ?? new RepositoryView(parts, repository, lists);
    views.set(hash, view);
    return view;
  };
}

/** What nobody owns in a repository. */
interface Unowned {
  readonly repository: RepositoryName;
  /** By their texts. */
  readonly digests: ReadonlySet<string>;
  /** From before the first look. */
  readonly marks: Marks;
  readonly gone: Gone;
}

const hashOf = (key: string) => ({ hex: hash('sha256', key) });

async function* inGroups(keys: AsyncIterable<string>): AsyncGenerator<string[]> {
  let group: string[] = [];
  for await (const key of keys) {
    group.push(key);
    if (group.length < TOGETHER) continue;
    yield group;
    group = [];
  }
  yield group;
}
