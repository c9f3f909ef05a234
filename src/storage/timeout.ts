import { LarderError } from '../engine/errors.ts';
import type { Body, Store } from '../engine/ports.ts';

/** Milliseconds. */
export interface StoreTimeouts {
  /** One call, or one chunk of a body. */
  readonly call: number;
  /** A whole stash, however large, or a look at what may be spoiled: nobody waits for it. */
  readonly stash: number;
}

/** The same store, whose calls fail with LarderError `store_failed` when they make no progress. */
export function withTimeout(store: Store, { call, stash }: StoreTimeouts): Store {
  const listBelow = store.listBelow?.bind(store);
  const timely = <T>(run: Promise<T>) => inTime(run, call);
  return {
    async open(key) {
      const stored = await timely(store.open(key));
      if (stored === undefined) return undefined;
      const { url } = stored;
      const body = timelyBody(stored.body, call);
      return { ...stored, body, ...(url && { url: () => timely(url()) }) };
    },
    record: (key) => timely(store.record(key)),
    stash: (key, source, record) => inTime(store.stash(key, source, record), stash),
    readDocument: (key) => timely(store.readDocument(key)),
    writeDocument: (key, bytes) => timely(store.writeDocument(key, bytes)),
    spoil: (key) => timely(store.spoil(key)),
    isSpoiled: (key) => inTime(store.isSpoiled(key), stash),
    delete: (key) => timely(store.delete(key)),
    list: (folder) => timely(store.list(folder)),
    ...(listBelow && { listBelow: (folder: string) => timelyChunks(listBelow(folder), call) }),
    check: () => timely(store.check()),
  };
}

function timelyBody(body: Body, ms: number): Body {
  // what is in memory needs no watch
  if (body.bytes) return body;
  return {
    size: body.size,
    read: (start, end, signal) => timelyChunks(body.read(start, end, signal), ms),
    close: () => {
      body.close();
    },
  };
}

async function* timelyChunks<T>(iterable: AsyncIterable<T>, ms: number): AsyncGenerator<T> {
  const chunks = iterable[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await inTime(chunks.next(), ms);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    void chunks.return?.();
  }
}

function inTime<T>(run: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const sentence = `the store made no progress for ${String(ms)} ms`;
      reject(new LarderError('store_failed', sentence, { retryAfterMs: 5000 }));
    }, ms);
    run.then(resolve, reject).finally(() => {
      clearTimeout(timer);
    });
  });
}
