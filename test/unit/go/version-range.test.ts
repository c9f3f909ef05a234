import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compare } from '../../../src/go/semver.ts';
import { parseVersionRange } from '../../../src/go/version-range.ts';
import { semanticVersions } from '../../support/go-names.ts';

const PSEUDO = '0.20240102030405-0123456789ab';

/** Range, then what is in it, then what is not. */
const table: [range: string, inside: string[], outside: string[]][] = [
  [
    '<v1.4.0',
    ['v1.3.9', 'v1.4.0-rc.1', `v1.4.0-${PSEUDO}`, 'v0.0.0-20240102030405-0123456789ab'],
    ['v1.4.0', `v1.4.1-${PSEUDO}`, 'v2.0.0+incompatible'],
  ],
  ['<v1.4', ['v1.3.9', 'v1.4.0-rc.1'], ['v1.4.0', 'v1.4.1']],
  ['<=v1.4.0', ['v1.4.0', 'v1.4.0-rc.1'], ['v1.4.1-rc.1', 'v1.4.1']],
  ['>v1.4.0', ['v1.4.1-rc.1', `v1.4.1-${PSEUDO}`, 'v1.10.0'], ['v1.4.0', 'v1.4.0-rc.1']],
  ['>=v1.4.0', ['v1.4.0', 'v1.10.0'], ['v1.4.0-rc.1', 'v1.3.99']],
  ['=v1.4.0', ['v1.4.0'], ['v1.4.0-rc.1', 'v1.4.1']],
  ['= v1.4', ['v1.4.0'], ['v1.4.1']],
  ['=v2.0.0', ['v2.0.0+incompatible'], ['v2.0.1+incompatible']],
  ['v1.4.0', ['v1.4.0'], ['v1.4.0-rc.1', 'v1.4.1', 'v1.40.0']],
  ['v1.4.0-rc.1', ['v1.4.0-rc.1'], ['v1.4.0', 'v1.4.0-rc.10']],
  [
    'v1.2',
    ['v1.2.0', 'v1.2.7', 'v1.2.0-rc.1', `v1.2.8-${PSEUDO}`],
    ['v1.20.0', 'v1.1.9', 'v1.3.0-rc.1'],
  ],
  ['v1', ['v1.0.0-a', 'v1.99.0'], ['v10.0.0', 'v0.9.0', 'v2.0.0+incompatible']],
  [
    '~v1.2.3',
    ['v1.2.3', 'v1.2.4-rc.1', 'v1.2.99'],
    ['v1.2.3-rc.1', 'v1.3.0-rc.1', 'v1.3.0', 'v1.20.3'],
  ],
  ['~v1.2', ['v1.2.0', 'v1.2.9'], ['v1.2.0-rc.1', 'v1.3.0-0']],
  ['~v1', ['v1.0.0', 'v1.9.0'], ['v2.0.0-0', 'v10.0.0']],
  ['^v1.2.3', ['v1.2.3', 'v1.20.0', 'v1.3.0-rc.1'], ['v1.2.2', 'v2.0.0-rc.1', 'v2.0.0']],
  ['^v0.2.3', ['v0.2.3', 'v0.2.9'], ['v0.3.0-rc.1', 'v0.20.3', 'v1.0.0']],
  ['^v0.0.3', ['v0.0.3'], ['v0.0.4-rc.1', 'v0.0.4']],
  ['^v0.0', ['v0.0.0', 'v0.0.9'], ['v0.1.0']],
  ['^v0', ['v0.0.0', 'v0.9.0'], ['v1.0.0-0']],
  ['>=v1.2.0, <v1.4.0', ['v1.2.0', 'v1.4.0-rc.1'], ['v1.2.0-rc.1', 'v1.4.0']],
];

test.each(table)('%s', (range, inside, outside) => {
  const holds = parseVersionRange(range);
  expect([inside.filter((one) => !holds(one)), outside.filter(holds)]).toEqual([[], []]);
});

test.each([
  '',
  '<',
  '<1.4.0',
  'v1.2.x',
  'v1.*',
  '1',
  'latest',
  '<v1 <v2',
  '<v1,',
  '!v1',
  '=<v1.0.0',
  'v01.2.3',
])('%j is no range', (text) => {
  expect(() => parseVersionRange(text)).toThrow(/is no range of versions: one looks like/);
});

describe('for any two versions', () => {
  test('operators agree with the order of x/mod', () => {
    fc.assert(
      fc.property(semanticVersions, semanticVersions, (version, bound) => {
        const order = compare(version, bound);
        expect(parseVersionRange(`<${bound}`)(version)).toBe(order < 0);
        expect(parseVersionRange(`>=${bound}`)(version)).toBe(order >= 0);
        expect(parseVersionRange(`=${bound}`)(version)).toBe(order === 0);
        expect(parseVersionRange(`~${bound}`)(version) && order < 0).toBe(false);
      }),
    );
  });
});
