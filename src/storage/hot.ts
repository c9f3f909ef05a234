import { LRUCache } from 'lru-cache';
import type { Store, StoredContent } from '../engine/ports.ts';
import type { NearStore } from './near-store.ts';

/** Bytes of small content in memory, and entries. */
const MEMORY = 48 * 1024 * 1024;
const ENTRIES = 50_000;

/** The same store with its small content in a bounded memory in front: such a hit reads no disk. */
export function hot(store: Store): NearStore {
  const memory = new LRUCache<string, StoredContent>({
    max: ENTRIES,
    maxSize: MEMORY,
    sizeCalculation: ({ record }) => record.size + 512,
  });
  /** What was read before a deletion must not come back into memory after it. */
  let deletions = 0;
  const forget = async (key: string, change: (key: string) => Promise<void>) => {
    deletions++;
    memory.delete(key);
    await change(key);
    deletions++;
    memory.delete(key);
  };
  return {
    async open(key) {
      const known = memory.get(key);
      if (known) return known;
      const before = deletions;
      const stored = await store.open(key);
      if (stored?.body.bytes && deletions === before) memory.set(key, stored);
      return stored;
    },
    async record(key) {
      return memory.get(key)?.record ?? store.record(key);
    },
    stash: (key, source, record) => store.stash(key, source, record),
    readDocument: (key) => store.readDocument(key),
    writeDocument: (key, bytes) => store.writeDocument(key, bytes),
    spoil: (key) => forget(key, (one) => store.spoil(one)),
    isSpoiled: (key) => store.isSpoiled(key),
    delete: (key) => forget(key, (one) => store.delete(one)),
    list: (folder) => store.list(folder),
    check: () => store.check(),
    forgetAll(matches) {
      deletions++;
      for (const key of [...memory.keys()]) if (matches(key)) memory.delete(key);
    },
  };
}
