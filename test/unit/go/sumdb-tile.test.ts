import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  isFull,
  parseTilePath,
  partOf,
  TileHashes,
  tilePath,
  type Tile,
} from '../../../src/go/sumdb/tile.ts';
import { directHash, directTile, someRecords } from '../../support/sumdb-log.ts';

describe('tile paths', () => {
  test.each<[string, Tile]>([
    ['tile/8/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/8/0/000.p/1', { level: 0, index: 0, width: 1 }],
    ['tile/8/0/x001/234.p/5', { level: 0, index: 1234, width: 5 }],
    ['tile/8/1/x001/x234/067.p/255', { level: 1, index: 1234067, width: 255 }],
    ['tile/8/63/999', { level: 63, index: 999, width: 256 }],
    ['tile/8/data/x001/000', { level: 'data', index: 1000, width: 256 }],
    [
      'tile/8/0/x009/x007/x199/x254/x740/991',
      { level: 0, index: Number.MAX_SAFE_INTEGER, width: 256 },
    ],
  ])('%s', (path, tile) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual(tile);
  });

  test('go there and back', () => {
    const tile = fc.record<Tile>({
      level: fc.oneof(fc.constant('data' as const), fc.integer({ min: 0, max: 63 })),
      index: fc.maxSafeNat(),
      width: fc.integer({ min: 1, max: 256 }),
    });
    fc.assert(
      fc.property(tile, (it) => {
        expect(parseTilePath(tilePath(it))).toEqual(it);
      }),
    );
  });

  test('are read in one spelling only', () => {
    const piece = fc.constantFrom(
      'tile',
      '8',
      '0',
      '000',
      'x000',
      'x001',
      '.p',
      '/',
      '01',
      'data',
      '9',
      '-1',
      '%2f',
      '',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const path = pieces.join('');
        const tile = parseTilePath(path);
        if (tile) expect(tilePath(tile)).toBe(path);
      }),
    );
  });

  test.each([
    'tile/8/0/x000/001', // leading zeros
    'tile/8/0/1',
    'tile/8/0/0000',
    'tile/8/0/001/002',
    'tile/8/00/000',
    'tile/8/64/000',
    'tile/8/-1/000',
    'tile/9/0/000', // not the height of any database
    'tile/08/0/000',
    'tile/8/0/000.p/0',
    'tile/8/0/000.p/256',
    'tile/8/0/000.p/257',
    'tile/8/0/000.p/05',
    'tile/8/0/000.p/',
    'tile/8/0/000.p',
    'tile/8/0/000/',
    '/tile/8/0/000',
    'tile/8/0/x009/x007/x199/x254/x740/992', // 2^53
    'tile/8/0/../000',
    'tile/8/0/٠٠٠',
    '',
  ])('refuse %j', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });
});

describe('partOf', () => {
  const records = someRecords(300);
  test.each<Tile>([
    { level: 0, index: 0, width: 5 },
    { level: 0, index: 0, width: 256 },
    { level: 'data', index: 0, width: 7 },
  ])('gives a partial tile out of the full one: %j', (tile) => {
    const full = directTile(records, { ...tile, width: 256 });
    expect(Buffer.from(partOf(full, tile) ?? []).equals(directTile(records, tile))).toBe(true);
  });

  test('gives nothing when there is not enough', () => {
    expect(partOf(Buffer.alloc(4 * 32), { level: 0, index: 0, width: 5 })).toBeUndefined();
    expect(partOf(Buffer.from('a\n\n'), { level: 'data', index: 0, width: 2 })).toBeUndefined();
    expect(partOf(Buffer.from('a\n\nb'), { level: 'data', index: 0, width: 1 })).toBeUndefined();
  });
});

test('TileHashes knows every node above its hashes', () => {
  const records = someRecords(256);
  for (const width of [1, 2, 3, 77, 255, 256]) {
    const hashes = new TileHashes(directTile(records, { level: 0, index: 0, width }));
    for (let height = 0; height <= 8; height++) {
      const nodes = Math.floor(width / 2 ** height);
      for (const position of new Set([0, nodes >> 1, nodes - 1])) {
        if (position < 0 || nodes === 0) continue;
        const start = position * 2 ** height;
        const expected = directHash(records, start, start + 2 ** height);
        expect(hashes.node(height, position)?.equals(expected)).toBe(true);
      }
      expect(hashes.node(height, nodes)).toBeUndefined();
    }
  }
});

test('isFull', () => {
  expect(isFull({ level: 0, index: 0, width: 256 })).toBe(true);
  expect(isFull({ level: 0, index: 0, width: 255 })).toBe(false);
});
