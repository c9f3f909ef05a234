import { LarderError } from './errors.ts';
import type { Clock } from './ports.ts';

/** A failure is shared with whoever asks within this time; longer only for what is not there. */
const FAILURE_MS = 1000;
/** The memory is bounded: past it the oldest is forgotten, which costs one more question upstream. */
const MAX_ENTRIES = 20_000;

/** Remembers by key what is not there (for the negative TTL) and what failed (for a second). */
export class Failures {
  readonly #clock: Clock;
  readonly #negativeTtlMs: number;
  readonly #entries = new Map<string, { error: LarderError; until: number }>();

  constructor(clock: Clock, negativeTtlMs: number) {
    this.#clock = clock;
    this.#negativeTtlMs = negativeTtlMs;
  }

  remember(key: string, error: unknown): void {
    if (!(error instanceof LarderError) || error.code === 'overloaded') return;
    const absent = error.code === 'not_found';
    // what was told may be older than what is known here since
    const lasting = absent && !error.told ? Infinity : FAILURE_MS;
    const ms = absent ? Math.min(this.#negativeTtlMs, lasting) : FAILURE_MS;
    if (ms === 0) return;
    const shared = absent
      ? new LarderError('not_found', error.message, { outcome: 'negative' })
      : error;
    this.#entries.delete(key);
    this.#entries.set(key, { error: shared, until: this.#clock.now() + ms });
    if (this.#entries.size > MAX_ENTRIES) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest);
        break;
      }
    }
  }

  forget(key: string): void {
    this.#entries.delete(key);
  }

  forgetAll(matches: (key: string) => boolean): void {
    for (const key of this.#entries.keys()) if (matches(key)) this.#entries.delete(key);
  }

  /** What is remembered for this key. */
  get(key: string): LarderError | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > this.#clock.now()) return entry.error;
    this.#entries.delete(key);
    return undefined;
  }

  /** Throws what is remembered for this key. */
  check(key: string): void {
    const error = this.get(key);
    if (error) throw error;
  }
}
