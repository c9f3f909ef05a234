// The end of a process: a signal, a stop, an exit code.

import type { EventEmitter } from 'node:events';

import { messageOf } from '../engine/errors.ts';
import type { Logger } from '../observability/logger.ts';

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
