// What comes in faster than it can be evicted waits before it is stored: no client does, since its bytes went out before.
// What may be stored and is not yet counts as if it were, so that not all who wait go at once.

import type { Room } from '../engine/ports.ts';
import type { StoreSize } from './store-size.ts';

/** Fills that wait at once: each holds a spool. */
const MOST = 64;
/** How long one waits, milliseconds. */
const LONGEST_MS = 5000;
/** Up to how much of the limit those are kept that have waited long enough. */
const HIGH_WATER = 1.1;

export interface StoreRoomParts {
  readonly size: Pick<StoreSize, 'now'>;
  /** Bytes of content. */
  readonly maxBytes: number;
  /** Whether an eviction brings the store down now. Where it does not there is nothing to wait for. */
  readonly reclaims: () => boolean;
}

export class StoreRoom implements Room {
  readonly #parts: StoreRoomParts;
  /** Bytes that may be stored and are not yet. */
  #granted = 0;
  /** What the store held when the first of those came that wait now. */
  #before = 0;
  /** First come, first served. */
  readonly #waiting = new Set<() => void>();

  constructor(parts: StoreRoomParts) {
    this.#parts = parts;
  }

  take(bytes: number, signal: AbortSignal): Promise<(() => void) | undefined> {
    if (this.#waiting.size === 0 && this.#isOpen()) return Promise.resolve(this.#grant(bytes));
    if (this.#waiting.size >= MOST || signal.aborted) return Promise.resolve(this.#late(bytes));
    return new Promise((resolve) => {
      const end = (result: (() => void) | undefined) => {
        this.#waiting.delete(next);
        clearTimeout(timer);
        signal.removeEventListener('abort', late);
        resolve(result);
      };
      const next = () => {
        end(this.#grant(bytes));
      };
      const late = () => {
        end(this.#late(bytes));
      };
      const timer = setTimeout(late, LONGEST_MS);
      signal.addEventListener('abort', late);
      if (this.#waiting.size === 0) this.#before = this.#bytes;
      this.#waiting.add(next);
    });
  }

  /** There may be room: called when something went, and when an eviction ends. */
  look(): void {
    for (const next of this.#waiting) {
      if (!this.#isOpen()) return;
      next();
    }
  }

  #isOpen(): boolean {
    const { maxBytes, reclaims } = this.#parts;
    const bytes = this.#bytes;
    if (bytes + this.#granted <= maxBytes) return true;
    // what is granted already comes first
    return bytes > maxBytes && !reclaims();
  }

  #grant(bytes: number): () => void {
    this.#granted += bytes;
    return () => {
      this.#granted -= bytes;
      this.look();
    };
  }

  /** It waits no longer, and is kept as long as that makes the store no larger than it was, or not much. */
  #late(bytes: number): (() => void) | undefined {
    const { maxBytes, reclaims } = this.#parts;
    const isFull = this.#bytes + this.#granted > Math.max(maxBytes * HIGH_WATER, this.#before);
    return isFull && reclaims() ? undefined : this.#grant(bytes);
  }

  /** Nothing while it is not known. */
  get #bytes(): number {
    return this.#parts.size.now?.bytes ?? 0;
  }
}
