// Waits that end: by a deadline, or because whoever waited went away.

/**
 * Runs something that has `ms` milliseconds, and hands it a signal that aborts then, by the error of `late`, or with
 * the signal that is given. What has a body to read afterwards is no longer held to the deadline.
 */
export async function withDeadline<T>(
  ms: number,
  late: () => Error,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(late());
  }, ms);
  const signals = signal === undefined ? [deadline.signal] : [deadline.signal, signal];
  try {
    return await run(AbortSignal.any(signals));
  } finally {
    clearTimeout(timer);
  }
}

/** Waits no longer than until the signal aborts, and throws its reason then; what ran goes on for nobody. */
export function orAborted<T>(run: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted, { once: true });
    run.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', aborted);
    });
  });
}
