import { expect, test } from 'vitest';
import { parseSize } from '../../../src/app/size.ts';

test.each([
  ['0', 0],
  ['1048576', 1_048_576],
  ['5kB', 5000],
  ['50GB', 50e9],
  ['50GiB', 50 * 1024 ** 3],
  ['2TiB', 2 * 1024 ** 4],
])('%s is %d bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(['', '5 GB', '5gb', '5GIB', '-1', '1.5GB', 'GB', '999999999999999TB'])(
  '%j is no size',
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);
