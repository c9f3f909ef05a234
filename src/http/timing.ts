/** Time as limits and deadlines see it; a test brings its own. */
export interface Timing {
  /** Milliseconds of a clock that is never set. */
  readonly now: () => number;
  /** Calls `run` once, that many milliseconds from now. The result calls it off. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Of a timer: what has no deadline waits for so long. */
const LONGEST_MS = 2 ** 31 - 1;

export const systemTiming: Timing = {
  now: () => performance.now(),
  after: (ms, run) => {
    // Node's timers may come up to a millisecond early, and at once where they are to come later than LONGEST_MS
    const timer = setTimeout(run, Math.min(Math.ceil(ms) + 1, LONGEST_MS));
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Resolves that many milliseconds from now. Throws the signal's reason when it aborts; no timer is left then. */
export function wait(timing: Timing, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      callOff();
      reject(signal.reason as Error);
    };
    const callOff = timing.after(ms, () => {
      signal.removeEventListener('abort', aborted);
      resolve();
    });
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
  });
}
