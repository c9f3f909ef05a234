// When something is asked for once more. What went wrong with the host is tried three times in all; what it has no time for
// is asked again, a second later at least, for as long as whoever wants it waits.

import { mayTryAgain } from './failures.ts';
import type { Patience } from './patience.ts';
import { wait, type Timing } from './timing.ts';

/** At most this many tries for one thing, whatever went wrong with each. A 429 is none. */
export const TRIES = 3;
const PAUSE_MS = [100, 400];
/** From a 429 to the next request for the same thing. */
const SPACING_MS = 1000;

export interface Attempts<R> {
  readonly timing: Timing;
  readonly patience: Patience;
  readonly tries: number;
  /** Whether it can be sent again after a 429. */
  readonly isRepeatable: boolean;
  /** Sends it. Throws what broke before an answer was there. `triesLeft`: after this one. */
  readonly once: (triesLeft: number) => Promise<R>;
  /** How long whoever said 429 is not to be asked, milliseconds. */
  readonly waitMs: (response: R) => number;
  /** Gives up an answer that is not the one. */
  readonly discard: (response: R) => void;
}

/**
 * The first answer that is not to be tried again, or the last: any status but 500, 502, 503, 504; a 429 where the next request
 * would be later than `patience` allows. Throws the signal's reason, and what `once` throws in the end.
 */
export async function attempt<R extends { readonly status: number }>({
  timing,
  patience,
  tries,
  isRepeatable,
  once,
  waitMs,
  discard,
}: Attempts<R>): Promise<R> {
  const { signal, rateUntil } = patience;
  let wasRefused = false;
  for (let left = tries - 1; ;) {
    const response = await once(left).catch((error: unknown) => {
      if (signal.aborted) throw signal.reason as Error;
      if (left > 0 && mayTryAgain(error)) return undefined;
      throw error;
    });
    if (response?.status === 429) {
      // from the answer on, so that the host sees them a second apart however long the way there was
      const ms = Math.max(SPACING_MS, waitMs(response));
      if (!isRepeatable || timing.now() + ms > rateUntil) return response;
      discard(response);
      await patience.standStill(wait(timing, ms, signal));
      wasRefused = true;
      continue;
    }
    if (response && (left === 0 || !isTransient(response.status))) return response;
    if (response) discard(response);
    const pause = PAUSE_MS[tries - 1 - left] ?? 400;
    left--;
    await wait(timing, wasRefused ? SPACING_MS : pause, signal);
  }
}

const isTransient = (status: number) => status === 500 || (status >= 502 && status <= 504);
