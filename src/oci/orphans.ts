// Which digests a repository has a link to and nobody owns: neither a tag leads there, nor a manifest that is owned itself,
// nor a use. Truth comes first: tags and manifests say what they own; edges are asked only about what is left then. What
// cannot be read holds, and so does a link without any edge of its repository: they may have been lost.

import { decodeAnswer } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import type { Pinned } from '../engine/holdings.ts';
import { digestText, type Digest } from './digest.ts';
import { edgeKey, edgeTime, type Owner } from './edges.ts';
import { linkKey, tagKey } from './keys.ts';
import type { Marks } from './orphan-marks.ts';
import { purgedName } from './purge-name.ts';
import { storedManifest, type RepositoryView, type ViewParts } from './repository-view.ts';
import { targetOf } from './tags.ts';
import type { RepositoryName } from './upstreams.ts';
import { linkedDigests, tagsOf } from './walk.ts';

/** Reads of the store at once. */
const READS = 16;

export interface OrphanRules {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly graceMs: number;
  readonly marks: Marks;
  /** Names, as a purge has them. */
  readonly pinned: Pinned;
  /** Told of each edge that says what is so: keys, whether they are there or not. */
  readonly owns: (edge: string) => void;
}

export interface RepositoryOrphans {
  readonly orphans: readonly Digest[];
  /** What stays, whether its link is there or was never written. */
  readonly owned: readonly Digest[];
  /** Of orphans in their grace, which nothing but a mark gives a time. */
  readonly marks: Marks;
}

/** A tag's own document. */
type Tag = { readonly digest: Digest; readonly since: number } | 'unreadable';

/** A digest that no tag leads to. */
interface Doubtful {
  readonly digest: Digest;
  readonly text: string;
  /** Somebody owns it for certain, or nobody can say, or it is too young. */
  isHeld: boolean;
  /** When its last tag moved away; 0 without one. Milliseconds since the epoch, as are the others. */
  retagged: number;
  /** When it was used by its digest; 0 when it was not. */
  used: number;
  /** Its tag is gone, and nothing tells since when. */
  timeless: boolean;
  readonly manifests: readonly Digest[];
}

/** `view`: of the repository. Changes nothing. Throws LarderError `store_failed`. */
export async function orphansIn(
  store: ViewParts['store'],
  view: RepositoryView,
  rules: OrphanRules,
): Promise<RepositoryOrphans> {
  const search = new OrphanSearch(store, view, rules);
  return search.run();
}

class OrphanSearch {
  readonly #store: ViewParts['store'];
  readonly #repository: RepositoryName;
  readonly #rules: OrphanRules;
  readonly #view: RepositoryView;
  readonly #tags = new Map<string, Tag>();
  /** Texts of digests that had a link at the start. */
  readonly #linked = new Set<string>();
  /** Digests that somebody owns, by their texts; with a link or without one. */
  readonly #held = new Map<string, Digest>();
  #doubtful = new Map<string, Doubtful>();

  constructor(store: ViewParts['store'], view: RepositoryView, rules: OrphanRules) {
    this.#store = store;
    this.#repository = view.repository;
    this.#rules = rules;
    this.#view = view;
  }

