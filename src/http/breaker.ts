import { LarderError } from '../engine/errors.ts';
import type { Timing } from './timing.ts';

/** Failures in a row after which a host is left alone. */
const FAILURES = 5;
/** For how long, at first and at most; twice as long each time that it has not got better. Milliseconds. */
const FIRST_MS = 2000;
const LONGEST_MS = 30_000;

/** One request that was let through; exactly one of these is to be called. */
export interface Pass {
  /** The host answered, whatever it said. */
  answered(): void;
  /** It could not be reached, or was silent for too long. `why`: for a sentence. */
  failed(why: string): void;
  /** Whoever asked went away before that was known. */
  left(): void;
}

/**
 * Leaves a host alone that cannot be reached or is silent, again and again. Then one request at a time tries whether it is
 * back, and all others fail at once.
 */
export class Breaker {
  readonly #host: string;
  readonly #timing: Timing;
  readonly #changed: (open: boolean, why: string) => void;
  #failures = 0;
  #openUntil = 0;
  #openMs = FIRST_MS;
  #probing = false;
  #why = '';

  /** `changed` is told when it opens and closes. */
  constructor(host: string, timing: Timing, changed: (open: boolean, why: string) => void) {
    this.#host = host;
    this.#timing = timing;
    this.#changed = changed;
  }

  /** Throws LarderError `upstream_failed` where the host is left alone now. */
  check(): void {
    if (this.#failures < FAILURES) return;
    const ms = this.#openUntil - this.#timing.now();
    if (ms <= 0 && !this.#probing) return;
    throw new LarderError(
      'upstream_failed',
      `${this.#host} is not asked for a moment, as it failed ${String(this.#failures)} times in a row: ${this.#why}`,
    );
  }

  /** Throws as `check`. */
  enter(): Pass {
    this.check();
    const isProbe = this.#failures >= FAILURES;
    if (isProbe) this.#probing = true;
    const over = () => {
      if (isProbe) this.#probing = false;
    };
    return {
      answered: () => {
        over();
        if (this.#failures >= FAILURES) this.#changed(false, '');
        this.#failures = 0;
        this.#openMs = FIRST_MS;
      },
      failed: (why) => {
        over();
        this.#failures++;
        this.#why = why;
        if (this.#failures === FAILURES) this.#changed(true, why);
        // what was sent before it opened says nothing new
        if (isProbe) this.#openMs = Math.min(this.#openMs * 2, LONGEST_MS);
        if (isProbe || this.#failures === FAILURES)
          this.#openUntil = this.#timing.now() + this.#openMs;
      },
      left: over,
    };
  }
}
