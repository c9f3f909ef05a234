// Keeps the store below a size, and takes out what nobody has used for long: the least recently used first, unit by unit.
// An eviction is a purge of the unit's name, by one replica at a time.
//
//   too large, or something too old? → the oldest units, found by a walk → not used since, not pinned → purge

import { setImmediate as immediate } from 'node:timers/promises';
import type { Holdings, Unit } from '../engine/holdings.ts';
import type { Clock, Lease, Lock, Listener } from '../engine/ports.ts';
import type { PurgePlan } from '../engine/purge-plan.ts';
import { Candidates, type Candidate } from './candidates.ts';
import type { LastUse } from './last-use.ts';
import { leaseWithin } from './leases.ts';
import type { Pins } from './pins.ts';
import type { Evictable, Purger } from './purge.ts';
import type { StoreSize } from './store-size.ts';
import type { Tally } from './tally.ts';

/** To how much of the limit the store is brought down. */
const LOW_WATER = 0.95;
/** Units whose eviction is told to the replicas together. */
const BATCH = 16;
const LEASE = { key: 'evict', scope: 'evict', waitMs: 1000 };
/** After a run that found too little to take, milliseconds; twice as long after each further one, up to an interval. */
const FRUITLESS_MS = 30_000;
/** How often a replica looks whether the others made the store too large, milliseconds. */
const LOOK_MS = 30_000;

export interface EvictorParts {
  readonly holdings: readonly Holdings[];
  readonly lastUse: LastUse;
  readonly size: StoreSize;
  readonly tally: Pick<Tally, 'exchange' | 'recount' | 'countedAt'>;
  readonly pins: Pick<Pins, 'names'>;
  readonly purger: Pick<Purger, 'evict'>;
  /** Whether a fill of the key is under way here. */
  readonly isFilled: (key: string) => boolean;
  readonly lock: Lock;
  readonly clock: Clock;
  readonly listener: Pick<Required<Listener>, 'evicted' | 'storeFailed'>;
}

export interface EvictLimits {
  /** Bytes of content; undefined: no limit. */
  readonly maxBytes: number | undefined;
  /** Since the last use, milliseconds; undefined: for ever. */
  readonly maxAgeMs: number | undefined;
  /** How often ages are looked at and the store is counted, milliseconds. */
  readonly intervalMs: number;
}

