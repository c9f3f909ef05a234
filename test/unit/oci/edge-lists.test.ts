import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Digest } from '../../../src/oci/digest.ts';
import { EdgeList, EdgeLists } from '../../../src/oci/edge-lists.ts';
import { edgeKey, parseElement, type Owner } from '../../../src/oci/edges.ts';
import { referencesFolder } from '../../../src/oci/keys.ts';

const digestOf = (digit: string): Digest => ({ algorithm: 'sha256', hex: digit.repeat(64) });
const [DIGEST, OTHER] = [digestOf('a'), digestOf('b')];
const hashes = ['0', '5', 'f'].map((digit) => digit.repeat(32));
const elementOf = (hash: string, owner: Owner) => edgeKey(DIGEST, hash, owner).split('/').at(-1);

const hash = fc.constantFrom(...hashes);
const owner: fc.Arbitrary<Owner> = fc.oneof(
  fc.constantFrom('1', 'latest', 'z-').map((tag): Owner => ({ kind: 'tag', tag })),
  fc.constantFrom(DIGEST, OTHER).map((digest): Owner => ({ kind: 'manifest', digest })),
  fc.constant<Owner>({ kind: 'use' }),
);
const element = fc.oneof(
  { weight: 9, arbitrary: fc.tuple(hash, owner).map(([of, one]) => elementOf(of, one) ?? '') },
  hash.map((of) => `use-${of}-7`),
  hash.map((of) => `manifest-${of}-sha256`),
  hash.map((of) => `use-${of}f`),
  fc.constantFrom('pin-7', 'tag-', 'use'),
);

test('a repository finds its own among those of others, as if it read all', () => {
  fc.assert(
    fc.property(fc.uniqueArray(element), (elements) => {
      elements.sort();
      const list = new EdgeList(elements);
      const parsed = elements.map(parseElement);
      expect(list.isUnclear).toBe(parsed.includes(undefined));
      for (const of of hashes) {
        const own = parsed.flatMap((edge) => (edge?.hash === of ? [edge.owner] : []));
        expect(list.ownersIn(of)).toEqual(own);
      }
    }),
  );
});

/** A store in which as many edges lead to every digest. */
function lists(edges: number) {
  const listed: string[] = [];
  const store = {
    list(folder: string) {
      listed.push(folder);
      if (edges < 0) return Promise.reject(new Error('the store of this test is down'));
      return Promise.resolve(Array.from({ length: edges }, (_, at) => `pin-${String(at)}`).sort());
    },
  };
  return { of: new EdgeLists(store), listed };
}

test('many edges are listed once, also for those who ask at the same time', async () => {
  const { of, listed } = lists(1000);
  const found = await Promise.all([of.of(DIGEST), of.of(DIGEST), of.of(OTHER)]);
  found.push(await of.of(DIGEST));
  expect(found.map(({ elements }) => elements.length)).toEqual([1000, 1000, 1000, 1000]);
  expect(listed).toEqual([DIGEST, OTHER].map(referencesFolder));
});

test.each([
  ['few edges', 10],
  ['more than memory is for', 200_001],
])('%s are listed anew', async (_, edges) => {
  const { of, listed } = lists(edges);
  await of.of(DIGEST);
  await of.of(DIGEST);
  expect(listed).toHaveLength(2);
});

test('a list that could not be read is read again', async () => {
  const { of, listed } = lists(-1);
  await expect(of.of(DIGEST)).rejects.toThrow('down');
  await expect(of.of(DIGEST)).rejects.toThrow('down');
  expect(listed).toHaveLength(2);
});
