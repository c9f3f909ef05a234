// The part of the composition that knows how large the store is and what of it is used, and keeps it as the settings say.

import type { Holdings } from '../engine/holdings.ts';
import type { Clock, Listener, Lock, Store } from '../engine/ports.ts';
import { goUsedAs } from '../go/holdings.ts';
import { ociUsedAs } from '../oci/holdings.ts';
import type { Logger } from '../observability/logger.ts';
import { contentsOf, Evictor, type EvictorParts } from '../references/evict.ts';
import { LastUse } from '../references/last-use.ts';
import type { Pins } from '../references/pins.ts';
import { StoreRoom } from '../references/store-room.ts';
import { StoreSize } from '../references/store-size.ts';
import { Tally } from '../references/tally.ts';
import type { Config } from './config.ts';

/** What hits and fills are told to. */
export interface Watched {
  readonly lastUse: LastUse;
  readonly size: StoreSize;
  /** What fills wait for before they store anything. Undefined where the store may grow as it likes. */
  readonly room: StoreRoom | undefined;
  /** To be told of what comes and goes. */
  readonly listener: Listener;
  /** Called when the store has grown. */
  grown: () => void;
  /** Whether something brings the store down now. */
  reclaims: () => boolean;
}

/** `maxBytes`: what the store is kept below while fills go on. */
export function watchStore(clock: Clock, maxBytes?: number): Watched {
  const lastUse = new LastUse(clock, (key) => goUsedAs(key) ?? ociUsedAs(key));
  const size = new StoreSize();
  const room =
    maxBytes === undefined
      ? undefined
      : new StoreRoom({ size, maxBytes, reclaims: () => watched.reclaims() });
  const watched: Watched = {
    lastUse,
    size,
    room,
    grown: () => undefined,
    reclaims: () => false,
    listener: {
      added({ key, bytes }) {
        size.stored(key, bytes);
        watched.grown();
      },
      removed({ key, bytes }) {
        size.removed(key, bytes);
        room?.look();
      },
    },
  };
  return watched;
}

export interface CountParts {
  readonly watched: Watched;
  /** In the order of their keys. */
  readonly holdings: readonly Holdings[];
  /** Without a memory. */
  readonly store: Store;
  readonly lock: Lock;
  readonly clock: Clock;
  readonly listener: Pick<Required<Listener>, 'storeFailed'>;
}

/** What is known of the store's size and use, shared with all who use it. */
export interface Counted {
  readonly tally: Tally;
  /** Counts the store anew. Throws LarderError `store_failed`, and the signal's reason. */
  recount(signal: AbortSignal): Promise<void>;
}

export function composeTally({
  watched: { lastUse, size },
  holdings,
  store,
  lock,
  clock,
  listener,
}: CountParts): Counted {
  const failed = (error: unknown) => {
    listener.storeFailed({ key: '', operation: 'usage', error });
  };
  const tally = new Tally({ store, lock, clock, lastUse, size, failed });
  return { tally, recount: (signal) => tally.recount(contentsOf(holdings), signal) };
}

export interface EvictionParts
  extends Omit<CountParts, 'listener'>, Pick<EvictorParts, 'purger' | 'isFilled'> {
  readonly counted: Counted;
  readonly pins: Pins;
  readonly listener: Required<Listener>;
  readonly logger: Logger;
}

export interface ComposedEviction {
  /** Nothing is evicted any more. To be called while purges can still be carried out. */
  stop(): Promise<void>;
  /** Tells what was seen until now. To be called when nothing is stored any more. */
  close(): Promise<void>;
}

/** Begins at once: counts the store in the background where its size is not known for sure. */
export function composeEviction(
  config: Pick<Config, 'maxSize' | 'maxAgeMs' | 'collectIntervalMs' | 'keepsAll' | 'storage'>,
  { watched, counted, holdings, store, lock, listener, clock, logger, ...parts }: EvictionParts,
): ComposedEviction {
  const { lastUse, size } = watched;
  const { tally } = counted;
  const limits = {
    maxBytes: config.maxSize,
    maxAgeMs: config.maxAgeMs,
    intervalMs: config.collectIntervalMs || Infinity,
  };
  const isLimited =
    !config.keepsAll && (limits.maxBytes !== undefined || limits.maxAgeMs !== undefined);
  const ended = () => watched.room?.look();
  const evictor = isLimited
    ? new Evictor(
        { ...parts, store, holdings, lastUse, size, tally, lock, clock, listener, ended },
        limits,
      )
    : undefined;
  const closing = new AbortController();
  const begin = async () => {
    await tally.exchange();
    // whoever has a folder to itself may have been killed before it told what it did
    if (size.now === undefined || (isLimited && config.storage === 'file'))
      await counted.recount(closing.signal);
    logger.debug({ ...size.now }, 'the size of the store is known');
    evictor?.poke();
  };
  const begun = begin().catch((error: unknown) => {
    if (!closing.signal.aborted) listener.storeFailed({ key: '', operation: 'usage', error });
  });
  tally.start();
  evictor?.start();
  watched.grown = () => {
    evictor?.poke();
  };
  watched.reclaims = () => evictor?.reclaims() ?? false;
  return {
    async stop() {
      closing.abort(new Error('the server is stopping'));
      await evictor?.close();
      await begun;
    },
    close: () => tally.close(),
  };
}
