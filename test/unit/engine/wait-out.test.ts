import { describe, expect, test, vi } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { waitOut } from '../../../src/engine/wait-out.ts';

const busy = (retryAfterMs?: number) =>
  new LarderError('rate_limited', 'too often', retryAfterMs === undefined ? {} : { retryAfterMs });

/** Fails as often as there are errors, then resolves. */
function failing(...errors: Error[]) {
  const left = [...errors];
  return vi.fn(() => {
    const error = left.shift();
    return error ? Promise.reject(error) : Promise.resolve('done');
  });
}

describe('waiting out', () => {
  const { signal } = new AbortController();

  test('waits as long as a failure says, and tries again', async () => {
    const run = failing(busy(20), new LarderError('overloaded', 'x', { retryAfterMs: 5 }), busy(1));
    expect(await waitOut({ withinMs: 10_000, signal }, run)).toBe('done');
    expect(run).toHaveBeenCalledTimes(4);
  });

  test('does not wait for what is too far, what does not say, and what time does not mend', async () => {
    for (const error of [
      busy(10_001),
      busy(),
      new LarderError('not_found', 'x', { retryAfterMs: 1 }),
      new LarderError('not_cached', 'x'),
      new Error('a mistake'),
    ]) {
      const run = failing(error);
      await expect(waitOut({ withinMs: 10_000, signal }, run)).rejects.toBe(error);
      expect(run).toHaveBeenCalledTimes(1);
    }
  });

  test('ends when it is told to', async () => {
    const ending = new AbortController();
    const reason = new Error('stopped');
    const run = failing(busy(9000));
    const ended = waitOut({ withinMs: 10_000, signal: ending.signal }, run);
    ending.abort(reason);
    await expect(ended).rejects.toBe(reason);
    expect(run).toHaveBeenCalledTimes(1);
  });
});
