import type { Lease, Lock } from '../engine/ports.ts';

/** Leases within one process: first come, first served, never lost. */
export class LocalLock implements Lock {
  readonly #tails = new Map<string, Promise<void>>();

  async acquire(key: string, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    const before = this.#tails.get(key);
    const { promise: done, resolve: free } = Promise.withResolvers<undefined>();
    const tail = (before ?? Promise.resolve()).then(() => done);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    if (before) {
      await turn(before, signal).catch((error: unknown) => {
        free(undefined);
        throw error;
      });
    }
    const release = () => {
      free(undefined);
      return Promise.resolve();
    };
    return { waited: before !== undefined, lost: new AbortController().signal, release };
  }
}

function turn(before: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', aborted, { once: true });
    void before.then(() => {
      signal.removeEventListener('abort', aborted);
      resolve();
    });
  });
}
