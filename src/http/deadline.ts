// Waits that end: by a deadline, or because whoever waited went away.

import { Readable } from 'node:stream';

/**
 * Runs something that has `ms` milliseconds, and hands it a signal that aborts then, by the error of `late`, or with
 * the signal that is given. Where its result has a body to read afterwards, that is no longer held to the deadline, and to the
 * given signal until it is closed.
 */
export async function withDeadline<T>(
  ms: number,
  late: () => Error,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // AbortSignal.any would do, and costs the garbage collector more than all the rest of a small request
  const own = new AbortController();
  const timer = setTimeout(() => {
    own.abort(late());
  }, ms);
  const aborted = () => {
    own.abort(signal?.reason);
  };
  const unlink = () => signal?.removeEventListener('abort', aborted);
  signal?.addEventListener('abort', aborted);
  if (signal?.aborted) aborted();
  let body: Readable | undefined;
  try {
    const result = await run(own.signal);
    body = bodyOf(result);
    return result;
  } finally {
    clearTimeout(timer);
    if (body === undefined || body.closed) unlink();
    else body.once('close', unlink);
  }
}

function bodyOf(result: unknown): Readable | undefined {
  const has = typeof result === 'object' && result !== null && 'body' in result;
  return has && result.body instanceof Readable ? result.body : undefined;
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
