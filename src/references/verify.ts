// Goes through all that is stored: bytes against digests and records, zips by their rules, documents against their
// checksums; and with `repair` writes what tells who owns what where it is missing.
//
//   contents of every room → documents → owners
//
// Folder by folder, a bounded number of things at once, so that neither memory nor readers suffer. It leaves a note of how
// far it has come: what was killed goes on there when the same is asked for within a day.

import { mapBounded } from '../engine/bounded.ts';
import type { Clock, Store } from '../engine/ports.ts';
import { seal, unseal } from '../engine/seal.ts';
import type { ContentItem, Verifiable, VerifyItem, VerifyPart } from '../engine/verify-plan.ts';
import { CANCELLED, type Progress } from './jobs.ts';
import { leaseOf } from './leases.ts';
import {
  lookAtContent,
  lookAtDocument,
  restore,
  type ItemParts,
  type Looked,
} from './verify-items.ts';

/** Things looked at at once: a hit waits for none of them, but shares disk and processor. */
const LANES = 8;
/** Things between two notes at least, and two looks at the time. */
const BATCH = 256;
/** Between two notes, milliseconds. */
const NOTE_MS = 5000;
/** After which a note is of no use, milliseconds. */
const NOTE_KEPT_MS = 24 * 3_600_000;
/** Names in a result. */
const MAX_NAMES = 10_000;

/** While it is there edges are missing: nothing may be collected, or evicted for want of an owner. A document. */
export const REBUILDING = 'references/rebuilding';

/** Throws LarderError `store_failed`. */
export const isRebuilding = async (store: Pick<Store, 'readDocument'>): Promise<boolean> =>
  (await store.readDocument(REBUILDING)) !== undefined;

const NOTE = 'references/verify';
const NOTE_MEMBERS = ['repair', 'part', 'after', 'time', 'result'];

export interface VerifyOptions {
  /** Takes away what is wrong, and writes what is missing. */
  readonly repair: boolean;
  /** Looks at so many pieces of content alone, chosen by chance. */
  readonly sample?: number;
}

export interface VerifyResult {
  /** Pieces of content and documents that were there. */
  readonly checked: number;
  /** Names of what was wrong, 10,000 at most: `go:M@V`, `oci:HOST/REPO@DIGEST`, `oci:@DIGEST`, `document:KEY`. */
  readonly corrupt: readonly string[];
  /** How many of these are right again, or fetched anew when somebody asks. */
  readonly repaired: number;
  readonly edgesRestored: number;
}

export interface VerifierParts extends ItemParts {
  readonly rooms: readonly Verifiable[];
  readonly clock: Clock;
}

export class Verifier {
  readonly #parts: VerifierParts;
  #ensuring: Promise<void> | undefined;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  /**
   * One at a time on all replicas; it waits its turn. Throws LarderError `store_failed`, and the signal's reason when it
   * aborts: after any but `CANCELLED` it goes on from there the next time, as it does after a kill.
   */
  async run(
    options: VerifyOptions,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void = () => undefined,
  ): Promise<VerifyResult> {
    const lease = await leaseOf(this.#parts.lock, { key: NOTE, scope: 'verify' }, signal);
    try {
      const both = AbortSignal.any([signal, lease.lost]);
      const run = new Run(this.#parts, options.repair, both, onProgress);
      return await (options.sample === undefined ? run.whole() : run.sampled(options.sample));
    } finally {
      await lease.release();
    }
  }

  /**
   * Writes all edges anew where they are lost as a whole: whoever is about to take what nobody owns must not take that for
   * a sign. Throws LarderError `store_failed`, and the signal's reason.
   */
  ensureOwners(signal: AbortSignal): Promise<void> {
    this.#ensuring ??= this.#ensureOwners(signal).finally(() => {
      this.#ensuring = undefined;
    });
    return this.#ensuring;
  }

  async #ensureOwners(signal: AbortSignal): Promise<void> {
    const { store, lock, rooms, clock } = this.#parts;
    if (!(await hasLostOwners(rooms))) return;
    const lease = await leaseOf(lock, { key: NOTE, scope: 'verify' }, signal);
    try {
      // a verification that was waited for has done it
      if (!(await hasLostOwners(rooms))) return;
      await writeMark(store, clock);
      await restoreEdges({ store, rooms }, AbortSignal.any([signal, lease.lost]));
      await store.delete(REBUILDING);
    } finally {
      await lease.release();
    }
  }
}

