import type { Store } from '../../src/engine/ports.ts';

/** The same store; `before` is called before each of its writes, which does not take place when it throws. */
export function beforeWrites(store: Store, before: (key: string) => void): Store {
  const writing = async <T>(key: string, write: () => Promise<T>): Promise<T> => {
    before(key);
    return write();
  };
  return {
    open: (key) => store.open(key),
    record: (key) => store.record(key),
    readDocument: (key) => store.readDocument(key),
    isSpoiled: (key) => store.isSpoiled(key),
    list: (folder) => store.list(folder),
    check: () => store.check(),
    stash: (key, source, record) => writing(key, () => store.stash(key, source, record)),
    writeDocument: (key, bytes) => writing(key, () => store.writeDocument(key, bytes)),
    spoil: (key) => writing(key, () => store.spoil(key)),
    delete: (key) => writing(key, () => store.delete(key)),
  };
}

/** As if the process were killed after so many writes. */
export function dying(store: Store, writes: number): Store {
  let left = writes;
  return beforeWrites(store, () => {
    if (left-- <= 0) throw new Error('killed');
  });
}
