import { LarderError } from './errors.ts';

/** A number of places, given first come, first served; a bounded number may wait, the next are refused. */
export class Slots {
  readonly #places: number;
  readonly #queue = new Set<() => void>();
  readonly #maxWaiting: number;
  readonly #maxWaitMs: number;
  #taken = 0;

  constructor(limits: { places: number; maxWaiting: number; maxWaitMs: number }) {
    this.#places = limits.places;
    this.#maxWaiting = limits.maxWaiting;
    this.#maxWaitMs = limits.maxWaitMs;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** Resolves with a place; call the result once to give it back. Throws LarderError `overloaded`. */
  async take(): Promise<() => void> {
    if (this.#taken >= this.#places) await this.#turn();
    else this.#taken++;
    return () => {
      const [next] = this.#queue;
      if (next === undefined) this.#taken--;
      else next();
    };
  }

  #turn(): Promise<void> {
    if (this.#queue.size >= this.#maxWaiting) return Promise.reject(overloaded());
    return new Promise((resolve, reject) => {
      const next = () => {
        this.#queue.delete(next);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#queue.delete(next);
        reject(overloaded());
      }, this.#maxWaitMs);
      this.#queue.add(next);
    });
  }
}

export function overloaded(): LarderError {
  return new LarderError('overloaded', 'too many fetches are under way; try again in a moment', {
    retryAfterMs: 2000,
  });
}
