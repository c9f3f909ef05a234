// Carries out what the protocol rooms plan: a purge takes a name out of the store, and out of what remembers it.
//
//   announce → plan → announce what it found → documents, in order → contents, each under its lease → announce → mend
//
// It belongs to nobody's connection: once begun it goes on to its end. What a kill or a failing store leaves undone, the
// same purge ends when it is asked for again.

import { mapBounded } from '../engine/bounded.ts';
import type { Lock, Store } from '../engine/ports.ts';
import type {
  Announcements,
  PlannedContent,
  Purgeable,
  PurgePlan,
  PurgeScope,
} from '../engine/purge-plan.ts';
import { leaseWithin } from './leases.ts';

/** Calls of the store at once. */
const LANES = 16;
/** Longest wait for a lease, milliseconds. Its holder was told to give it back; one that is gone keeps nothing any more. */
const LEASE_WAIT_MS = 5000;
/** The same for who leaves alone what somebody works on. */
const YIELD_MS = 1000;

export interface PurgeOptions {
  /** Content whose lease somebody holds, and is not told to give back, is left alone. */
  readonly yields?: boolean;
}

export interface PurgeResult {
  /** Names of what went, or would go. */
  readonly purged: readonly string[];
  /** Of content alone, each counted by one purge, whoever purges at the same time. */
  readonly freedBytes: number;
}

export interface PurgerParts {
  /** Without a memory, from which what another replica has deleted would be counted again. */
  readonly store: Store;
  readonly lock: Lock;
  readonly announcements: Announcements;
  /** Called before it is planned what goes: from then on who owns what is known. Throws LarderError `store_failed`. */
  readonly ensureOwners?: () => Promise<void>;
  /** Told of content that is gone, in bytes. Must not throw. */
  readonly removed?: (key: string, bytes: number) => void;
}

/** A unit that may be taken, unless something speaks for it when its turn comes. */
export interface Evictable {
  readonly purgeable: Purgeable;
  /** Asked with what would go, just before it goes. Throws LarderError `store_failed`. */
  readonly isSpared: (plan: PurgePlan) => boolean;
  /** Told, where there was anything of it, what its end freed. Must not throw. */
  readonly gone: (bytes: number) => void;
}

export class Purger {
  readonly #parts: PurgerParts;
  readonly #running = new Set<Promise<unknown>>();

  constructor(parts: PurgerParts) {
    this.#parts = parts;
  }

  /** What a purge would take, as far as is known without doing it. Changes nothing. Throws LarderError `store_failed`. */
  async preview(purgeable: Purgeable): Promise<PurgeResult> {
    const { names, contents } = await purgeable.plan();
    const sizes = await mapBounded(contents, LANES, async ({ key }) => {
      const record = await this.#parts.store.record(key);
      return record?.size ?? 0;
    });
    return { purged: names, freedBytes: sum(sizes) };
  }

  /** Throws LarderError `store_failed`: what was done until then stays done. */
  run(
    purgeable: Pick<Purgeable, 'scope' | 'plan'>,
    { yields = false }: PurgeOptions = {},
  ): Promise<PurgeResult> {
    return this.#tracked(this.#run(purgeable, yields));
  }

  /**
   * Purges one after another, told to the replicas together, as nobody waits for any of them. `goesOn` is asked before each.
   * Throws as `run` does.
   */
  evict(units: readonly Evictable[], goesOn: () => boolean): Promise<void> {
    return this.#tracked(this.#evict(units, goesOn));
  }

  /** Resolves when every purge under way is over. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #tracked<T>(done: Promise<T>): Promise<T> {
    this.#running.add(done);
    const end = () => this.#running.delete(done);
    done.then(end, end);
    return done;
  }

  async #evict(units: readonly Evictable[], goesOn: () => boolean): Promise<void> {
    const { announcements } = this.#parts;
    await this.#parts.ensureOwners?.();
    let scope: PurgeScope = { keys: [], folders: [] };
    for (const { purgeable } of units) scope = both(scope, purgeable.scope);
    await announcements.announce(scope);
    // told anew of what goes alone: whoever fetches what stays is left alone
    scope = { keys: [], folders: [] };
    try {
      for (const { purgeable, isSpared, gone } of units) {
        if (!goesOn()) return;
        const plan = await purgeable.plan();
        if (isSpared(plan)) continue;
        scope = both(scope, both(purgeable.scope, { keys: keysOf(plan), folders: [] }));
        const bytes = bytesOf(await this.#delete(plan, false));
        await plan.after?.();
        if (bytes > 0 || plan.documents.some((group) => group.length > 0)) gone(bytes);
      }
    } finally {
      if (scope.keys.length + scope.folders.length > 0) await announcements.announce(scope);
    }
  }

  async #run(purgeable: Pick<Purgeable, 'scope' | 'plan'>, yields: boolean): Promise<PurgeResult> {
    const { announcements } = this.#parts;
    const { scope } = purgeable;
    await this.#parts.ensureOwners?.();
    await announcements.announce(scope);
    const plan = await purgeable.plan();
    const found = { keys: keysOf(plan), folders: [] };
    if (found.keys.length > 0) await announcements.announce(found);
    let deleted: Deleted[];
    try {
      deleted = await this.#delete(plan, yields);
    } finally {
      // whoever read just before a deletion may remember what is gone
      await announcements.announce(both(scope, found));
    }
    await plan.after?.();
    const named = deleted.flatMap(({ name }) => (name === undefined ? [] : [name]));
    return { purged: [...plan.names, ...named], freedBytes: bytesOf(deleted) };
  }

  async #delete({ documents, contents }: PurgePlan, yields: boolean): Promise<Deleted[]> {
    const { store } = this.#parts;
    for (const group of documents) await mapBounded(group, LANES, (key) => store.delete(key));
    return mapBounded(contents, LANES, (content) => this.#deleteContent(content, yields));
  }

  async #deleteContent(content: PlannedContent, yields: boolean): Promise<Deleted> {
    const { store, lock, removed } = this.#parts;
    const { key, name } = content;
    const waitMs = yields ? YIELD_MS : LEASE_WAIT_MS;
    const lease = await leaseWithin(lock, { key, scope: `purge ${key}`, waitMs });
    if (lease === undefined && yields) return { bytes: 0 };
    try {
      if (!(await content.mayGo())) return { bytes: 0 };
      const record = await store.record(key);
      await store.delete(key);
      if (record === undefined) return { bytes: 0 };
      removed?.(key, record.size);
      return { bytes: record.size, ...(name !== undefined && { name }) };
    } finally {
      await lease?.release();
    }
  }
}

interface Deleted {
  readonly bytes: number;
  /** Of content that went, where it has one of its own. */
  readonly name?: string;
}

const bytesOf = (deleted: readonly Deleted[]): number => sum(deleted.map(({ bytes }) => bytes));

const keysOf = ({ documents, contents }: PurgePlan): string[] => [
  ...documents.flat(),
  ...contents.map(({ key }) => key),
];

const both = (a: PurgeScope, b: PurgeScope): PurgeScope => ({
  keys: [...new Set([...a.keys, ...b.keys])],
  folders: [...a.folders, ...b.folders],
});

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
