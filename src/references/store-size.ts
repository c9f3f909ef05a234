// How many bytes of content the store has: counted as it grows and shrinks, and set right by a walk.

import { mapBounded } from '../engine/bounded.ts';
import type { ContentFolder } from '../engine/holdings.ts';
import type { Store } from '../engine/ports.ts';

/** Records read at once. */
const READS = 16;

/** Of content alone. */
export interface Sum {
  readonly bytes: number;
  readonly objects: number;
}

export const NOTHING: Sum = { bytes: 0, objects: 0 };

export const plus = (one: Sum, other: Sum): Sum => ({
  bytes: one.bytes + other.bytes,
  objects: one.objects + other.objects,
});

export class StoreSize {
  /** As all replicas told; undefined before anything is known. */
  #told: Sum | undefined;
  /** What came and went here since this process told it. */
  #untold = NOTHING;
  /** While a walk goes: where it is, and what changed behind it. */
  #walk: { end: string; behind: Sum } | undefined;

  /** Undefined until it is known. */
  get now(): Sum | undefined {
    return this.#told && plus(this.#told, this.#untold);
  }

  stored(key: string, bytes: number): void {
    this.#change(key, { bytes, objects: 1 });
  }

  removed(key: string, bytes: number): void {
    this.#change(key, { bytes: -bytes, objects: -1 });
  }

  /** What is to be told the others; to be called with it in `wasTold` once they can know. */
  get untold(): Sum {
    return this.#untold;
  }

  /** `told`: what this process has just told; `all`: what it and all others have, as far as is known. */
  wasTold(told: Sum, all: Sum | undefined): void {
    this.#untold = plus(this.#untold, { bytes: -told.bytes, objects: -told.objects });
    this.#told = all;
  }

  /**
   * Counts what is there. What this process stores and removes meanwhile is counted where the walk has passed already.
   * Throws LarderError `store_failed`, and the signal's reason.
   */
  async count(
    store: Pick<Store, 'record'>,
    folders: AsyncIterable<ContentFolder>,
    signal: AbortSignal,
  ): Promise<Sum> {
    const walk = { end: '', behind: NOTHING };
    this.#walk = walk;
    let sum = NOTHING;
    try {
      for await (const { end, keys } of folders) {
        signal.throwIfAborted();
        walk.end = end;
        const records = await mapBounded(keys, READS, (key) => store.record(key));
        for (const record of records)
          if (record) sum = plus(sum, { bytes: record.size, objects: 1 });
      }
      return plus(sum, walk.behind);
    } finally {
      this.#walk = undefined;
    }
  }

  #change(key: string, by: Sum): void {
    this.#untold = plus(this.#untold, by);
    if (this.#walk && key <= this.#walk.end) this.#walk.behind = plus(this.#walk.behind, by);
  }
}
