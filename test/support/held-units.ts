// Units of one piece of content each, in a store in memory that is kept below a size: what an eviction needs around it.

import { LocalAnnouncements } from '../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { timeOf, type Holdings, type Unit } from '../../src/engine/holdings.ts';
import { Evictor, type EvictLimits } from '../../src/references/evict.ts';
import { LastUse } from '../../src/references/last-use.ts';
import { Pins } from '../../src/references/pins.ts';
import { Purger } from '../../src/references/purge.ts';
import { StoreSize } from '../../src/references/store-size.ts';
import { Tally } from '../../src/references/tally.ts';
import { ManualClock, MemoryStore, never, recorder } from './engine.ts';
import { recordOf } from './records.ts';

/** A protocol whose units are the keys below `c/`. */
class Keys implements Holdings {
  walks = 0;
  readonly #store: MemoryStore;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  async *units(): AsyncGenerator<Unit> {
    this.walks++;
    for (const name of await this.#store.list('c')) {
      const key = `c/${name}`;
      const storedAt = timeOf(await this.#store.record(key));
      const contents = [{ key, mayGo: () => Promise.resolve(true) }];
      const plan = () => Promise.resolve({ names: [name], documents: [], contents });
      const purgeable = () => ({ name, scope: { keys: [key], folders: [] }, plan });
      yield { name, pins: [name], keys: [key], storedAt, purgeable };
    }
  }

  async *contents() {
    yield { end: 'c/\uffff', keys: (await this.#store.list('c')).map((name) => `c/${name}`) };
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async *strays(): AsyncGenerator<Unit> {
    yield* [];
  }

  // eslint-disable-next-line @typescript-eslint/require-await
  async *list(): AsyncGenerator<never> {
    yield* [];
  }

  inspect = () => Promise.resolve(undefined);
  nameOf = () => undefined;
}

export interface ReplicaOptions {
  readonly store?: MemoryStore;
  readonly clock?: ManualClock;
  readonly lock?: LocalLock;
  readonly limits?: Partial<EvictLimits>;
}

/** One replica, whose fills are what a test stores. */
export class HeldUnits {
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  readonly lastUse: LastUse;
  readonly size = new StoreSize();
  readonly keys: Keys;
  readonly pins: Pins;
  readonly tally: Tally;
  readonly evictor: Evictor;
  readonly announcements = new LocalAnnouncements();
  readonly filled = new Set<string>();
  readonly failures: unknown[] = [];
  readonly events: ReturnType<typeof recorder>['events'];

  constructor({
    store = new MemoryStore(),
    clock = new ManualClock(),
    lock = new LocalLock(),
    limits,
  }: ReplicaOptions = {}) {
    const { listener, events } = recorder();
    this.store = store;
    this.clock = clock;
    this.events = events;
    this.lastUse = new LastUse(clock, (key) => key);
    this.keys = new Keys(store);
    this.pins = new Pins(store, clock.now);
    const { lastUse, size, pins, announcements } = this;
    const failed = (error: unknown) => void this.failures.push(error);
    this.tally = new Tally({ store, lock, clock, lastUse, size, failed });
    const removed = (key: string, bytes: number) => {
      size.removed(key, bytes);
    };
    const purger = new Purger({ store, lock, announcements, removed });
    const isFilled = (key: string) => this.filled.has(key);
    const holdings = [this.keys];
    const { tally } = this;
    this.evictor = new Evictor(
      { store, holdings, lastUse, size, tally, pins, purger, isFilled, lock, clock, listener },
      { maxBytes: undefined, maxAgeMs: undefined, intervalMs: Infinity, ...limits },
    );
  }

  /** Knows what there is. */
  async begin(): Promise<this> {
    await this.tally.exchange();
    if (this.size.now === undefined) await this.tally.recount(this.keys.contents(), never);
    return this;
  }

  async keep(name: string, bytes: number): Promise<void> {
    const key = `c/${name}`;
    const body = Buffer.alloc(bytes);
    const time = new Date(this.clock.now()).toISOString();
    if ((await this.store.stash(key, { bytes: body }, { ...recordOf(body), time })) === 'stored')
      this.size.stored(key, bytes);
    this.evictor.poke();
    await this.evictor.settled();
  }

  /** Whether it was there; used, if so. */
  use(name: string): boolean {
    const key = `c/${name}`;
    if (!this.store.content.has(key)) return false;
    this.lastUse.used(key);
    return true;
  }

  get held(): string[] {
    return [...this.store.content.keys()].map((key) => key.slice(2)).sort();
  }
}
