// Carries out what the protocol rooms plan: a purge takes a name out of the store, and out of what remembers it.
//
//   announce → plan → announce what it found → documents, in order → contents, each under its lease → announce → mend
//
// It belongs to nobody's connection: once begun it goes on to its end. What a kill or a failing store leaves undone, the
// same purge ends when it is asked for again.

import { setImmediate as immediate } from 'node:timers/promises';
import { mapBounded } from '../engine/bounded.ts';
import type { Lease, Lock, Store } from '../engine/ports.ts';
import type {
  Announcements,
  PlannedContent,
  Purgeable,
  PurgePlan,
  PurgeScope,
} from '../engine/purge-plan.ts';

/** Calls of the store at once. */
const LANES = 16;
/** Longest wait for a lease, milliseconds. Its holder was told to give it back; one that is gone keeps nothing any more. */
const LEASE_WAIT_MS = 5000;

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
  run(purgeable: Purgeable): Promise<PurgeResult> {
    const done = this.#run(purgeable);
    this.#running.add(done);
    const end = () => this.#running.delete(done);
    done.then(end, end);
    return done;
  }

  /** Resolves when every purge under way is over. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  async #run(purgeable: Purgeable): Promise<PurgeResult> {
    const { announcements } = this.#parts;
    const { scope } = purgeable;
    await announcements.announce(scope);
    const plan = await purgeable.plan();
    const found = { keys: keysOf(plan), folders: [] };
    if (found.keys.length > 0) await announcements.announce(found);
    let freedBytes: number;
    try {
      freedBytes = await this.#delete(plan);
    } finally {
      // whoever read just before a deletion may remember what is gone
      await announcements.announce(both(scope, found));
    }
    await plan.after?.();
    return { purged: plan.names, freedBytes };
  }

  async #delete({ documents, contents }: PurgePlan): Promise<number> {
    const { store } = this.#parts;
    for (const group of documents) await mapBounded(group, LANES, (key) => store.delete(key));
    return sum(await mapBounded(contents, LANES, (content) => this.#deleteContent(content)));
  }

  /** The bytes that it freed. */
  async #deleteContent(content: PlannedContent): Promise<number> {
    const { store } = this.#parts;
    const { key } = content;
    const lease = await this.#lease(key);
    try {
      if (!(await content.mayGo())) return 0;
      const record = await store.record(key);
      await store.delete(key);
      return record?.size ?? 0;
    } finally {
      await lease?.release();
    }
  }

  /** Undefined where its holder does not give it back. */
  async #lease(key: string): Promise<Lease | undefined> {
    const waiting = new AbortController();
    const timer = setTimeout(() => {
      waiting.abort(new Error('the lease was waited for too long'));
    }, LEASE_WAIT_MS);
    const { signal } = waiting;
    try {
      for (;;) {
        const turn = await this.#parts.lock.acquire({ key, scope: `purge ${key}`, signal });
        if (!('kind' in turn)) return turn;
        // an outcome is for those who want the content, and is passed on to all of them first
        await immediate();
      }
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

const keysOf = ({ documents, contents }: PurgePlan): string[] => [
  ...documents.flat(),
  ...contents.map(({ key }) => key),
];

const both = (a: PurgeScope, b: PurgeScope): PurgeScope => ({
  keys: [...new Set([...a.keys, ...b.keys])],
  folders: [...a.folders, ...b.folders],
});

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
