import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seal, unseal } from '../../../src/engine/seal.ts';

const members = ['time', 'size', 'extra'];
const fields = { time: '2026-01-02T03:04:05.000Z', size: 12, extra: { é: 'ü"\\' } };

test('gives back what was sealed, as JSON for whoever reads it past Larder', () => {
  expect(unseal(seal(fields), members)).toEqual(fields);
  expect(JSON.parse(seal(fields))).toMatchObject(fields);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (one) => {
      const text = seal(one);
      expect(unseal(text, [])).toEqual(JSON.parse(JSON.stringify(one)));
    }),
  );
});

test('knows nothing in which any bit is flipped', () => {
  const sealed = Buffer.from(seal(fields));
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const flipped = Buffer.from(sealed);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect([bit, unseal(flipped.toString(), members)]).toEqual([bit, undefined]);
  }
});

test('knows nothing that is cut off', () => {
  const sealed = seal(fields);
  for (let end = 0; end < sealed.length; end++)
    expect(unseal(sealed.slice(0, end), members)).toBeUndefined();
});

test('takes what was written without a checksum, if it has nothing that is unknown', () => {
  expect(unseal(JSON.stringify(fields), members)).toEqual(fields);
  expect(unseal(JSON.stringify({ ...fields, more: 1 }), members)).toBeUndefined();
  for (const text of ['null', '[]', '1', '""', '']) expect(unseal(text, members)).toBeUndefined();
});
