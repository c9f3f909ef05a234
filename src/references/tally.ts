// How large the store is and when its units were used last, for all replicas that share it: what each replica saw goes into
// a document of its own, once a minute; now and then one of them makes these into a few. No document has two writers, but
// under a lease, so that no store has to write on conditions.
//
//   usage/log/<time>-<random>     what one replica saw in a minute
//   usage/units/<0…15>, usage/size  all before that

import { randomUUID } from 'node:crypto';
import { mapBounded } from '../engine/bounded.ts';
import type { ContentFolder } from '../engine/holdings.ts';
import type { Clock, Lock, Store } from '../engine/ports.ts';
import { documentsBelow, type DocumentItem } from '../engine/verify-plan.ts';
import type { LastUse } from './last-use.ts';
import { leaseWithin } from './leases.ts';
import { NOTHING, plus, type StoreSize, type Sum } from './store-size.ts';
import {
  decodeLog,
  decodeSize,
  decodeUses,
  encodeLog,
  encodeSize,
  encodeUses,
  SHARDS,
  shardOf,
} from './tally-documents.ts';

const FOLDER = 'usage';
const LOG = `${FOLDER}/log`;
const SIZE = `${FOLDER}/size`;
const unitsKey = (shard: number): string => `${FOLDER}/units/${String(shard)}`;

/** From one telling to the next, a fifth more or less. */
const TELL_MS = 60_000;
/** Documents that replicas wrote, from which on they are made into few. */
const MANY_LOGS = 24;
const LANES = 8;
const LEASE = { key: 'usage', scope: 'usage' };
const LEASE_WAIT_MS = 1000;

export interface TallyParts {
  /** Without a memory. */
  readonly store: Store;
  readonly lock: Lock;
  readonly clock: Clock;
  readonly lastUse: LastUse;
  readonly size: StoreSize;
  /** Told of a store that fails; must not throw. */
  readonly failed: (error: unknown) => void;
}

