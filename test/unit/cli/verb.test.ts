import { expect, test } from 'vitest';
import { itemLimits } from '../../../src/cli/verb.ts';

test('limits of items', () => {
  expect(itemLimits({})).toEqual({ parallel: 64, timeoutMs: 60_000 });
  expect(itemLimits({ parallel: '1', timeout: '250ms' })).toEqual({ parallel: 1, timeoutMs: 250 });
});

test.for(['0', '-1', '1025', 'many', '', '1.5'])('--parallel %s', (parallel) => {
  expect(() => itemLimits({ parallel })).toThrow('--parallel is a number from 1 to 1024');
});

test.for(['0s', '60', '25h', '', 'long'])('--timeout %s', (timeout) => {
  expect(() => itemLimits({ timeout })).toThrow('--timeout is a duration');
});
