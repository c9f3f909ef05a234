// What keeps the store in order, whoever asks for it: the server, or the command line with the store to itself.

import { OldAnnouncements } from '../coordination/old-announcements.ts';
import { announcementDocuments } from '../coordination/store-announcements.ts';
import type { Answers } from '../engine/answers.ts';
import { systemClock, type Lock, type Store } from '../engine/ports.ts';
import type { Announcements, Purgeable } from '../engine/purge-plan.ts';
import { ANSWERS as GO_ANSWERS } from '../go/names.ts';
import { GoSweeper } from '../go/collect.ts';
import { goPurgeable } from '../go/purge.ts';
import type { TreeList } from '../go/tree-list.ts';
import { goVerifiable } from '../go/verify.ts';
import type { ZipChecker } from '../go/zip-checker.ts';
import { OciSweeper } from '../oci/collect.ts';
import { LISTS as OCI_ANSWERS } from '../oci/keys.ts';
import type { Links } from '../oci/links.ts';
import { ociPurgeable } from '../oci/purge.ts';
import { ociVerifiable } from '../oci/verify.ts';
import { OciUpstreams, parseOciUpstreams } from '../oci/upstreams.ts';
import { Collector } from '../references/collect.ts';
import { ExpiredAnswers } from '../references/expired-answers.ts';
import type { Pins } from '../references/pins.ts';
import { Purger } from '../references/purge.ts';
import { Verifier } from '../references/verify.ts';
import { ownVerifiable } from '../references/verify-own.ts';
import { formatDocument } from '../storage/format.ts';
import type { Config } from './config.ts';

export interface UpkeepParts {
  readonly store: Store;
  /** Without anything near: what another replica has deleted is not there. */
  readonly place: Store;
  readonly answers: Answers;
  readonly lock: Lock;
  readonly announcements: Announcements;
  readonly treeList: TreeList;
  readonly links: Links;
  readonly pins: Pins;
  /** As of PurgerParts. */
  readonly removed: (key: string, bytes: number) => void;
  /** Counts the store anew. Throws LarderError `store_failed`, and the signal's reason. */
  readonly recount: (signal: AbortSignal) => Promise<void>;
  readonly zips: ZipChecker;
}

export interface Upkeep {
  readonly purger: Purger;
  readonly collector: Collector;
  /** As `Verifier.run`; when all was looked at, the size of the store is set right as well. */
  readonly verify: Verifier['run'];
  /** What a name means in each protocol. Each throws LarderError `invalid`. */
  readonly purgeables: Readonly<Record<'go' | 'oci', (text: string) => Purgeable>>;
}

export function composeUpkeep(config: Config, parts: UpkeepParts): Upkeep {
  const { store, place, answers, lock, announcements, treeList, links, pins } = parts;
  const { removed, recount, zips } = parts;
  const upstreams = new OciUpstreams(parseOciUpstreams(config.oci.upstreams));
  // who asks no upstream serves what it has, however old
  const usableMs = (ttlMs: number) => (config.offline ? Infinity : ttlMs + config.staleIfErrorMs);
  // a purge goes on to its end
  const never = new AbortController().signal;
  const purger = new Purger({
    store: place,
    lock,
    announcements,
    ensureOwners: () => verifier.ensureOwners(never),
    removed,
  });
  const collector = new Collector({
    store: place,
    lock,
    purger,
    sweepers: [
      ...(config.s3 ? [] : [new GoSweeper({ store: place, treeList })]),
      new OciSweeper({ store: place, answers, links, pinned: () => pins.pinned() }),
      new ExpiredAnswers(place, [
        { folder: GO_ANSWERS, usableMs: usableMs(config.listTtlMs) },
        { folder: OCI_ANSWERS, usableMs: usableMs(config.tagTtlMs) },
      ]),
      new OldAnnouncements(place),
    ],
    graceMs: config.orphanGraceMs,
    keepsAll: config.keepsAll,
    now: systemClock.now,
  });
  const verifier = new Verifier({
    store: place,
    lock,
    announcements,
    rooms: [
      goVerifiable({ store: place, treeList, zips, spoolDir: config.spoolDir }),
      ociVerifiable(place),
      ownVerifiable(place, systemClock.now, [
        { items: () => announcementDocuments(place) },
        { items: () => formatDocument(place) },
      ]),
    ],
    clock: systemClock,
    removed,
  });
  return {
    purger,
    collector,
    async verify(options, signal, progress) {
      const result = await verifier.run(options, signal, progress);
      if (options.sample === undefined) await recount(signal);
      return result;
    },
    purgeables: {
      go: (text) => goPurgeable({ store, treeList }, text),
      oci: (text) => ociPurgeable({ store, answers, upstreams }, text),
    },
  };
}
