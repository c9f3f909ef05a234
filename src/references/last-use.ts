// When things were used last: a memory that hits write into at the cost of one Map entry, and from which units are judged.

import { hash } from 'node:crypto';
import type { Clock } from '../engine/ports.ts';
import type { Usage } from '../engine/usage.ts';

/** Keys that hits may touch before they are gone through. */
const TOUCHED = 32_768;
/** Things of which the last use is known, those used last. What falls out counts as used when it was stored. */
const KNOWN = 300_000;
/** Characters of the hash that stands for a key: 60 bits. */
export const NAME_LENGTH = 10;

/** Short names of keys, with the times of their last use in milliseconds since the epoch. */
export type Uses = ReadonlyMap<string, number>;

/** As a key is called in memory and in documents, where a store may have hundreds of thousands. */
const shortName = (key: string): string => hash('sha1', key, 'base64url').slice(0, NAME_LENGTH);

export class LastUse implements Usage {
  readonly #clock: Clock;
  readonly #usedAs: (key: string) => string | undefined;
  readonly #touched = new Map<string, number>();
  /** Used here, and not told yet. */
  #untold = new Map<string, number>();
  /** The least recently used first. */
  readonly #known = new Map<string, number>();
  /** How many read it, by what it is counted as. */
  readonly #readers = new Map<string, number>();

  /** `usedAs`: what is counted where a key is used; undefined: nothing. */
  constructor(clock: Clock, usedAs: (key: string) => string | undefined) {
    this.#clock = clock;
    this.#usedAs = usedAs;
  }

  used(key: string): void {
    this.#touched.set(key, this.#clock.now());
    if (this.#touched.size > TOUCHED) this.#settle();
  }

  reading(key: string): () => void {
    const as = this.#usedAs(key);
    if (as === undefined) return () => undefined;
    this.#readers.set(as, (this.#readers.get(as) ?? 0) + 1);
    return () => {
      const left = (this.#readers.get(as) ?? 1) - 1;
      if (left > 0) this.#readers.set(as, left);
      else this.#readers.delete(as);
      this.used(key);
    };
  }

  /**
   * Milliseconds since the epoch, Infinity where somebody reads one of them; undefined where none was used, as far as is
   * known.
   */
  of(keys: readonly string[]): number | undefined {
    this.#settle();
    let latest: number | undefined;
    for (const key of keys) {
      const as = this.#usedAs(key);
      if (as === undefined) continue;
      if (this.#readers.has(as)) return Infinity;
      const time = this.#known.get(shortName(as));
      if (time !== undefined && time > (latest ?? -Infinity)) latest = time;
    }
    return latest;
  }

  /** What was used here since the last time that this was asked. What is being read at this moment is used now. */
  takeUntold(): Uses {
    this.#settle();
    for (const as of this.#readers.keys()) this.#use(as, this.#clock.now());
    const untold = this.#untold;
    this.#untold = new Map();
    return untold;
  }

  /** They could not be told: they will be the next time. */
  giveBack(untold: Uses): void {
    for (const [name, time] of untold) raise(this.#untold, name, time);
  }

  /** What was used elsewhere, or before. */
  learn(uses: Uses): void {
    for (const [name, time] of uses) this.#know(name, time);
  }

  /** All that is known. */
  get all(): Uses {
    this.#settle();
    return this.#known;
  }

  #settle(): void {
    for (const [key, time] of this.#touched) {
      const as = this.#usedAs(key);
      if (as !== undefined) this.#use(as, time);
    }
    this.#touched.clear();
  }

  #use(as: string, time: number): void {
    const name = shortName(as);
    this.#know(name, time);
    raise(this.#untold, name, time);
  }

  #know(name: string, time: number): void {
    const before = this.#known.get(name);
    if (before !== undefined && before >= time) return;
    this.#known.delete(name);
    this.#known.set(name, time);
    if (this.#known.size <= KNOWN) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

function raise(uses: Map<string, number>, name: string, time: number): void {
  if ((uses.get(name) ?? -Infinity) < time) uses.set(name, time);
}
