// What a mock upstream can be told to do wrong, and how an answer's bytes go out under it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import type { Body } from './body.ts';

/** A door that stays shut until it is opened. */
export class Gate {
  readonly opened: Promise<void>;
  /** Resolves when the first request stands before it. */
  readonly reached: Promise<void>;
  open!: () => void;
  #arrive!: () => void;
  #arrivals = 0;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
    this.reached = new Promise((resolve) => {
      this.#arrive = resolve;
    });
  }

  /** How many requests have come to it so far. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** Waits until it opens; throws the signal's reason when that aborts. */
  async pass(signal: AbortSignal): Promise<void> {
    this.#arrivals += 1;
    this.#arrive();
    await Promise.race([this.opened, aborted(signal)]);
  }
}

/** Never resolves; throws the signal's reason when it aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = () => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

/** Everything is optional and can be combined. Counts of bytes are of one answer's body, from its own start. */
export interface Fault {
  /** How many requests it meets before it is over. Default: all. */
  readonly times?: number;
  /** Milliseconds before anything is sent. */
  readonly delayMs?: number;
  /** Shut before anything is sent; with `holdAfter`, in the body instead. */
  readonly gate?: Gate;
  /** Never answers. */
  readonly hang?: boolean;
  /** Closes the connection without an answer. */
  readonly hangUp?: boolean;
  /** Where to redirect to, with `status` or 302; a function gets the path of the request. */
  readonly redirect?: string | ((path: string) => string);
  readonly status?: number;
  /** Beside those of the true answer, or in their place; undefined takes one away. */
  readonly headers?: OutgoingHttpHeaders;
  /** Sent in place of the true body; the announced length is its own. */
  readonly body?: string | Uint8Array | Body;
  /** Sends the body in gzip, and says so. */
  readonly gzip?: boolean;
  /** Announces no length. */
  readonly chunked?: boolean;
  /** Announces a length that is wrong by so many bytes, and closes the connection after the body. */
  readonly lengthError?: number;
  /** Sends neither validators nor ranges. */
  readonly noRange?: boolean;
  /** Stops in the body after so many bytes, until the gate opens; without one, for ever. */
  readonly holdAfter?: number;
  /** Sends no faster than this. */
  readonly bytesPerSecond?: number;
  /** Breaks the connection after so many bytes of body. */
  readonly cutAfter?: number;
  /** How it breaks: an orderly end (default) or a reset. */
  readonly cutBy?: 'fin' | 'rst';
}

/** What happens before the first byte. Throws the signal's reason when the connection is gone meanwhile. */
export async function beforeAnswer(fault: Fault, signal: AbortSignal): Promise<void> {
  if (fault.delayMs !== undefined) await sleep(fault.delayMs, undefined, { signal });
  if (fault.gate !== undefined && fault.holdAfter === undefined) await fault.gate.pass(signal);
  if (fault.hang === true) await aborted(signal);
}

/** Thrown by `paced` where the connection is to break. */
export class Cut extends Error {}

/** The bytes [start, end) of a body, held, slowed and cut as the fault says. */
export async function* paced(
  body: Body,
  [start, end]: readonly [number, number],
  fault: Fault,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { holdAfter, cutAfter, bytesPerSecond } = fault;
  const step =
    bytesPerSecond === undefined ? undefined : Math.max(1, Math.ceil(bytesPerSecond / 20));
  // pieces end where something is to happen
  const stops = [holdAfter, cutAfter].filter((stop) => stop !== undefined);
  const bounds = [0, ...stops.filter((stop) => stop > 0 && stop < end - start), end - start];
  bounds.sort((a, b) => a - b);
  let pauseMs = 0;
  for (const [i, from] of bounds.entries()) {
    if (from === holdAfter) await (fault.gate?.pass(signal) ?? aborted(signal));
    if (from === cutAfter) throw new Cut();
    for (const chunk of body.read(start + from, start + (bounds[i + 1] ?? from), step)) {
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal });
      yield chunk;
      if (bytesPerSecond !== undefined) pauseMs = (chunk.length / bytesPerSecond) * 1000;
    }
  }
}
