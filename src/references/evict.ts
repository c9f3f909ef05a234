// Keeps the store below a size, and takes out what nobody has used for long: the least recently used first, unit by unit.
// An eviction is a purge of the unit's name, by one replica at a time.
//
//   too large, or something too old? → the oldest units, found by a walk → not used since, not pinned → purge

import { setImmediate as immediate } from 'node:timers/promises';
import type { Holdings, Pinned } from '../engine/holdings.ts';
import type { Clock, Lease, Lock, Listener, Store } from '../engine/ports.ts';
import type { PurgePlan } from '../engine/purge-plan.ts';
import { Candidates, type Candidate } from './candidates.ts';
import type { LastUse } from './last-use.ts';
import { leaseWithin } from './leases.ts';
import type { Pins } from './pins.ts';
import type { Evictable, Purger } from './purge.ts';
import type { StoreSize } from './store-size.ts';
import type { Tally } from './tally.ts';
import { isRebuilding } from './verify.ts';

/** To how much of the limit the store is brought down. */
const LOW_WATER = 0.95;
/** Units whose eviction is told to the replicas together. */
const BATCH = 16;
const LEASE = { key: 'evict', scope: 'evict', waitMs: 1000 };
/** After a run that found too little to take, milliseconds; twice as long after each further one, an hour at most. */
const FRUITLESS_MS = 30_000;
const LONGEST_WAIT_MS = 3_600_000;
/** The same after a run that found things in use, which may be free soon; no longer than the above. */
const IN_USE_MS = 1000;
/** How often a replica looks whether the others made the store too large, milliseconds. */
const LOOK_MS = 30_000;
/** For so long what the other replicas told is news enough, milliseconds. */
const HEARD_MS = 10_000;

export interface EvictorParts {
  /** Without a memory. */
  readonly store: Pick<Store, 'readDocument'>;
  readonly holdings: readonly Holdings[];
  readonly lastUse: LastUse;
  readonly size: StoreSize;
  readonly tally: Pick<Tally, 'exchange' | 'recount' | 'countedAt'>;
  readonly pins: Pick<Pins, 'pinned'>;
  readonly purger: Pick<Purger, 'evict'>;
  /** Whether a fill of the key is under way here. */
  readonly isFilled: (key: string) => boolean;
  readonly lock: Lock;
  readonly clock: Clock;
  readonly listener: Pick<Required<Listener>, 'evicted' | 'storeFailed'>;
  /** Told of the end of each run. Must not throw. */
  readonly ended?: () => void;
}

