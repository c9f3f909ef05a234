import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { immutableKey, latestKey, parseSumdbPath } from '../../../src/go/sumdb/paths.ts';

describe('parseSumdbPath', () => {
  test.each([
    ['supported', { kind: 'supported' }],
    ['latest', { kind: 'latest' }],
    ['tile/8/0/000', { kind: 'tile', tile: { level: 0, index: 0, width: 256 } }],
    ['tile/8/data/x001/000.p/3', { kind: 'tile', tile: { level: 'data', index: 1000, width: 3 } }],
    ['lookup/example.com/m@v1.0.0', { kind: 'lookup', module: 'example.com/m', version: 'v1.0.0' }],
    [
      'lookup/github.com/!azure/x@v1.0.0-!r!c1',
      { module: 'github.com/Azure/x', version: 'v1.0.0-RC1' },
    ],
    ['lookup/example.com/m@v2.0.0+incompatible', { version: 'v2.0.0+incompatible' }],
    [
      'lookup/golang.org/toolchain@v0.0.1-go1.26.1.linux-amd64',
      { module: 'golang.org/toolchain', version: 'v0.0.1-go1.26.1.linux-amd64' },
    ],
  ])('%s', (path, expected) => {
    expect(parseSumdbPath(path)).toMatchObject(expected);
  });

  test.each([
    '',
    'supported/',
    'Supported',
    'latest/x',
    'lookup/',
    'lookup/example.com/m',
    'lookup/example.com/m@',
    'lookup/@v1.0.0',
    'lookup/example.com/m@master',
    'lookup/example.com/m@v1.0',
    'lookup/example.com/m@v1.0.0/go.mod',
    'lookup/example.com/m@v2.0.0',
    'lookup/example.com/M@v1.0.0',
    'lookup/example.com/m@v1.0.0-RC1',
    'lookup/example.com/m@v1.0.0@v1.0.0',
    'lookup/example.com/../m@v1.0.0',
    'lookup//example.com/m@v1.0.0',
    'lookup/noDot/m@v1.0.0',
    `lookup/example.com/${'a'.repeat(201)}@v1.0.0`,
    `lookup/example.com/${'a/'.repeat(400)}a@v1.0.0`,
    'tile/8/0/x000/001',
    'tile/9/0/000',
    'tile',
  ])('refuses %j', (path) => {
    expect(parseSumdbPath(path)).toBeUndefined();
  });
});

describe('keys', () => {
  const key = (path: string, database = 'sum.example.com') => {
    const parsed = parseSumdbPath(path);
    return parsed && immutableKey(database, parsed);
  };

  test('full tiles and lookups have one, what changes has none', () => {
    expect(key('tile/8/0/x001/234')).toBe('answers/sumdb/sum.example.com/tile/8/0/x001/234');
    expect(key('tile/8/data/000')).toBe('answers/sumdb/sum.example.com/tile/8/data/000');
    expect(key('lookup/example.com/!m@v1.0.0')).toBe(
      'answers/sumdb/sum.example.com/lookup/example.com/!m/@v/v1.0.0',
    );
    expect(key('tile/8/0/x001/234.p/5')).toBeUndefined();
    expect(key('latest')).toBeUndefined();
    expect(key('supported')).toBeUndefined();
    expect(latestKey('sum.example.com')).toBe('answers/sumdb/sum.example.com/latest');
  });

  test('no database lies within another', () => {
    expect(key('tile/8/0/000', 'sum.example.com/tile')).toBe(
      'answers/sumdb/sum.example.com%2Ftile/tile/8/0/000',
    );
  });

  test('no key is the folder of another', () => {
    const element = fc.constantFrom('a', 'b', 'v1', 'lookup', 'tile', '000', 'latest');
    const module = fc
      .array(element, { maxLength: 4 })
      .map((rest) => ['example.com', ...rest].join('/'));
    const version = fc.constantFrom('v1.0.0', 'v1.0.1', 'v0.0.0-a');
    const lookup = fc.tuple(module, version).map(([m, v]) => `lookup/${m}@${v}`);
    const tile = fc
      .tuple(
        fc.constantFrom('0', '1', 'data'),
        fc.constantFrom('000', '001', 'x001/000', 'x001/x000/001'),
      )
      .map(([level, index]) => `tile/8/${level}/${index}`);
    const keys = fc.oneof(lookup, tile).map((path) => key(path));
    const all = fc.oneof(keys, fc.constant(latestKey('sum.example.com')));
    fc.assert(
      fc.property(all, all, (one, two) => {
        if (one === undefined || two === undefined) return;
        expect(two.startsWith(`${one}/`)).toBe(false);
      }),
    );
  });
});