export class Tally {
  readonly #parts: TallyParts;
  /** Sums in documents of replicas that were read, by name. */
  readonly #logs = new Map<string, Sum>();
  #base: { sum: Sum; countedAt: number; included: ReadonlySet<string> } | undefined;
  #knowsUnits = false;
  #timer: NodeJS.Timeout | undefined;
  /** One after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: TallyParts) {
    this.#parts = parts;
  }

  /** From now on tells what was seen here, and hears what the others say, once a minute. Close it. */
  start(): void {
    const jitter = 0.8 + 0.4 * Math.random();
    this.#timer = setTimeout(() => {
      void this.exchange().then(() => {
        if (this.#timer !== undefined) this.start();
      });
    }, TELL_MS * jitter).unref();
  }

  /** Tells what was seen here until now. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#inTurn(() => this.#tell()).catch(this.#parts.failed);
  }

  /** When the store was counted last, milliseconds since the epoch; undefined where it never was, as far as is known. */
  get countedAt(): number | undefined {
    return this.#base?.countedAt;
  }

  /** Tells what was seen here, and learns what the others saw. Never rejects. */
  async exchange(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#tell();
      await this.#hear();
      if (this.#logs.size > MANY_LOGS) await this.#leased(() => this.#gather());
    }).catch(this.#parts.failed);
  }

  /** Counts the store anew. Throws LarderError `store_failed`, and the signal's reason. */
  async recount(contents: AsyncIterable<ContentFolder>, signal: AbortSignal): Promise<void> {
    const { size, store, clock } = this.#parts;
    const sum = await size.count(store, contents, signal);
    const untold = size.untold;
    await this.#inTurn(() =>
      this.#leased(async () => {
        await this.#hear();
        await this.#writeBase({ sum, countedAt: clock.now() });
        size.wasTold(untold, this.#total());
      }),
    );
  }

  async #tell(): Promise<void> {
    const { store, lastUse, size, clock } = this.#parts;
    const uses = lastUse.takeUntold();
    const sum = size.untold;
    if (uses.size === 0 && sum.bytes === 0 && sum.objects === 0) return;
    const name = `${new Date(clock.now()).toISOString()}-${randomUUID()}`;
    try {
      await store.writeDocument(`${LOG}/${name}`, encodeLog({ sum, uses }));
    } catch (error) {
      lastUse.giveBack(uses);
      throw error;
    }
    this.#logs.set(name, sum);
    size.wasTold(sum, this.#total());
  }

  /** The documents of replicas first: what is made into few meanwhile is there when those are read. */
  async #hear(): Promise<void> {
    const { store, lastUse, size } = this.#parts;
    const names = await store.list(LOG);
    const news = names.filter((name) => !this.#logs.has(name));
    await mapBounded(news, LANES, async (name) => {
      const document = await store.readDocument(`${LOG}/${name}`);
      if (document === undefined) return;
      const log = decodeLog(document);
      this.#logs.set(name, log?.sum ?? NOTHING);
      if (log) lastUse.learn(log.uses);
    });
    const listed = new Set(names);
    for (const name of this.#logs.keys()) if (!listed.has(name)) this.#logs.delete(name);
    const base = await store.readDocument(SIZE);
    this.#base = base && decodeSize(base);
    if (!this.#knowsUnits) {
      await this.#readUnits();
      this.#knowsUnits = true;
    }
    size.wasTold(NOTHING, this.#total());
  }

  /** Makes many documents into few. */
  async #gather(): Promise<void> {
    const { store, lastUse } = this.#parts;
    await this.#hear();
    // another replica may have made some into few that were not read here
    await this.#readUnits();
    const shards = Array.from({ length: SHARDS }, () => new Map<string, number>());
    for (const [name, time] of lastUse.all) shards[shardOf(name)]?.set(name, time);
    await mapBounded(shards.entries(), LANES, ([shard, uses]) =>
      store.writeDocument(unitsKey(shard), encodeUses(uses)),
    );
    const sum = this.#total();
    // how much there is, is not known: what came and went is of no use without it
    await this.#writeBase(sum && { sum, countedAt: this.#base?.countedAt ?? 0 });
    await mapBounded([...this.#logs.keys()], LANES, (name) => store.delete(`${LOG}/${name}`));
    this.#logs.clear();
  }

  async #readUnits(): Promise<void> {
    const { store, lastUse } = this.#parts;
    const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
    await mapBounded(shards, LANES, async (shard) => {
      const document = await store.readDocument(unitsKey(shard));
      const uses = document && decodeUses(document);
      if (uses) lastUse.learn(uses);
    });
  }

  /** With all that replicas wrote until now in it. */
  async #writeBase(base: { sum: Sum; countedAt: number } | undefined): Promise<void> {
    if (base === undefined) return;
    const next = { ...base, included: new Set(this.#logs.keys()) };
    await this.#parts.store.writeDocument(SIZE, encodeSize(next));
    this.#base = next;
  }

  #total(): Sum | undefined {
    if (this.#base === undefined) return undefined;
    let total = this.#base.sum;
    for (const [name, sum] of this.#logs)
      if (!this.#base.included.has(name)) total = plus(total, sum);
    return total;
  }

  /** Not at all where another replica is at it. */
  async #leased(run: () => Promise<void>): Promise<void> {
    const lease = await leaseWithin(this.#parts.lock, { ...LEASE, waitMs: LEASE_WAIT_MS });
    try {
      if (lease) await run();
    } finally {
      await lease?.release();
    }
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(run);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** For a verification. What is wrong goes: it says nothing. */
export const usageDocuments = (store: Pick<Store, 'list'>): AsyncGenerator<DocumentItem> =>
  documentsBelow(store, FOLDER, (bytes, key) => {
    if (key === SIZE) return decodeSize(bytes) !== undefined;
    return (key.startsWith(`${LOG}/`) ? decodeLog(bytes) : decodeUses(bytes)) !== undefined;
  });
