// Verbs that do the same for many things: results in the order of what was given, and how far it is.

import { LarderError } from '../engine/errors.ts';
import { explain } from '../http/failures.ts';
import { withDeadline } from '../http/deadline.ts';
import { inOrder, type Spread } from './in-order.ts';
import type { Terminal } from './terminal.ts';

/** What became of one. */
export interface ItemEnd {
  /** Its line of the result. */
  readonly line: string;
  readonly failed: boolean;
}

export interface Tally {
  readonly done: number;
  /** Of those. */
  readonly failed: number;
}

/**
 * Runs for each, and says its line when those before it are said. One that fails must resolve, as the others go on; to reject
 * is for a signal that aborts, and for mistakes. Throws as `inOrder` does, after all that was done by then is said.
 */
export async function sayEach<T>(
  items: AsyncIterable<T> & { readonly total: number | undefined },
  spread: Spread,
  terminal: Terminal,
  run: (item: T) => Promise<ItemEnd>,
): Promise<Tally> {
  const tally = { done: 0, failed: 0 };
  const progress = () => {
    terminal.progress({ ...tally, total: items.total });
  };
  progress();
  for await (const { line, failed } of inOrder(items, spread, run)) {
    terminal.say(line);
    tally.done++;
    if (failed) tally.failed++;
    progress();
    await terminal.flushed();
  }
  return tally;
}

/** One item's time, as `withDeadline` has it. Throws LarderError `upstream_timeout` when it is over, and what `run` throws. */
export const inTime = <R>(
  timeoutMs: number,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<R>,
): Promise<R> =>
  withDeadline(
    timeoutMs,
    () => new LarderError('upstream_timeout', `not done in ${explain(timeoutMs)}`),
    signal,
    run,
  );