export class Evictor {
  readonly #parts: EvictorParts;
  readonly #limits: EvictLimits;
  readonly #candidates: Candidates;
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;
  #lookedAt: number;
  /** Not before it is a run begun, unless it is due. */
  #notBefore = 0;
  #fruitless = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: EvictorParts, limits: EvictLimits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#candidates = new Candidates(parts);
    this.#lookedAt = parts.clock.now();
  }

  /** Looks from time to time. Close it. */
  start(): void {
    this.#timer = setInterval(
      () => {
        this.poke();
      },
      Math.min(LOOK_MS, this.#limits.intervalMs),
    ).unref();
  }

  /** Something may be to do: called whenever the store has grown. Costs nothing where nothing is. */
  poke(): void {
    if (this.#running || this.#closing.signal.aborted) return;
    const now = this.#parts.clock.now();
    const isDue = now - this.#lookedAt >= this.#limits.intervalMs;
    if (!isDue && (!this.#isTooLarge() || now < this.#notBefore)) return;
    this.#running = this.#run(isDue)
      .catch((error: unknown) => {
        this.#hold();
        this.#parts.listener.storeFailed({ key: '', operation: 'evict', error });
      })
      .finally(() => {
        this.#running = undefined;
        // what came meanwhile
        this.poke();
      });
  }

  /** Resolves when no run is under way. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort(new Error('the server is stopping'));
    await this.settled();
  }

  async #run(isDue: boolean): Promise<void> {
    const lease = await leaseWithin(this.#parts.lock, LEASE);
    if (lease === undefined) {
      // another replica is at it
      this.#hold();
      return;
    }
    try {
      await this.#leased(lease, isDue);
    } finally {
      await lease.release();
    }
  }

  async #leased(lease: Lease, isDue: boolean): Promise<void> {
    const { tally, holdings, clock } = this.#parts;
    const signal = AbortSignal.any([lease.lost, this.#closing.signal]);
    await tally.exchange();
    if (isDue) {
      this.#lookedAt = clock.now();
      const countedAt = tally.countedAt;
      if (countedAt === undefined || clock.now() - countedAt >= this.#limits.intervalMs)
        await tally.recount(contentsOf(holdings), signal);
      this.#candidates.clear();
    }
    const target = (this.#limits.maxBytes ?? Infinity) * LOW_WATER;
    const isReclaiming = this.#isTooLarge();
    const goesOn = () =>
      !signal.aborted && isReclaiming && (this.#parts.size.now?.bytes ?? 0) > target;
    await this.#evict(goesOn, signal);
    if (this.#isTooLarge()) this.#hold();
    else {
      this.#fruitless = 0;
      this.#notBefore = 0;
    }
  }

  /** The oldest ones, as long as they are too old or the store is too large. */
  async #evict(isWanted: () => boolean, signal: AbortSignal): Promise<void> {
    let pinned = await this.#parts.pins.names();
    let gone = 0;
    for (let walks = 0, goneBefore = 0; !signal.aborted;) {
      const batch: Candidate[] = [];
      while (batch.length < BATCH) {
        const next = this.#candidates.first();
        if (next === undefined || !(isWanted() || this.#isTooOld(next.usedAt))) break;
        this.#candidates.take();
        if (!this.#isSpared(next.unit, next.usedAt, pinned)) batch.push(next);
      }
      if (batch.length > 0) {
        gone += await this.#evictBatch(batch, isWanted, pinned);
        await immediate();
        continue;
      }
      const isDone = !this.#candidates.isEmpty || (!isWanted() && !this.#looksForOld(walks));
      // a walk after which nothing went finds the same the next time
      if (isDone || (walks > 0 && gone === goneBefore)) break;
      goneBefore = gone;
      walks++;
      pinned = await this.#parts.pins.names();
      await this.#candidates.find(isWanted() && walks > 1, signal);
    }
  }

  async #evictBatch(
    batch: readonly Candidate[],
    isWanted: () => boolean,
    pinned: ReadonlySet<string>,
  ): Promise<number> {
    let gone = 0;
    let at = 0;
    const units = batch.map(({ unit, usedAt }): Evictable => ({
      purgeable: unit.purgeable(),
      isSpared: (plan) => this.#isSpared(unit, usedAt, pinned, plan),
      gone: (bytes) => {
        gone++;
        this.#parts.listener.evicted({ name: unit.name, bytes });
      },
    }));
    // asked before each, in their order
    const goesOn = () => {
      const next = batch[at++];
      return isWanted() || (next !== undefined && this.#isTooOld(next.usedAt));
    };
    await this.#parts.purger.evict(units, goesOn);
    return gone;
  }

  /** Used since it was found, being filled, or pinned; with a plan, whatever would go with it counts too. */
  #isSpared(unit: Unit, usedAt: number, pinned: ReadonlySet<string>, plan?: PurgePlan): boolean {
    const { lastUse, isFilled } = this.#parts;
    const keys = [...unit.keys, ...(plan?.contents ?? []).map(({ key }) => key)];
    if ([...unit.pins, ...(plan?.names ?? [])].some((name) => pinned.has(name))) return true;
    return (lastUse.of(keys) ?? 0) > usedAt || keys.some(isFilled);
  }

  #isTooLarge(): boolean {
    const bytes = this.#parts.size.now?.bytes;
    return bytes !== undefined && bytes > (this.#limits.maxBytes ?? Infinity);
  }

  #isTooOld(usedAt: number): boolean {
    const { maxAgeMs } = this.#limits;
    return maxAgeMs !== undefined && this.#parts.clock.now() - usedAt > maxAgeMs;
  }

  /** What is too old is looked for once at least, and as long as a walk's candidates are all too old. */
  #looksForOld(walks: number): boolean {
    return this.#limits.maxAgeMs !== undefined && (walks === 0 || this.#candidates.wasFull);
  }

  #hold(): void {
    const wait = Math.min(FRUITLESS_MS * 2 ** this.#fruitless, this.#limits.intervalMs);
    this.#notBefore = this.#parts.clock.now() + wait;
    this.#fruitless++;
  }
}

/** Of all protocols. In the order of the keys, where the holdings are. */
export async function* contentsOf(holdings: readonly Holdings[]) {
  for (const one of holdings) yield* one.contents();
}
