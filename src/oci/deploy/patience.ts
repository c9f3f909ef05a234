// The time that one input has: it runs while registries are asked, and not while bytes flow or others are waited for.

export class Patience {
  /** Aborts when the time is over, by the error of `late`, or with the signal that was given. */
  readonly signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #late: () => Error;
  #leftMs: number;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #halts = 0;

  /** Call `end` when it is done. */
  constructor(ms: number, late: () => Error, signal: AbortSignal) {
    this.#leftMs = ms;
    this.#late = late;
    this.signal = AbortSignal.any([signal, this.#over.signal]);
    this.#run();
  }

  /** The clock stands still while this runs, which has deadlines of its own. */
  async standStill<T>(run: Promise<T>): Promise<T> {
    if (this.#halts++ === 0) {
      this.end();
      this.#leftMs -= performance.now() - this.#since;
    }
    return run.finally(() => {
      if (--this.#halts === 0) this.#run();
    });
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #run(): void {
    if (this.signal.aborted) return;
    this.#since = performance.now();
    this.#timer = setTimeout(
      () => {
        this.#over.abort(this.#late());
      },
      Math.max(0, this.#leftMs),
    );
  }
}