/** Nothing is collected while it is there. */
function writeMark(store: Store, clock: Clock): Promise<void> {
  const time = new Date(clock.now()).toISOString();
  return store.writeDocument(REBUILDING, Buffer.from(seal({ time })));
}

/** Whether all edges of a room are gone, while there is what they tell of. Throws LarderError `store_failed`. */
async function hasLostOwners(rooms: readonly Verifiable[]): Promise<boolean> {
  for (const room of rooms) if ((await room.hasLostOwners?.()) === true) return true;
  return false;
}

/** Writes the edges of all that is stored, where they are missing. The result: how many. Throws as `Verifier.run` does. */
export async function restoreEdges(
  { store, rooms }: Pick<VerifierParts, 'store' | 'rooms'>,
  signal: AbortSignal,
): Promise<number> {
  let edges = 0;
  for (const part of rooms.flatMap(({ owners }) => owners)) {
    for await (const batch of batches(part)) {
      signal.throwIfAborted();
      const restored = await mapBounded(batch, LANES, async (item) =>
        item.kind === 'owner' ? restore(store, item, signal) : 0,
      );
      edges += sum(restored);
    }
  }
  return edges;
}

class Run {
  readonly #parts: VerifierParts;
  readonly #repair: boolean;
  readonly #signal: AbortSignal;
  readonly #onProgress: (progress: Progress) => void;
  readonly #corrupt = new Set<string>();
  #checked = 0;
  #edgesRestored = 0;
  #done = 0;
  #total = 0;
  #notedAt: number;
  /** It has itself taken an edge away or found one missing. */
  #edgesChanged = false;

  constructor(
    parts: VerifierParts,
    repair: boolean,
    signal: AbortSignal,
    onProgress: (progress: Progress) => void,
  ) {
    this.#parts = parts;
    this.#repair = repair;
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.#notedAt = parts.clock.now();
  }

  async sampled(size: number): Promise<VerifyResult> {
    const chosen: ContentItem[] = [];
    let met = 0;
    for (const { contents } of this.#parts.rooms) {
      for await (const item of contents.items()) {
        this.#signal.throwIfAborted();
        if (item.kind !== 'content') continue;
        // each of those met so far is among the chosen ones with the same probability
        const at = met < size ? met : Math.floor(Math.random() * (met + 1));
        if (at < size) chosen[at] = item;
        met++;
      }
    }
    this.#total = chosen.length;
    await this.#lookAt(chosen);
    return this.#result();
  }

  async whole(): Promise<VerifyResult> {
    const { store } = this.#parts;
    for (const [key, members] of [
      [NOTE, NOTE_MEMBERS],
      [REBUILDING, ['time']],
    ] as const) {
      const document = await store.readDocument(key);
      // it is written anew, or deleted, by this very run
      if (document && unseal(Buffer.from(document).toString(), members) === undefined)
        this.#corrupt.add(`document:${key}`);
    }
    const mark = this.#repair ? await this.#mark() : undefined;
    try {
      await this.#goThrough();
    } catch (error) {
      if (this.#signal.reason === CANCELLED) await store.delete(NOTE);
      if (mark && !mark.wasNeeded && !this.#edgesChanged) await store.delete(REBUILDING);
      throw error;
    }
    await store.delete(NOTE);
    if (mark) await store.delete(REBUILDING);
    return this.#result();
  }

  /** Nothing is collected while edges may be missing. */
  async #mark(): Promise<{ wasNeeded: boolean }> {
    const { store, rooms, clock } = this.#parts;
    const wasNeeded = (await isRebuilding(store)) || (await hasLostOwners(rooms));
    await writeMark(store, clock);
    return { wasNeeded };
  }

  async #goThrough(): Promise<void> {
    const { rooms } = this.#parts;
    const parts = [
      ...rooms.map(({ contents }) => contents),
      ...rooms.flatMap(({ documents }) => documents),
      ...(this.#repair ? rooms.flatMap(({ owners }) => owners) : []),
    ];
    const begun = await this.#readNote();
    for (const [at, part] of parts.entries()) {
      if (at < begun.part) continue;
      const after = at === begun.part ? begun.after : '';
      // documents are counted when they are come upon
      if (at === begun.part) await this.#count(parts.slice(at, rooms.length), after);
      for await (const batch of batches(part, after)) {
        if (at >= rooms.length) this.#total += batch.length;
        await this.#lookAt(batch);
        await this.#note(at, batch.at(-1)?.key ?? '');
      }
    }
  }

  /** `after`: what of the first one is done. */
  async #count(parts: readonly VerifyPart[], after: string): Promise<void> {
    this.#total = this.#done;
    for (const [at, part] of parts.entries()) {
      for await (const { key } of part.items()) {
        this.#signal.throwIfAborted();
        if (at > 0 || key > after) this.#total++;
      }
    }
    this.#tell();
  }

