import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { withDeadline } from '../../../src/http/deadline.ts';

const late = () => new Error('too late');
const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });

test('what takes too long ends by its own error, and by the one that is given before that', async () => {
  await expect(withDeadline(1, late, undefined, never)).rejects.toThrow('too late');
  const leaving = new AbortController();
  const run = withDeadline(60_000, late, leaving.signal, never);
  leaving.abort(new Error('gone'));
  await expect(run).rejects.toThrow('gone');
  const none = withDeadline(60_000, late, AbortSignal.abort(new Error('gone before')), (signal) => {
    signal.throwIfAborted();
    return Promise.resolve();
  });
  await expect(none).rejects.toThrow('gone before');
});

test('a body is held to the signal until it is closed, and whatever has none is not', async () => {
  const leaving = new AbortController();
  const signals: AbortSignal[] = [];
  const result = (body?: Readable) =>
    withDeadline(60_000, late, leaving.signal, (signal) => {
      signals.push(signal);
      return Promise.resolve({ status: 200, ...(body && { body }) });
    });
  const [open, ended] = [Readable.from(['open']), Readable.from(['ended'])];
  for (const body of [open, ended, undefined]) await result(body);
  await ended.toArray();
  leaving.abort(new Error('gone'));
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, false]);
  open.destroy();
});
