// The end of a process: a signal, a drain in which what is under way may finish, an exit code.

import type { EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from '../engine/errors.ts';
import type { Logger } from '../observability/logger.ts';

/** Counts the requests in flight, and knows whether the server is on its way out. */
export class RequestsInFlight {
  #count = 0;
  #draining = false;
  #whenNone: (() => void) | undefined;

  get draining(): boolean {
    return this.#draining;
  }

  started(): void {
    this.#count++;
  }

  ended(): void {
    this.#count--;
    if (this.#count === 0) this.#whenNone?.();
  }

  /** From now on answers close their connections. Resolves when no request is in flight. Called once. */
  drain(): Promise<void> {
    this.#draining = true;
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenNone = resolve;
    });
  }
}

/** How long connections may take to say goodbye once no request is in flight. */
const goodbyeMs = 1000;

/**
 * Stops a server gently: idle connections are closed, requests in flight get `timeoutMs` to finish, and new ones are
 * accepted meanwhile, so that a load balancer can see that it is not ready. Resolves when the port is free; true if
 * nothing had to be cut off.
 */
export async function drainServer(
  server: Server,
  requests: RequestsInFlight,
  timeoutMs: number,
): Promise<boolean> {
  const done = requests.drain();
  server.closeIdleConnections();
  const finished = await inTime(done, timeoutMs);
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  if (!finished || !(await inTime(closed, goodbyeMs))) server.closeAllConnections();
  return finished;
}

async function inTime(done: Promise<void>, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(timeoutMs, false, { signal: timer.signal }).catch(() => false);
  const result = await Promise.race([done.then(() => true), late]);
  timer.abort();
  return result;
}

/** A terminal and npm each pass on one Ctrl-C: a signal that comes so soon after the first is the same one. */
const echoMs = 500;

/**
 * Waits for SIGTERM or SIGINT, then for `stop`. Resolves with the exit code: 0, or 1 when a second signal came or
 * stopping failed.
 */
export function untilStopped(
  stop: () => Promise<void>,
  logger: Logger,
  signals: Pick<EventEmitter, 'on' | 'off'> = process,
  now: () => number = () => performance.now(),
): Promise<0 | 1> {
  return new Promise((resolve) => {
    let first: number | undefined;
    const end = (code: 0 | 1) => {
      for (const name of ['SIGTERM', 'SIGINT']) signals.off(name, onSignal);
      resolve(code);
    };
    const onSignal = (signal: string) => {
      if (first !== undefined) {
        if (now() - first >= echoMs) {
          logger.warn({ signal }, 'second signal: ending at once');
          end(1);
        }
        return;
      }
      first = now();
      logger.info({ signal }, 'stopping: requests in flight may finish');
      stop().then(
        () => {
          logger.info('stopped');
          end(0);
        },
        (error: unknown) => {
          logger.error({ err: error }, `stopping failed: ${messageOf(error)}`);
          end(1);
        },
      );
    };
    for (const name of ['SIGTERM', 'SIGINT']) signals.on(name, onSignal);
  });
}
