// Which repository holds which digest. Bytes are shared between repositories, the right to read them is not.

import { LRUCache } from 'lru-cache';
import type { Listener, Store } from '../engine/ports.ts';
import type { Digest } from './digest.ts';
import type { Repository } from './upstreams.ts';

/** Links known in memory. */
const KNOWN = 100_000;

export class Links {
  readonly #store: Store;
  readonly #listener: Pick<Required<Listener>, 'storeFailed'>;
  readonly #known = new LRUCache<string, true>({ max: KNOWN });
  /** Fills under way, by the link that they end in. */
  readonly #pending = new Set<string>();

  constructor(store: Store, listener: Pick<Required<Listener>, 'storeFailed'>) {
    this.#store = store;
    this.#listener = listener;
  }

  /** Throws LarderError `store_failed`. */
  async has(repository: Repository, digest: Digest): Promise<boolean> {
    const key = linkKey(repository, digest);
    if (this.#known.has(key) || this.#pending.has(key)) return true;
    if ((await this.#store.readDocument(key)) === undefined) return false;
    this.#known.set(key, true);
    return true;
  }

  /** The upstream has shown that the repository holds it. Never waited for. */
  add(repository: Repository, digest: Digest): void {
    const key = linkKey(repository, digest);
    if (this.#known.has(key)) return;
    this.#known.set(key, true);
    const link = Buffer.from(JSON.stringify({ time: new Date().toISOString() }));
    this.#store.writeDocument(key, link).catch((error: unknown) => {
      this.#known.delete(key);
      this.#listener.storeFailed({ key, operation: 'link', error });
    });
  }

  /** A fill through this repository has begun: whoever joins it through the same one gets only what the upstream grants. */
  begin(repository: Repository, digest: Digest): void {
    this.#pending.add(linkKey(repository, digest));
  }

  /** That fill is over. */
  end(repository: Repository, digest: Digest, stored: boolean): void {
    this.#pending.delete(linkKey(repository, digest));
    if (stored) this.add(repository, digest);
  }
}

const linkKey = (repository: Repository, { algorithm, hex }: Digest): string =>
  `${repositoryKey(repository)}/_links/${algorithm}/${hex}`;

/** The folder of a repository in the store. No repository name begins with an underscore. */
export const repositoryKey = ({ upstream, path }: Repository): string =>
  `oci/repos/${upstream.name}/${path}`;
