import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOf } from '../../../src/cli/lines.ts';

async function* chunks(...texts: readonly (string | Uint8Array)[]) {
  for (const text of texts) yield await Promise.resolve(Buffer.from(text));
}

test.for([
  [[], []],
  [['one'], ['one']],
  [['one\ntwo\n'], ['one', 'two']],
  [
    ['one\r\ntwo\r', '\nthr', 'ee\n\n'],
    ['one', 'two', 'three', ''],
  ],
  [['\n\n x '], ['', '', ' x ']],
] as const)('%j', async ([given, wanted]) => {
  expect(await Array.fromAsync(linesOf(chunks(...given), 100))).toEqual(wanted);
});

test('however they are cut, also within a letter', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '漢', ' ') })),
      fc.array(fc.nat()),
      async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const at = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        const parts = [...at, bytes.length].map((end, i) => bytes.subarray(at[i - 1] ?? 0, end));
        expect(await Array.fromAsync(linesOf(chunks(...parts), 10_000))).toEqual(lines);
      },
    ),
  );
});

test('a line longer than may be, ended or not', async () => {
  for (const text of ['a\nabcdef\n', 'a\nabcdef']) {
    const lines = linesOf(chunks(text), 5);
    expect(await lines.next()).toEqual({ done: false, value: 'a' });
    await expect(lines.next()).rejects.toThrow('line 2 is longer than 5 bytes');
  }
});