  async #lookAt(items: readonly VerifyItem[]): Promise<void> {
    this.#signal.throwIfAborted();
    const removed: ContentItem[] = [];
    await mapBounded(items, LANES, async (item) => {
      this.#signal.throwIfAborted();
      if ((await this.#look(item)) && item.kind === 'content') removed.push(item);
      this.#done++;
    });
    if (this.#repair) for (const item of removed) await item.removed?.();
    this.#tell();
  }

  /** Whether it was wrong. */
  async #look(item: VerifyItem): Promise<boolean> {
    switch (item.kind) {
      case 'content':
        return this.#tally(await lookAtContent(this.#parts, item, this.#repair, this.#signal));
      case 'document':
        return this.#tally(await lookAtDocument(this.#parts, item, this.#repair, this.#signal));
      case 'group':
        for (const document of await item.documents()) await this.#look(document);
        return false;
      case 'owner': {
        const edges = await restore(this.#parts.store, item, this.#signal);
        if (edges > 0) this.#edgesChanged = true;
        this.#edgesRestored += edges;
        return false;
      }
    }
  }

  #tally({ checked, name }: Looked): boolean {
    if (checked) this.#checked++;
    if (name === undefined) return false;
    if (name.startsWith('document:')) this.#edgesChanged = true;
    if (this.#corrupt.size < MAX_NAMES) this.#corrupt.add(name);
    return true;
  }

  #tell(): void {
    this.#onProgress({ done: this.#done, total: Math.max(this.#done, this.#total) });
  }

  #result(): VerifyResult {
    const corrupt = [...this.#corrupt];
    return {
      checked: this.#checked,
      corrupt,
      repaired: this.#repair ? corrupt.length : 0,
      edgesRestored: this.#edgesRestored,
    };
  }

  async #note(part: number, after: string): Promise<void> {
    const { store, clock } = this.#parts;
    const now = clock.now();
    if (now - this.#notedAt < NOTE_MS) return;
    this.#notedAt = now;
    const result = { ...this.#result(), done: this.#done };
    const note = { repair: this.#repair, part, after, time: now, result };
    await store.writeDocument(NOTE, Buffer.from(seal(note)));
  }

  /** Where to go on; from the start where there is no note of use. */
  async #readNote(): Promise<{ part: number; after: string }> {
    const { store, clock } = this.#parts;
    const document = await store.readDocument(NOTE);
    const note = document && unseal(Buffer.from(document).toString(), NOTE_MEMBERS);
    const { repair, part, after, time, result } = (note ?? {}) as Partial<Note>;
    const isOfUse = repair === this.#repair && Math.abs(clock.now() - (time ?? 0)) < NOTE_KEPT_MS;
    if (!isOfUse || part === undefined || after === undefined || result === undefined)
      return { part: 0, after: '' };
    this.#checked = result.checked;
    this.#edgesRestored = result.edgesRestored;
    this.#done = result.done;
    for (const name of result.corrupt) this.#corrupt.add(name);
    return { part, after };
  }
}

interface Note {
  readonly repair: boolean;
  readonly part: number;
  readonly after: string;
  readonly time: number;
  readonly result: VerifyResult & { readonly done: number };
}

/** What is behind a key, in groups. */
async function* batches(part: VerifyPart, after = ''): AsyncGenerator<VerifyItem[]> {
  let batch: VerifyItem[] = [];
  for await (const item of part.items()) {
    if (item.key <= after) continue;
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
