// The store by itself, for a verb of the command line: no server, no upstream, the same settings.

import { Answers } from '../engine/answers.ts';
import { messageOf } from '../engine/errors.ts';
import { fanOut } from '../engine/listeners.ts';
import { systemClock, type Listener } from '../engine/ports.ts';
import { within } from '../engine/purge-plan.ts';
import { TreeList } from '../go/tree-list.ts';
import { ZipChecker } from '../go/zip-checker.ts';
import { Links } from '../oci/links.ts';
import { Pins } from '../references/pins.ts';
import { composeAnnouncements } from './compose-announcements.ts';
import { composeLock, type ComposedLock } from './compose-lock.ts';
import { composeStore, prepareFolder } from './compose-store.ts';
import { upgraderBy } from './compose-upgrade.ts';
import { composeUpkeep, type Upkeep } from './compose-upkeep.ts';
import type { Config } from './config.ts';

export interface Alone extends Upkeep {
  /** Resolves when all that has begun is over, and the store is free. */
  close(): Promise<void>;
}

/**
 * `said` is told, as a sentence, of what went wrong and stops nothing; `signal` ends an upgrade, for which an older store is
 * taken in where the settings say so. Throws StartError where a server has the folder, or it cannot be used, and LarderError
 * where the store cannot be read.
 */
export async function composeAlone(
  config: Config,
  said: (sentence: string) => void,
  signal: AbortSignal,
): Promise<Alone> {
  const listener = listenerOf(said);
  const locks = await composeLock(config, listener);
  try {
    return await composeLocked(config, listener, locks, signal);
  } catch (error) {
    locks.close();
    throw error;
  }
}

async function composeLocked(
  config: Config,
  listener: Required<Listener>,
  locks: ComposedLock,
  signal: AbortSignal,
): Promise<Alone> {
  const upgrade = config.migrate === 'auto' ? upgraderBy(locks.lock, signal) : undefined;
  const storage = await composeStore(config, listener, upgrade);
  prepareFolder('LARDER_SPOOL_DIR', config.spoolDir);
  const { store, place } = storage;
  const told = await composeAnnouncements(locks.redis, config.s3 && store, listener);
  const answers = new Answers(store);
  const links = new Links({ store, answers, listener });
  const zips = new ZipChecker();
  told.announcements.subscribe(async (scope) => {
    const isPurged = within(scope);
    storage.forgetAll(isPurged);
    await answers.forgetAll(isPurged);
    await links.forget(isPurged);
  });
  const upkeep = composeUpkeep(config, {
    store,
    place,
    answers,
    lock: locks.lock,
    announcements: told.announcements,
    treeList: new TreeList(store),
    zips,
    links,
    pins: new Pins(place, systemClock.now),
  });
  return {
    ...upkeep,
    async close() {
      await upkeep.purger.settled();
      await links.settled();
      await zips.close();
      await told.close();
      locks.close();
      await storage.close();
    },
  };
}

/** Tells, in sentences, what the store and the lock service tell of themselves. */
export function listenerOf(said: (sentence: string) => void): Required<Listener> {
  const own: Listener = {
    storeFailed: ({ key, error }) => {
      said(`The store failed${key === '' ? '' : ` with ${key}`}: ${messageOf(error)}.`);
    },
    lockService: ({ up, reason = '' }) => {
      if (!up) said(`Redis is away: replicas are told of this by the store alone. ${reason}`);
    },
  };
  return fanOut([own], (error) => {
    said(messageOf(error));
  });
}
