// Where clients may get blobs by themselves. A registry is asked once for all who ask at the same time; where its answer is the blob
// itself, that answer is what is served, and not asked for again.

import { LRUCache } from 'lru-cache';
import { Runs } from '../engine/runs.ts';
import { orAborted } from '../http/deadline.ts';
import type { BegunBlob, RegistryFetcher } from './fetch-registry.ts';

/** How long an answer with a blob waits for whoever reads it, milliseconds. */
const WAITING_MS = 1000;
/** How long a registry is taken to serve a blob itself as it did, and how many such blobs are remembered. */
const SERVED_MS = 60_000;
const SERVED = 10_000;

export class BlobLocations {
  readonly #questions = new Runs<string | undefined>();
  readonly #begun = new Map<string, BegunBlob>();
  readonly #served = new LRUCache<string, true>({ max: SERVED, ttl: SERVED_MS });

  /** Whether the registry has just now served it by itself. */
  isServed(fetcher: RegistryFetcher, repository: string, digest: string): boolean {
    return this.#served.has(keyOf(fetcher, repository, digest));
  }

  /** Undefined where the registry serves the blob itself. Throws as `RegistryFetcher.locateBlob` does. */
  find(
    fetcher: RegistryFetcher,
    repository: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const key = keyOf(fetcher, repository, digest);
    const question = this.#questions.joinOrStart(key, async () => {
      // for whoever waits: it has the fetcher's own deadline
      const located = await fetcher.locateBlob(repository, digest, new AbortController().signal);
      if (typeof located === 'string') return located;
      this.#served.set(key, true);
      this.#keep(key, located);
      return undefined;
    });
    return orAborted(question.result, signal);
  }

  /** The answer with this blob, if one waits: for its caller, who reads or destroys it. */
  take(fetcher: RegistryFetcher, repository: string, digest: string): BegunBlob | undefined {
    const key = keyOf(fetcher, repository, digest);
    const begun = this.#begun.get(key);
    this.#begun.delete(key);
    return begun;
  }

  #keep(key: string, begun: BegunBlob): void {
    this.#begun.set(key, begun);
    setTimeout(() => {
      if (this.#begun.get(key) !== begun) return;
      this.#begun.delete(key);
      begun.body.destroy();
    }, WAITING_MS).unref();
  }
}

const keyOf = ({ source }: RegistryFetcher, repository: string, digest: string): string =>
  `${source} ${repository}@${digest}`;
