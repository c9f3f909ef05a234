import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  build,
  canonical,
  compare,
  compareVersions,
  isValid,
  major,
  prerelease,
  sortVersions,
} from '../../../src/go/semver.ts';

/** Ascending, one of each precedence; beside it the canonical form, where it is another text. */
const ascending: [string, string?][] = [
  ['v0', 'v0.0.0'],
  ['v0.0.1-0'],
  ['v0.0.1-1'],
  ['v0.0.1-1.0'],
  ['v0.0.1-9'],
  ['v0.0.1-10'],
  ['v0.0.1-99999999999999999999999998'],
  ['v0.0.1-99999999999999999999999999'],
  ['v0.0.1--'],
  ['v0.0.1--1'],
  ['v0.0.1-0a'],
  ['v0.0.1-RC'],
  ['v0.0.1-alpha+b1', 'v0.0.1-alpha'],
  ['v0.0.1-alpha.0'],
  ['v0.0.1-alpha.2'],
  ['v0.0.1-alpha.11'],
  ['v0.0.1-alpha.11.x'],
  ['v0.0.1-alpha.x'],
  ['v0.0.1-alpha-1'],
  ['v0.0.1-beta'],
  ['v0.0.1+a.b-c.001', 'v0.0.1'],
  ['v0.9', 'v0.9.0'],
  ['v0.10.0'],
  ['v1', 'v1.0.0'],
  ['v1.0.1-rc.1+incompatible', 'v1.0.1-rc.1'],
  ['v1.2', 'v1.2.0'],
  ['v1.2.3'],
  ['v9.0.0'],
  ['v10.0.0'],
  ['v18446744073709551616.0.0'],
  ['v18446744073709551617.0.0'],
];

const invalid = [
  ...['', 'v', '1', '1.2.3', 'V1.2.3', 'vv1.2.3', ' v1.2.3', 'v1.2.3 ', 'v1.2.3\n', 'v-1.2.3'],
  ...['v1.', 'v1.2.', 'v1..2', 'v1.2.3.4', 'v1.2.3.', 'v.1.2', 'v1,2', 'va.b.c', 'v1.x', 'v1.2.x'],
  ...['v01', 'v1.02', 'v1.2.03', 'v00.0.0', 'v1.2.3-01', 'v1.2.3-a.00', 'v1.2.3-00.a'],
  ...[
    'v1-pre',
    'v1.2-pre',
    'v1+meta',
    'v1.2+meta',
    'v1.2.3-',
    'v1.2.3-.',
    'v1.2.3-a.',
    'v1.2.3-.a',
  ],
  ...['v1.2.3-a..b', 'v1.2.3+', 'v1.2.3+.', 'v1.2.3+a.', 'v1.2.3+a..b', 'v1.2.3-+a', 'v1.2.3-a+'],
  ...['v1.2.3+a+b', 'v1.2.3-a_b', 'v1.2.3-a!b', 'v1.2.3-é', 'v1.2.3+é', 'v1.2.3-a/b', 'v１.2.3'],
  ...['v1.2.3[', 'v1.2.3-[', 'v1.2.3-`', 'v1.2.3-{', 'v1.2.3-@', 'master', 'v1.2.3\0', 'v1e3.0.0'],
];

describe('semver', () => {
  it.each(ascending)('%s is valid', (version, full = version) => {
    expect(isValid(version)).toBe(true);
    expect(canonical(version)).toBe(full);
    expect(canonical(full)).toBe(full);
    expect(compare(version, full)).toBe(0);
  });

  it.each(invalid.map((version) => [version]))('%j is not valid', (version) => {
    expect(isValid(version)).toBe(false);
    expect([canonical(version), major(version), prerelease(version), build(version)]).toEqual([
      '',
      '',
      '',
      '',
    ]);
    expect(compare(version, 'v0.0.0-0')).toBeLessThan(0);
    expect(compare('v0.0.0-0', version)).toBeGreaterThan(0);
    expect(compare(version, 'also bad')).toBe(0);
  });

  it('has this order', () => {
    for (const [i, [left]] of ascending.entries()) {
      for (const [j, [right]] of ascending.entries()) {
        expect(Math.sign(compare(left, right)), `${left} and ${right}`).toBe(Math.sign(i - j));
      }
    }
  });

  it.each([
    ['v3', 'v3', '', ''],
    ['v3.4', 'v3', '', ''],
    ['v3.4.5', 'v3', '', ''],
    ['v30.4.5-x.1-y', 'v30', '-x.1-y', ''],
    ['v0.4.5+x-y.z', 'v0', '', '+x-y.z'],
    ['v1.4.5--x+0.00', 'v1', '--x', '+0.00'],
  ])('takes %s apart', (version, ...parts) => {
    expect([major(version), prerelease(version), build(version)]).toEqual(parts);
  });

  it('sorts by precedence, then by text', () => {
    const list = [
      'v1.0.0+b',
      'v1',
      'v1.0',
      'v1.0.0+a',
      'junk',
      'v1.0.0-rc.1',
      'v0.9.0',
      'bad',
      'v1.0.0',
    ];
    const sorted = [
      'bad',
      'junk',
      'v0.9.0',
      'v1.0.0-rc.1',
      'v1',
      'v1.0',
      'v1.0.0',
      'v1.0.0+a',
      'v1.0.0+b',
    ];
    expect(sortVersions(list)).toEqual(sorted);
    expect(list.sort(compareVersions)).toEqual(sorted);
  });

  const identifier = fc.oneof(
    fc.stringMatching(/^(0|[1-9]\d{0,3})$/),
    fc.stringMatching(/^[a-c0-1-]{0,3}[a-zA-Z-]$/),
  );
  const suffix = (mark: string) =>
    fc.array(identifier, { maxLength: 3 }).map((a) => (a.length > 0 ? mark + a.join('.') : ''));
  const number = fc.oneof(fc.nat(2), fc.nat(12)).map(String);
  const version = fc
    .tuple(number, number, number, suffix('-'), suffix('+'))
    .map(([x, y, z, pre, meta]) => `v${x}.${y}.${z}${pre}${meta}`);

  it('is a total order over valid and other texts', () => {
    const any = fc.oneof({ weight: 4, arbitrary: version }, { weight: 1, arbitrary: fc.string() });
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        const order = (x: string, y: string) => Math.sign(compareVersions(x, y));
        expect(order(a, b) + order(b, a)).toBe(0);
        expect(order(a, b) === 0).toBe(a === b);
        if (order(a, b) <= 0 && order(b, c) <= 0) expect(order(a, c)).toBeLessThanOrEqual(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('compares equal where the canonical form is the same, and nowhere else', () => {
    fc.assert(
      fc.property(version, version, (a, b) => {
        expect(compare(a, b) === 0).toBe(canonical(a) === canonical(b));
        expect(canonical(a) + build(a)).toBe(a);
      }),
    );
  });
});
