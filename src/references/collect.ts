// Collection: takes out of the store what nobody owns any more, and answers past any use. What may go is found by those who
// know what is there; it goes by the way of a purge, but leaves alone whatever somebody works on. One at a time among all
// replicas, at any time beside reads, fills and purges.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Search, Sweeper } from '../engine/collection.ts';
import { keysBelow } from '../engine/keys-below.ts';
import type { Lease, Lock, Store } from '../engine/ports.ts';
import { seal, unseal } from '../engine/seal.ts';
import type { DocumentItem } from '../engine/verify-plan.ts';
import type { Progress } from './jobs.ts';
import { leaseOf } from './leases.ts';
import type { Purger } from './purge.ts';
import { isRebuilding } from './verify.ts';

/** Names in a result. */
const MAX_NAMES = 1000;
const LEASE = 'collect';
/** Longest wait for the lease: another replica's collection is waited for, and asked anew after. Milliseconds. */
const LEASE_WAIT_MS = 60_000;
/** When a collection last ended that was no dry run. */
const COLLECTED = 'references/collected';

export interface CollectResult {
  /** How many names. */
  readonly count: number;
  /** Of content. */
  readonly freedBytes: number;
  /** Names of what went, or would go; a thousand at most. */
  readonly collected: readonly string[];
  /** Why nothing was looked at; a sentence. */
  readonly skipped?: string;
}

export interface CollectorParts {
  /** Without a memory. */
  readonly store: Store;
  readonly lock: Lock;
  readonly purger: Pick<Purger, 'run'>;
  /** One after another. */
  readonly sweepers: readonly Sweeper[];
  readonly graceMs: number;
  /** Nothing goes but by a purge. */
  readonly keepsAll: boolean;
  readonly now: () => number;
}

export interface CollectOptions {
  /** Finds the very same, and leaves it. */
  readonly dryRun: boolean;
  /** Does nothing where the last one ended less than so many milliseconds ago, on whichever replica. */
  readonly dueMs?: number;
}

export class Collector {
  readonly #parts: CollectorParts;

  constructor(parts: CollectorParts) {
    this.#parts = parts;
  }

  /** Throws LarderError `store_failed`, and the signal's reason: what was done until then stays done. */
  async run(
    options: CollectOptions,
    signal: AbortSignal,
    progress: (now: Progress) => void = () => undefined,
  ): Promise<CollectResult> {
    const { store, keepsAll } = this.#parts;
    if (keepsAll) return nothing('LARDER_KEEP=all: nothing goes but by a purge');
    const lease = await this.#lease(signal);
    if (lease === undefined) return nothing('another replica is collecting');
    try {
      if (await isRebuilding(store))
        return nothing('the references are being rebuilt: nothing is collected until that is done');
      if (options.dueMs !== undefined && !(await this.isDue(options.dueMs)))
        return nothing('another replica has just collected');
      const result = await this.#collect(options, AbortSignal.any([signal, lease.lost]), progress);
      if (!options.dryRun) {
        const ended = { time: new Date(this.#parts.now()).toISOString() };
        await store.writeDocument(COLLECTED, Buffer.from(seal(ended)));
      }
      return result;
    } finally {
      await lease.release();
    }
  }

  /** Whether the last one ended so many milliseconds ago, on whichever replica. Throws LarderError `store_failed`. */
  async isDue(intervalMs: number): Promise<boolean> {
    const document = await this.#parts.store.readDocument(COLLECTED);
    const since = document === undefined ? undefined : timeIn(document);
    return since === undefined || Math.abs(this.#parts.now() - since) >= intervalMs;
  }

  async #collect(
    { dryRun }: CollectOptions,
    signal: AbortSignal,
    progress: (now: Progress) => void,
  ): Promise<CollectResult> {
    const { store, sweepers, graceMs, now } = this.#parts;
    const steps = { done: 0, total: 0 };
    const search: Search = {
      now: now(),
      graceMs,
      dryRun,
      signal,
      expect(more) {
        steps.total += more;
        progress({ ...steps });
      },
      step() {
        steps.done++;
        progress({ ...steps });
      },
    };
    const tally = { count: 0, freedBytes: 0, collected: [] as string[] };
    for (const sweeper of sweepers) {
      for await (const orphans of sweeper.orphans(search)) {
        signal.throwIfAborted();
        // a rebuild that began meanwhile has taken edges away
        if (!dryRun && (await isRebuilding(store))) return tally;
        const { names, freedBytes } = dryRun ? orphans.found : await this.#carryOut(orphans);
        tally.count += names.length;
        tally.freedBytes += freedBytes;
        tally.collected.push(...names.slice(0, MAX_NAMES - tally.collected.length));
        // whoever has a request gets on meanwhile
        await sleep(0, undefined, { signal });
      }
    }
    return tally;
  }

  async #carryOut(orphans: Parameters<Purger['run']>[0]) {
    const { purged: names, freedBytes } = await this.#parts.purger.run(orphans, { yields: true });
    return { names, freedBytes };
  }

  /** Undefined where another replica has it for too long. */
  async #lease(signal: AbortSignal): Promise<Lease | undefined> {
    const tooLong = AbortSignal.timeout(LEASE_WAIT_MS);
    try {
      const both = AbortSignal.any([signal, tooLong]);
      return await leaseOf(this.#parts.lock, { key: LEASE, scope: LEASE }, both);
    } catch (error) {
      signal.throwIfAborted();
      if (tooLong.aborted) return undefined;
      throw error;
    }
  }
}

const nothing = (skipped: string): CollectResult => ({
  count: 0,
  freedBytes: 0,
  collected: [],
  skipped,
});

/** For a verification. Without it a collection is due. */
export async function* collectedDocument(store: Pick<Store, 'list'>): AsyncGenerator<DocumentItem> {
  for await (const key of keysBelow(store, 'references'))
    if (key === COLLECTED)
      yield { kind: 'document', key, isSound: (bytes) => timeIn(bytes) !== undefined };
}

function timeIn(document: Uint8Array): number | undefined {
  const { time } = unseal(Buffer.from(document).toString(), ['time']) ?? {};
  const since = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Number.isNaN(since) ? undefined : since;
}
