import fc from 'fast-check';
import { expect, test } from 'vitest';

import { parseDuration } from '../../../src/app/duration.ts';

test.each([
  ['250ms', 250],
  ['0s', 0],
  ['30s', 30_000],
  ['15m', 900_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  '',
  '5',
  's',
  ' 5s',
  '5s ',
  '5 s',
  '-5s',
  '+5s',
  '1.5s',
  '5S',
  '5sec',
  '1h30m',
  '5w',
  '0x5s',
  '9999999999999s',
])('"%s" is none', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test('a number and a unit multiply', () => {
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
  const unit = fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[]));
  fc.assert(
    fc.property(fc.nat(1_000_000), unit, (number, name) => {
      expect(parseDuration(`${String(number)}${name}`)).toBe(number * units[name]);
    }),
  );
});

test('whatever is read is a safe whole number, and whatever is not of the grammar is not read', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d*[a-z]{0,3}$/)), (text) => {
      const ms = parseDuration(text);
      if (ms === undefined) return;
      expect(text).toMatch(/^\d+(ms|s|m|h|d)$/);
      expect(Number.isSafeInteger(ms)).toBe(true);
    }),
  );
});
