// Clients that pull one artifact after another without a pause, while a test does something to what answers them.

import { request } from './http.ts';
import { tally, type Artifact } from './replicas.ts';

export interface LoadOptions {
  /** Clients, each with one pull at a time. */
  readonly atOnce: number;
  /** Each reads no faster than this on average. */
  readonly bytesPerSecond?: number;
}

export class Load {
  /** Pulls begun so far. */
  pulls = 0;
  readonly #outcomes = new Map<string, number>();
  readonly #pullers: readonly Promise<void>[];
  #least = Infinity;

  /** Begins at once. `artifact`: what the n-th pull is of, from 0 on. */
  constructor(
    base: string,
    artifact: (n: number) => Artifact,
    { atOnce, ...options }: LoadOptions,
  ) {
    const pull = async () => {
      while (this.pulls < this.#least) {
        const { path, body } = artifact(this.pulls++);
        const reply = await request(base, path, {
          keepBody: false,
          timeoutMs: 100_000,
          ...options,
        });
        for (const [what, count] of Object.entries(tally([reply], body)))
          this.#outcomes.set(what, (this.#outcomes.get(what) ?? 0) + count);
      }
    };
    this.#pullers = Array.from({ length: atOnce }, pull);
  }

  /** Ends it when at least so many pulls have been made. What came of all of them: how often each, `right` the good ones. */
  async stop(least: number): Promise<Record<string, number>> {
    this.#least = least;
    await Promise.all(this.#pullers);
    return Object.fromEntries(this.#outcomes);
  }
}