  async run(): Promise<RepositoryOrphans> {
    const store = this.#store;
    // links first: a tag that comes meanwhile has its own link written after it
    const linked: Digest[] = [];
    for await (const digest of linkedDigests(store, this.#repository)) {
      linked.push(digest);
      this.#linked.add(digestText(digest));
    }
    const tags = await tagsOf(store, this.#repository);
    await mapBounded(tags, READS, (tag) => this.#readTag(tag));
    await this.#holdTagged();
    const rest = linked.filter((digest) => !this.#held.has(digestText(digest)));
    const doubtful = await mapBounded(rest, READS, (digest) => this.#look(digest));
    this.#doubtful = new Map(doubtful.map((one) => [one.text, one]));
    this.#judgeUses();
    await this.#holdOwned();
    const marks = await this.#mark();
    const orphans = linked.filter((digest) => !this.#held.has(digestText(digest)));
    return { orphans, owned: [...this.#held.values()], marks };
  }

  async #readTag(tag: string): Promise<void> {
    const document = await this.#store.readDocument(tagKey(this.#repository, tag));
    if (document === undefined) return;
    this.#tags.set(tag, readTag(document));
  }

  /** What tags lead to, and what that names. */
  async #holdTagged(): Promise<void> {
    const targets = [...this.#tags.values()].flatMap((tag) =>
      tag === 'unreadable' ? [] : [tag.digest],
    );
    for (const [name, tag] of this.#tags)
      if (tag !== 'unreadable') this.#owns({ kind: 'tag', tag: name }, [tag.digest]);
    let manifests = this.#hold(targets);
    while (manifests.length > 0) {
      const named = await mapBounded(manifests, READS, async (digest) => {
        const manifest = await storedManifest(this.#store, digest);
        const digestsOf = (of: 'blobs' | 'manifests') =>
          (manifest?.[of] ?? []).map((one) => one.digest);
        const [blobs, below] = [digestsOf('blobs'), digestsOf('manifests')];
        this.#owns({ kind: 'manifest', digest }, [...blobs, ...below]);
        return { blobs, below };
      });
      this.#hold(named.flatMap(({ blobs }) => blobs));
      manifests = this.#hold(named.flatMap(({ below }) => below));
    }
  }

  #owns(owner: Owner, digests: readonly Digest[]): void {
    // a manifest that is not the repository's owns nothing there, as RepositoryView.isTrue has it
    if (owner.kind === 'manifest' && !this.#linked.has(digestText(owner.digest))) return;
    for (const digest of digests) this.#rules.owns(edgeKey(digest, this.#view.hash, owner));
  }

  /** The result: those that were not held before. */
  #hold(digests: readonly Digest[]): Digest[] {
    return digests.filter((digest) => {
      const text = digestText(digest);
      const isNew = !this.#held.has(text);
      this.#held.set(text, digest);
      return isNew;
    });
  }

  /** What edges say of its owners, and its age. */
  async #look(digest: Digest): Promise<Doubtful> {
    const store = this.#store;
    const link = await store.readDocument(linkKey(this.#repository, digest));
    const since = link && edgeTime(link);
    const found: Doubtful & { manifests: Digest[] } = {
      digest,
      text: digestText(digest),
      // a link that is gone meanwhile is nobody's business
      isHeld: since === undefined || this.#isYoung(since) || this.#isPinned(digest),
      retagged: 0,
      used: 0,
      timeless: false,
      manifests: [],
    };
    const edges = await this.#view.edges(digest);
    const owners = edges.ownersIn(this.#view.hash);
    if (edges.isUnclear || owners.length === 0) found.isHeld = true;
    for (const owner of owners) {
      if (owner.kind === 'tag') this.#lookAtTag(found, this.#tags.get(owner.tag));
      else if (owner.kind === 'manifest') found.manifests.push(owner.digest);
      else {
        const document = await store.readDocument(edgeKey(digest, this.#view.hash, owner));
        // one that cannot be read may be of now
        if (document) found.used = edgeTime(document) ?? Infinity;
      }
    }
    return found;
  }

  #lookAtTag(found: Doubtful, tag: Tag | undefined): void {
    if (tag === undefined) {
      found.timeless = true;
      return;
    }
    if (tag === 'unreadable' || digestText(tag.digest) === found.text) {
      found.isHeld = true;
      return;
    }
    found.retagged = Math.max(found.retagged, tag.since);
    if (this.#isYoung(tag.since)) found.isHeld = true;
  }

  #isPinned(digest: Digest): boolean {
    const names = [purgedName(this.#repository, { kind: 'digest', digest }), this.#name];
    return names.some((name) => this.#rules.pinned.has(name));
  }

  get #name(): string {
    return purgedName(this.#repository, { kind: 'repository' });
  }

  #isYoung(since: number): boolean {
    // a clock that was set back must not keep an orphan for ever
    return Math.abs(this.#rules.now - since) < this.#rules.graceMs;
  }

  /** A use holds, unless a tag has led there since and moved away. */
  #judgeUses(): void {
    const retagged = new Map<string, number>();
    const retaggedOf = (one: Doubtful): number => {
      const known = retagged.get(one.text);
      if (known !== undefined) return known;
      // no manifest can name itself, but an edge may say so
      retagged.set(one.text, one.retagged);
      const owners = one.manifests.map((digest) => this.#doubtful.get(digestText(digest)));
      const all = owners.map((owner) => (owner === undefined ? 0 : retaggedOf(owner)));
      const last = Math.max(one.retagged, ...all);
      retagged.set(one.text, last);
      return last;
    };
    for (const one of this.#doubtful.values())
      if (one.used > 0 && one.used > retaggedOf(one)) one.isHeld = true;
  }

  /** What is held holds what it names. */
  async #holdOwned(): Promise<void> {
    const certain = [...this.#doubtful.values()].filter(({ isHeld }) => isHeld);
    let held = this.#hold(certain.map(({ digest }) => digest));
    do {
      const named = await mapBounded(held, READS, async (digest) => {
        const children = [...((await this.#view.children(digest))?.values() ?? [])];
        this.#owns({ kind: 'manifest', digest }, children);
        return children;
      });
      held = this.#hold(named.flat());
      if (held.length > 0) continue;
      // what a held manifest names that cannot be read, edges tell
      const owned = await mapBounded(this.#left(), READS, async (one) =>
        (await this.#isOwned(one)) ? [one.digest] : [],
      );
      held = this.#hold(owned.flat());
    } while (held.length > 0);
  }

  /** By a manifest that is held, as an edge says: one that cannot be read may name it. */
  async #isOwned({ digest, manifests }: Doubtful): Promise<boolean> {
    for (const manifest of manifests) {
      if (!this.#held.has(digestText(manifest))) continue;
      if (await this.#view.isTrue({ kind: 'manifest', digest: manifest }, digest)) return true;
    }
    return false;
  }

  #left(): Doubtful[] {
    return [...this.#doubtful.values()].filter(({ text }) => !this.#held.has(text));
  }

  async #mark(): Promise<Marks> {
    const { marks, now } = this.#rules;
    const kept = new Map<string, number>();
    for (const one of this.#left()) {
      const since = marks.get(one.text) ?? now;
      if (!one.timeless || !this.#isYoung(since)) continue;
      kept.set(one.text, since);
      one.isHeld = true;
    }
    if (kept.size > 0) await this.#holdOwned();
    return kept;
  }
}

function readTag(document: Uint8Array): Tag {
  const answer = decodeAnswer(document);
  try {
    const since = Date.parse(answer?.record.time ?? '');
    if (answer === undefined || Number.isNaN(since)) return 'unreadable';
    return { digest: targetOf(answer.bytes).digest, since };
  } catch {
    return 'unreadable';
  }
}
