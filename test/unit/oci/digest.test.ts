import { describe, expect, test } from 'vitest';
import { digestText, parseDigest } from '../../../src/oci/digest.ts';

const hex = (count: number) => '0123456789abcdef'.repeat(8).slice(0, count);

describe('digests', () => {
  test.each([`sha256:${hex(64)}`, `sha512:${hex(128)}`])('%s is one', (text) => {
    const digest = parseDigest(text);
    expect(digest && digestText(digest)).toBe(text);
  });

  test.each([
    '',
    'sha256',
    'sha256:',
    `sha256:${hex(63)}`,
    `sha256:${hex(65)}`,
    `sha256:${hex(128)}`,
    `sha512:${hex(64)}`,
    `sha256:${hex(64).toUpperCase()}`,
    `SHA256:${hex(64)}`,
    `md5:${hex(32)}`,
    `sha256:${hex(64)}\n`,
    ` sha256:${hex(64)}`,
    `toString:${hex(64)}`,
    `sha256:${hex(62)}/.`,
  ])('%j is none', (text) => {
    expect(parseDigest(text)).toBeUndefined();
  });
});
