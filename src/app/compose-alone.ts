// The store by itself, for a verb of the command line: no server, no upstream, the same settings.

import { Answers } from '../engine/answers.ts';
import { fanOut } from '../engine/listeners.ts';
import { systemClock } from '../engine/ports.ts';
import { within } from '../engine/purge-plan.ts';
import { TreeList } from '../go/tree-list.ts';
import { Links } from '../oci/links.ts';
import { Pins } from '../references/pins.ts';
import { composeAnnouncements } from './compose-announcements.ts';
import { composeLock } from './compose-lock.ts';
import { composeStore } from './compose-store.ts';
import { composeUpkeep, type Upkeep } from './compose-upkeep.ts';
import type { Config } from './config.ts';

export interface Alone extends Upkeep {
  /** Resolves when all that has begun is over, and the store is free. */
  close(): Promise<void>;
}

/**
 * `said` is told, as a sentence, of what went wrong and stops nothing. Throws StartError where a server has the folder, or it
 * cannot be used, and LarderError where the store cannot be read.
 */
export async function composeAlone(
  config: Config,
  said: (sentence: string) => void,
): Promise<Alone> {
  const failed = (error: unknown) => {
    said(error instanceof Error ? error.message : String(error));
  };
  const listener = fanOut(
    [
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
  const storage = await composeStore(config, listener);
  const { store, place } = storage;
  const locks = await composeLock(config, listener);
  const told = await composeAnnouncements(locks.redis, config.s3 && store, listener);
  const answers = new Answers(store);
  const links = new Links({ store, answers, listener });
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
    links,
    pins: new Pins(place, systemClock.now),
  });
  return {
    ...upkeep,
    async close() {
      await upkeep.purger.settled();
      await links.settled();
      await told.close();
      locks.close();
      await storage.close();
    },
  };
}
