// How long one thing that is wanted may take until its first byte: everything that is sent for it together, tokens too.

import type { Readable } from 'node:stream';
import { orAborted } from './deadline.ts';
import type { Timing } from './timing.ts';

export interface PatienceOptions {
  /** From now to the first byte of the answer. Waits for limits do not count: the upstream is not slow then. Milliseconds. */
  readonly firstByteMs: number;
  /** From now until no limit is waited for any more, milliseconds. */
  readonly rateWaitMs: number;
  /** What the signal aborts with when it takes too long. */
  readonly late: () => Error;
  readonly signal?: AbortSignal | undefined;
}

export class Patience {
  /** Aborts when it takes too long, or with the signal that was given. */
  readonly signal: AbortSignal;
  /** Until when limits may be waited for, on the clock of `timing`. */
  readonly rateUntil: number;
  readonly #timing: Timing;
  readonly #own = new AbortController();
  readonly #unlink: () => void;
  #isOver = false;
  readonly #late: () => Error;
  /** Whose clocks stand still whenever this one's does. */
  readonly #followers = new Set<Patience>();
  #leftMs: number;
  #since = 0;
  /** Reasons for which the clock stands still. */
  #halts = 0;
  #hasEnded = false;
  #callOff: (() => void) | undefined;

  /** Call `end` when the first byte is there, or nobody wants it any more. */
  constructor(timing: Timing, { firstByteMs, rateWaitMs, late, signal }: PatienceOptions) {
    this.#timing = timing;
    this.#late = late;
    this.#leftMs = firstByteMs;
    this.rateUntil = timing.now() + rateWaitMs;
    this.signal = this.#own.signal;
    // AbortSignal.any would do, and costs the garbage collector more than all the rest of a small request
    const aborted = () => {
      this.#own.abort(signal?.reason);
    };
    this.#unlink = () => signal?.removeEventListener('abort', aborted);
    signal?.addEventListener('abort', aborted);
    if (signal?.aborted) aborted();
    this.#run();
  }

  /** Whether the signal has aborted because it took too long. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** How long limits may still be waited for, milliseconds. */
  get rateLeftMs(): number {
    return Math.max(0, this.rateUntil - this.#timing.now());
  }

  /** `body`: of an answer that is still read; it is tied to the signal that was given until it is closed. */
  end(body?: Readable): void {
    this.#hasEnded = true;
    this.#callOff?.();
    if (body === undefined || body.closed) this.#unlink();
    else body.once('close', this.#unlink);
  }

  /** Its clock stands still while this runs. */
  async standStill<T>(run: Promise<T>): Promise<T> {
    this.#halt();
    return run.finally(() => {
      this.#go();
    });
  }

  /** Waits for something that others wait for too; its clock stands still whenever that one's does. Throws as `orAborted`. */
  async shared<T>(run: Promise<T>, theirs: Patience): Promise<T> {
    theirs.#followers.add(this);
    if (theirs.#halts > 0) this.#halt();
    return orAborted(run, this.signal).finally(() => {
      theirs.#followers.delete(this);
      if (theirs.#halts > 0) this.#go();
    });
  }

  #halt(): void {
    if (this.#halts++ === 0) {
      this.#callOff?.();
      this.#leftMs -= this.#timing.now() - this.#since;
      for (const follower of this.#followers) follower.#halt();
    }
  }

  #go(): void {
    if (--this.#halts > 0) return;
    this.#run();
    for (const follower of this.#followers) follower.#go();
  }

  #run(): void {
    if (this.#hasEnded) return;
    this.#since = this.#timing.now();
    this.#callOff = this.#timing.after(Math.max(0, this.#leftMs), () => {
      if (this.signal.aborted) return;
      this.#isOver = true;
      this.#own.abort(this.#late());
    });
  }
}