export interface EvictLimits {
  /** Bytes of content; undefined: no limit. */
  readonly maxBytes: number | undefined;
  /** Since the last use, milliseconds; undefined: for ever. */
  readonly maxAgeMs: number | undefined;
  /** How often ages are looked at and the store is counted, milliseconds; Infinity: never. */
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
  #inUse = 0;
  /** The last run spared something that was in use. */
  #sawUse = false;
  #exchangedAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  /** For the run under way: nothing goes until it has counted. */
  #isCounting = false;

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
    this.#isCounting = isDue;
    this.#running = this.#run(isDue)
      .catch((error: unknown) => {
        this.#hold();
        this.#parts.listener.storeFailed({ key: '', operation: 'evict', error });
      })
      .finally(() => {
        this.#running = undefined;
        // what came meanwhile
        this.poke();
        this.#parts.ended?.();
      });
  }

  /** Whether it brings the store down now. */
  reclaims(): boolean {
    this.poke();
    return this.#running !== undefined && !this.#isCounting;
  }

  /** Resolves when no run is under way. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    this.#closing.abort(new Error('the server is stopping'));
    await this.settled();
  }

  async #run(isDue: boolean): Promise<void> {
    const lease = await leaseWithin(this.#parts.lock, LEASE);
    if (lease === undefined) {
      // another replica is at it
      this.#notBefore = this.#parts.clock.now() + FRUITLESS_MS;
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
    if (clock.now() - this.#exchangedAt >= HEARD_MS) {
      await tally.exchange();
      this.#exchangedAt = clock.now();
    }
    if (isDue) {
      this.#lookedAt = clock.now();
      const countedAt = tally.countedAt;
      if (countedAt === undefined || clock.now() - countedAt >= this.#limits.intervalMs)
        await tally.recount(contentsOf(holdings), signal);
      this.#candidates.clear();
      this.#isCounting = false;
    }
    // who owns what is not known for certain then
    if (await isRebuilding(this.#parts.store)) {
      this.#hold();
      return;
    }
    const target = (this.#limits.maxBytes ?? Infinity) * LOW_WATER;
    const isReclaiming = this.#isTooLarge();
    const goesOn = () =>
      !signal.aborted && isReclaiming && (this.#parts.size.now?.bytes ?? 0) > target;
    await this.#evict(goesOn, signal);
    if (this.#isTooLarge()) this.#hold();
    else {
      this.#fruitless = 0;
      this.#inUse = 0;
      this.#notBefore = 0;
    }
  }

  /** The oldest ones, as long as they are too old or the store is too large. */
  async #evict(isWanted: () => boolean, signal: AbortSignal): Promise<void> {
    const candidates = this.#candidates;
    const run: Run = { pinned: await this.#parts.pins.pinned(), gone: 0 };
    this.#sawUse = false;
    let walk: 'none' | 'units' | 'strays too' = 'none';
    for (let goneBefore = 0; !signal.aborted;) {
      const batch: Candidate[] = [];
      for (let next = candidates.first(); next && batch.length < BATCH; next = candidates.first()) {
        if (!isWanted() && !this.#isTooOld(next.usedAt)) break;
        candidates.take();
        if (!this.#isSpared(next, run)) batch.push(next);
      }
      if (batch.length > 0) {
        await this.#evictBatch(batch, isWanted, run);
        await immediate();
        continue;
      }
      const looksOn = isWanted() || (walk === 'none' ? this.#hasAge : candidates.wasFull);
      if (!candidates.isEmpty || !looksOn) break;
      // a walk after which nothing went finds the same the next time
      const isFruitless: boolean = run.gone === goneBefore && walk !== 'none';
      if (isFruitless && (walk === 'strays too' || !isWanted())) break;
      walk = isFruitless ? 'strays too' : 'units';
      goneBefore = run.gone;
      run.pinned = await this.#parts.pins.pinned();
      await candidates.find(walk === 'strays too', signal);
    }
  }

  async #evictBatch(batch: readonly Candidate[], isWanted: () => boolean, run: Run): Promise<void> {
    let begun = 0;
    const units = batch.map((candidate): Evictable => ({
      purgeable: candidate.unit.purgeable(),
      isSpared: (plan) => this.#isSpared(candidate, run, plan),
      gone: (bytes) => {
        run.gone++;
        this.#parts.listener.evicted({ unit: candidate.unit.name, bytes });
      },
    }));
    // asked before each, in their order
    const goesOn = () => {
      const next = batch[begun];
      if (next === undefined || (!isWanted() && !this.#isTooOld(next.usedAt))) return false;
      begun++;
      return true;
    };
    await this.#parts.purger.evict(units, goesOn);
    for (const candidate of batch.slice(begun)) this.#candidates.putBack(candidate);
  }

  /** Pinned, being filled, or used since it was found; with a plan, whatever would go with it counts too. */
  #isSpared({ unit, usedAt }: Candidate, run: Run, plan?: PurgePlan): boolean {
    const { lastUse, isFilled } = this.#parts;
    if ([...unit.pins, ...(plan?.names ?? [])].some((name) => run.pinned.has(name))) return true;
    const keys = [...unit.keys, ...(plan?.contents ?? []).map(({ key }) => key)];
    const lastUsed = lastUse.of(keys) ?? 0;
    const isRead = lastUsed === Infinity || keys.some(isFilled);
    if (!isRead && lastUsed <= usedAt) return false;
    // it may have its turn yet, later than it was thought
    if (isRead || !this.#candidates.putBack({ unit, usedAt: lastUsed })) this.#sawUse = true;
    return true;
  }

  #isTooLarge(): boolean {
    const bytes = this.#parts.size.now?.bytes;
    return bytes !== undefined && bytes > (this.#limits.maxBytes ?? Infinity);
  }

  #isTooOld(usedAt: number): boolean {
    const { maxAgeMs } = this.#limits;
    return maxAgeMs !== undefined && this.#parts.clock.now() - usedAt > maxAgeMs;
  }

  get #hasAge(): boolean {
    return this.#limits.maxAgeMs !== undefined;
  }

  /** Waits: longer and longer, and not as long where it was in use what kept the store large. */
  #hold(): void {
    const wait = this.#sawUse
      ? Math.min(IN_USE_MS * 2 ** this.#inUse++, FRUITLESS_MS)
      : Math.min(FRUITLESS_MS * 2 ** this.#fruitless++, LONGEST_WAIT_MS);
    this.#notBefore = this.#parts.clock.now() + wait;
    if (wait >= LOOK_MS) return;
    this.#again = setTimeout(() => {
      this.poke();
    }, wait).unref();
  }
}

/** One round of evictions. */
interface Run {
  pinned: Pinned;
  /** Units that went. */
  gone: number;
}

/** Of all protocols. In the order of the keys, where the holdings are. */
export async function* contentsOf(holdings: readonly Holdings[]) {
  for (const one of holdings) yield* one.contents();
}
