import { setTimeout as sleep } from 'node:timers/promises';
import { LarderError } from './errors.ts';

/** What passes by itself. */
const PASSING = new Set(['rate_limited', 'overloaded', 'not_cached']);

/** How long a work that nobody waits for waits for what passes by itself. */
export interface WaitLimits {
  /** From the first try to the begin of the last one, milliseconds. */
  readonly withinMs: number;
  readonly signal: AbortSignal;
}

/**
 * Runs it, and again after as long as its failure says, where that passes by itself (429, 503) and says how long it takes. Throws
 * the last failure, and the signal's reason.
 */
export async function waitOut<T>(
  { withinMs, signal }: WaitLimits,
  run: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof LarderError) || !PASSING.has(error.code)) throw error;
      const { retryAfterMs } = error;
      if (retryAfterMs === undefined || performance.now() + retryAfterMs > end) throw error;
      await sleep(retryAfterMs, undefined, { signal }).catch(() => {
        throw signal.reason;
      });
    }
  }
}
