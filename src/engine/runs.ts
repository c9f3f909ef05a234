/** One piece of work under way. */
export interface Run<T> {
  readonly result: Promise<T>;
  /** Aborts when it is overtaken: what it brings is for those who wait for it alone. */
  readonly overtaken: AbortSignal;
}

/** One run a key; whoever comes meanwhile shares its result, errors too. */
export class Runs<T> {
  readonly #running = new Map<string, Run<T> & { overtake(): void }>();

  /** Joins the run of this key, or starts one. */
  joinOrStart(key: string, work: (overtaken: AbortSignal) => Promise<T>): Run<T> {
    const running = this.#running.get(key);
    if (running) return running;
    const overtaking = new AbortController();
    const overtaken = overtaking.signal;
    const result = work(overtaken).finally(() => {
      if (!overtaken.aborted) this.#running.delete(key);
    });
    const overtake = () => {
      this.#running.delete(key);
      overtaking.abort(new Error('it is out of date'));
    };
    const run = { result, overtaken, overtake };
    this.#running.set(key, run);
    return run;
  }

  /** Resolves when nothing that has begun under this key runs any more, however it ended. */
  async ended(key: string): Promise<void> {
    await Promise.allSettled([this.#running.get(key)?.result]);
  }

  /** What has begun under these keys is out of date: whoever comes from now on starts anew. */
  overtake(matches: (key: string) => boolean): void {
    for (const [key, run] of this.#running) if (matches(key)) run.overtake();
  }
}
