// The store by itself, for a verb of the command line: no server, no upstream, the same settings.

import type { RedisService } from '../coordination/redis.ts';
import { Answers } from '../engine/answers.ts';
import { messageOf } from '../engine/errors.ts';
import { fanOut } from '../engine/listeners.ts';
import { systemClock, type Listener, type Lock, type Store } from '../engine/ports.ts';
import { within, type Announcements } from '../engine/purge-plan.ts';
import { TreeList } from '../go/tree-list.ts';
import { ZipChecker } from '../go/zip-checker.ts';
import { Links } from '../oci/links.ts';
import { Pins } from '../references/pins.ts';
import { FORMAT } from '../storage/format.ts';
import { composeAnnouncements } from './compose-announcements.ts';
import { composeLock } from './compose-lock.ts';
import { composeStore, prepareFolder } from './compose-store.ts';
import { upgraderBy } from './compose-upgrade.ts';
import { composeUpkeep, type Upkeep } from './compose-upkeep.ts';
import type { Config } from './config.ts';

export interface Alone extends Upkeep {
  /** Of the store, which may have been upgraded just now. */
  readonly format: number;
  /** Resolves when all that has begun is over, and the store is free. */
  close(): Promise<void>;
}

/**
 * `signal` ends an upgrade of an older store, where the settings want one. `said` is told, as a sentence, of what went wrong
 * and stops nothing. Throws StartError where a server has the folder, or it cannot be used, and LarderError where the store
 * cannot be read.
 */
export async function composeAlone(
  config: Config,
  said: (sentence: string) => void,
  signal: AbortSignal,
): Promise<Alone> {
  const opened = await openStore(config, said, signal);
  const { store, place, lock, announcements, listener } = opened;
  const answers = new Answers(store);
  const links = new Links({ store, answers, listener });
  announcements.subscribe(async (scope) => {
    const isPurged = within(scope);
    opened.forgetAll(isPurged);
    await answers.forgetAll(isPurged);
    await links.forget(isPurged);
  });
  const zips = new ZipChecker();
  const upkeep = composeUpkeep(config, {
    store,
    place,
    answers,
    lock,
    announcements,
    treeList: new TreeList(store),
    links,
    pins: new Pins(place, systemClock.now),
    zips,
  });
  return {
    ...upkeep,
    format: FORMAT,
    async close() {
      await upkeep.purger.settled();
      await links.settled();
      await zips.close();
      await opened.close();
    },
  };
}

export interface OpenedStore {
  readonly store: Store;
  readonly place: Store;
  readonly lock: Lock;
  readonly redis: RedisService | undefined;
  readonly announcements: Announcements;
  readonly listener: Required<Listener>;
  /** What is remembered of what the store has. */
  forgetAll(matches: (key: string) => boolean): void;
  close(): Promise<void>;
}

/** The store, its locks and what replicas tell each other. Arguments and errors as of `composeAlone`. */
export async function openStore(
  config: Config,
  said: (sentence: string) => void,
  signal: AbortSignal,
  more: Listener = {},
): Promise<OpenedStore> {
  const failed = (error: unknown) => {
    said(messageOf(error));
  };
  const listener = fanOut(
    [
      more,
      {
        storeFailed: ({ error }) => {
          failed(error);
        },
        lockService: ({ up, reason = '' }) => {
          if (!up) said(`Redis is away: replicas are told of this by the store alone. ${reason}`);
        },
      },
    ],
    failed,
  );
  const locks = await composeLock(config, listener);
  const upgrade = config.migrate === 'auto' ? upgraderBy(locks.lock, signal) : undefined;
  const storage = await composeStore(config, listener, upgrade).catch((error: unknown) => {
    locks.close();
    throw error;
  });
  const { store, place } = storage;
  prepareFolder('LARDER_SPOOL_DIR', config.spoolDir);
  const told = await composeAnnouncements(locks.redis, config.s3 && store, listener);
  return {
    store,
    place,
    lock: locks.lock,
    redis: locks.redis,
    announcements: told.announcements,
    listener,
    forgetAll: (matches) => {
      storage.forgetAll(matches);
    },
    async close() {
      await told.close();
      locks.close();
      await storage.close();
    },
  };
}
