import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';

import { untilStopped } from '../../../src/app/lifecycle.ts';
import { createLogger } from '../../../src/observability/logger.ts';

const logger = createLogger('silent');

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'])('%s stops, and the exit code is 0', async (signal) => {
    const signals = new EventEmitter();
    const code = untilStopped(() => Promise.resolve(), logger, signals);
    signals.emit(signal, signal);
    expect(await code).toBe(0);
    expect(signals.listenerCount('SIGTERM') + signals.listenerCount('SIGINT')).toBe(0);
  });

  test('that comes a second time ends at once', async () => {
    const signals = new EventEmitter();
    let time = 0;
    const never = new Promise<void>(() => undefined);
    const code = untilStopped(
      () => never,
      logger,
      signals,
      () => time,
    );
    signals.emit('SIGTERM', 'SIGTERM');
    time = 60_000;
    signals.emit('SIGINT', 'SIGINT');
    expect(await code).toBe(1);
  });

  test('and its echo through npm are one', async () => {
    const signals = new EventEmitter();
    let stops = 0;
    const stop = async () => {
      stops++;
      await new Promise(setImmediate);
    };
    const code = untilStopped(stop, logger, signals, () => 0);
    signals.emit('SIGINT', 'SIGINT');
    signals.emit('SIGINT', 'SIGINT');
    expect(await code).toBe(0);
    expect(stops).toBe(1);
  });

  test('whose stop fails gives 1', async () => {
    const signals = new EventEmitter();
    const code = untilStopped(() => Promise.reject(new Error('stuck')), logger, signals);
    signals.emit('SIGTERM', 'SIGTERM');
    expect(await code).toBe(1);
  });
});
