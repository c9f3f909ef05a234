import { expect, test } from 'vitest';
import { mapBounded } from '../../../src/engine/bounded.ts';
import { Gate } from '../../support/faults.ts';

test('so many at once, and results in order', async () => {
  let running = 0;
  let most = 0;
  const doubled = await mapBounded([3, 1, 2, 5, 4], 2, async (number) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < number; turn++) await Promise.resolve();
    running--;
    return number * 2;
  });
  expect(doubled).toEqual([6, 2, 4, 10, 8]);
  expect(most).toBe(2);
  expect(await mapBounded([], 2, () => Promise.resolve())).toEqual([]);
});

test('a failure begins nothing more, and waits for what has begun', async () => {
  const gate = new Gate();
  const begun: number[] = [];
  let over = false;
  const run = mapBounded([1, 2, 3], 2, async (number) => {
    begun.push(number);
    if (number === 1) throw new Error('the first');
    await gate.pass(new AbortController().signal);
    over = true;
  });
  const failed = expect(run).rejects.toThrow('the first');
  gate.open();
  await failed;
  expect(over).toBe(true);
  expect(begun).toEqual([1, 2]);
});
