// What a collection finds in the store, as those look for it who know what is there; references/collect.ts carries it out.

import type { Purgeable } from './purge-plan.ts';

/** One look through the store. */
export interface Search {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What became an orphan less than so many milliseconds ago stays. */
  readonly graceMs: number;
  /** Nothing that is found goes, and nothing is written. */
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  /** So many steps more are to come. */
  expect(steps: number): void;
  /** One of them is done. */
  step(): void;
}

/** What may go together. Its plan looks anew, and is of what may still go. */
export interface Orphans extends Pick<Purgeable, 'scope' | 'plan'> {
  readonly found: {
    /** Of content alone: `oci:HOST/REPO@DIGEST`, `oci:@DIGEST` where no repository has it. */
    readonly names: readonly string[];
    /** Bytes of content that nothing holds. */
    readonly freedBytes: number;
  };
}

export interface Sweeper {
  /**
   * Where it is no dry run, each is to be carried out before the next one is asked for. Throws LarderError `store_failed`,
   * and the signal's reason.
   */
  orphans(search: Search): AsyncIterable<Orphans>;
}
