import type { Lease, LeaseRequest, Lock, Outcome } from '../engine/ports.ts';

/** What a holder told, and who may hear it. */
interface Told {
  readonly outcome: Outcome;
  readonly scope: string;
}

/** Leases within one process: first come, first served, never lost. */
export class LocalLock implements Lock {
  readonly #tails = new Map<string, Promise<Told | undefined>>();

  async acquire({ key, scope, signal }: LeaseRequest): Promise<Lease | Outcome> {
    signal.throwIfAborted();
    const before = this.#tails.get(key);
    const { promise: done, resolve: free } = Promise.withResolvers<Told | undefined>();
    const tail = (before ?? Promise.resolve()).then(() => done);
    this.#tails.set(key, tail);
    void tail.then(() => {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
    if (before) {
      const told = await turn(before, signal).catch((error: unknown) => {
        free(undefined);
        throw error;
      });
      if (told && (told.outcome.kind === 'stored' || told.scope === scope)) {
        // for whoever waits behind as well
        free(told);
        return told.outcome;
      }
    }
    const release = (outcome?: Outcome) => {
      free(outcome && { outcome, scope });
      return Promise.resolve();
    };
    return { waited: before !== undefined, lost: new AbortController().signal, release };
  }
}

function turn(before: Promise<Told | undefined>, signal: AbortSignal): Promise<Told | undefined> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', aborted, { once: true });
    void before.then((told) => {
      signal.removeEventListener('abort', aborted);
      resolve(told);
    });
  });
}
