import { LocalAnnouncements } from '../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { announcementDocuments } from '../../src/coordination/store-announcements.ts';
import { systemClock, type Clock, type Store } from '../../src/engine/ports.ts';
import { TreeList } from '../../src/go/tree-list.ts';
import { goVerifiable } from '../../src/go/verify.ts';
import { ZipChecker } from '../../src/go/zip-checker.ts';
import { ociVerifiable } from '../../src/oci/verify.ts';
import { Verifier } from '../../src/references/verify.ts';
import { ownVerifiable } from '../../src/references/verify-own.ts';
import { formatDocument } from '../../src/storage/format.ts';
import { atEnd, tempDir } from './tmp.ts';

/** A verifier of a store, as the program makes one, and what is announced by it. */
export function verifierOf(store: Store, clock: Clock = systemClock) {
  const zips = new ZipChecker();
  atEnd(() => zips.close());
  const lock = new LocalLock();
  const announcements = new LocalAnnouncements();
  const treeList = new TreeList(store);
  const rooms = [
    goVerifiable({ store, treeList, zips, spoolDir: tempDir() }),
    ociVerifiable(store),
    ownVerifiable(store, clock.now, [
      { items: () => announcementDocuments(store) },
      { items: () => formatDocument(store) },
    ]),
  ];
  const verifier = new Verifier({ store, lock, announcements, rooms, clock });
  return { verifier, rooms, lock, announcements };
}
