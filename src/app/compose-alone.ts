// The store by itself, for a verb of the command line: no server, no upstream, the same settings.

import { userInfo } from 'node:os';
import { auditedPurge } from '../admin/purge.ts';
import type { RedisService } from '../coordination/redis.ts';
import { Answers } from '../engine/answers.ts';
import { messageOf } from '../engine/errors.ts';
import { fanOut } from '../engine/listeners.ts';
import { systemClock, type Listener, type Lock, type Store } from '../engine/ports.ts';
import { within, type Announcements, type Purgeable } from '../engine/purge-plan.ts';
import { GoHoldings } from '../go/holdings.ts';
import { TreeList } from '../go/tree-list.ts';
import { ZipChecker } from '../go/zip-checker.ts';
import { createLogger } from '../observability/logger.ts';
import { OciHoldings } from '../oci/holdings.ts';
import { Links } from '../oci/links.ts';
import { OciUpstreams, parseOciUpstreams } from '../oci/upstreams.ts';
import { Pins } from '../references/pins.ts';
import type { PurgeResult } from '../references/purge.ts';
import { FORMAT } from '../storage/format.ts';
import { auditTrail } from './audit-trail.ts';
import { composeAnnouncements } from './compose-announcements.ts';
import { composeTally, watchStore } from './compose-evict.ts';
import { composeLock } from './compose-lock.ts';
import { composeStore, prepareFolder } from './compose-store.ts';
import { upgraderBy } from './compose-upgrade.ts';
import { composeUpkeep, type Upkeep } from './compose-upkeep.ts';
import type { Config } from './config.ts';

const STDERR = 2;

export interface Alone extends Upkeep {
  /** As `Purger` does, with a line in the audit log on standard error. */
  purge(purgeable: Purgeable, dryRun: boolean): Promise<PurgeResult>;
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
  const clock = systemClock;
  const watched = watchStore(clock);
  const opened = await openStore(config, said, signal, watched.listener);
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
  const treeList = new TreeList(store);
  const upstreams = new OciUpstreams(parseOciUpstreams(config.oci.upstreams));
  const holdings = [
    new GoHoldings({ store: place, treeList }),
    new OciHoldings({ store: place, upstreams }),
  ];
  const counted = composeTally({ watched, holdings, store: place, lock, clock, listener });
  const upkeep = composeUpkeep(config, {
    store,
    place,
    answers,
    lock,
    announcements,
    treeList,
    links,
    pins: new Pins(place, clock.now),
    removed: (key, bytes) => {
      listener.removed({ key, bytes });
    },
    recount: (signal) => counted.recount(signal),
    zips,
  });
  const audit = auditTrail(createLogger(config.logLevel, STDERR));
  return {
    ...upkeep,
    purge: (purgeable, dryRun) =>
      auditedPurge({ purger: upkeep.purger, audit }, purgeable, dryRun, { user: userName() }),
    format: FORMAT,
    async close() {
      await upkeep.purger.settled();
      await links.settled();
      await counted.tally.close();
      await zips.close();
      await opened.close();
    },
  };
}

/** A container may run under a number that has no name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${String(process.getuid?.())}`;
  }
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
