import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { AnchoredTree } from '../../../src/go/sumdb/anchored-tree.ts';
import { TileSource } from '../../../src/go/sumdb/tile-source.ts';
import {
  EMPTY_TREE,
  parseLookup,
  parseRecords,
  parseTree,
  recordHash,
  subtrees,
} from '../../../src/go/sumdb/tlog.ts';
import { directHash, MemorySumdb, newSigner, someRecords } from '../../support/sumdb-log.ts';

const HASH = EMPTY_TREE.hash.toString('base64');
const signal = new AbortController().signal;
const signer = newSigner('sum.example.com');
const RECORDS = someRecords(256 * 256 + 700);

test('the empty tree and a record have the hashes of RFC 6962', () => {
  expect(EMPTY_TREE.hash.equals(directHash([]))).toBe(true);
  expect(recordHash('abc\n').equals(directHash(['abc\n']))).toBe(true);
});

describe('subtrees', () => {
  test('cover the tree without gaps, each smaller than the one before', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (size) => {
        let covered = 0;
        let last = Infinity;
        for (const { level, index } of subtrees(size)) {
          expect(level).toBeLessThan(last);
          expect(index * 2 ** level).toBe(covered);
          covered += 2 ** level;
          last = level;
        }
        expect(covered).toBe(size);
      }),
    );
  });

  test('of the largest size that a number holds', () => {
    expect(subtrees(Number.MAX_SAFE_INTEGER)).toHaveLength(53);
  });
});

describe('parseTree', () => {
  test('ignores lines of later versions', () => {
    const tree = { size: 7, hash: EMPTY_TREE.hash };
    expect(parseTree(`go.sum database tree\n7\n${HASH}\n`)).toEqual(tree);
    expect(parseTree(`go.sum database tree\n7\n${HASH}\nmore\n`)).toEqual(tree);
  });

  test.each([
    '',
    `go.sum database tree v2\n7\n${HASH}\n`,
    `go.sum database tree\n07\n${HASH}\n`,
    `go.sum database tree\n-7\n${HASH}\n`,
    `go.sum database tree\n+7\n${HASH}\n`,
    `go.sum database tree\n9007199254740992\n${HASH}\n`,
    `go.sum database tree\n7\n${HASH.slice(4)}\n`,
    `go.sum database tree\n7\n${HASH}`,
    `go.sum database tree\n7\n`,
  ])('refuses %j', (text) => {
    expect(() => parseTree(text)).toThrow(expect.objectContaining({ code: 'bad_content' }));
  });
});

describe('parseLookup', () => {
  test('splits number, record and head', () => {
    expect(parseLookup(Buffer.from('12\na b c\nd e f\n\nhead\n\n— x y\n'))).toEqual({
      id: 12,
      text: 'a b c\nd e f\n',
      head: 'head\n\n— x y\n',
    });
  });

  test.each([
    '',
    '12',
    '12\n',
    '12\na b c\n',
    'x\na b c\n\nhead',
    '-1\na\n\nh',
    '01\na\n\nh',
    '1\na\t\n\nh',
    '\na\n\nh',
  ])('refuses %j', (text) => {
    expect(() => parseLookup(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'bad_content' }),
    );
  });

  test('refuses what is not UTF-8', () => {
    const bytes = Buffer.from('1\na\n\nh');
    bytes[2] = 0xff;
    expect(() => parseLookup(bytes)).toThrow(/no record/);
  });
});

test('parseRecords', () => {
  expect(parseRecords(Buffer.from('a\nb\n\nc\n\n'))).toEqual(['a\nb\n', 'c\n']);
  expect(parseRecords(Buffer.from('a\n\nb\n'))).toBeUndefined();
  expect(parseRecords(Buffer.from(''))).toEqual([]);
});

describe('AnchoredTree', () => {
  const anchor = async (size: number, db = new MemorySumdb(signer, RECORDS)) => {
    const tree = { size, hash: directHash(RECORDS, 0, size) };
    return AnchoredTree.anchor(signer.name, tree, new TileSource(signer.name, db), signal);
  };

  test('reads through tiles what direct computation gives, for any two sizes', async () => {
    const sizes = fc.integer({ min: 0, max: 1100 });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (one, two) => {
        const size = Math.max(one, two);
        const older = Math.min(one, two);
        const tree = await anchor(size);
        expect((await tree.hashAt(older, signal)).equals(directHash(RECORDS, 0, older))).toBe(true);
        if (older === size) return;
        const record = await tree.recordHash(older, signal);
        expect(record.equals(recordHash(RECORDS[older] ?? ''))).toBe(true);
      }),
    );
  });

  test.each([255, 256, 257, 511, 512, 65535, 65536, 65537, 65536 + 256, 65536 + 699])(
    'holds at the edges of tiles: %i',
    async (size) => {
      const tree = await anchor(size);
      for (const older of [0, 1, 255, 256, 257, size - 1, size].filter((n) => n <= size)) {
        const expected = directHash(RECORDS, 0, older);
        expect((await tree.hashAt(older, signal)).equals(expected)).toBe(true);
      }
      for (const id of [0, 254, size - 1]) {
        const record = await tree.recordHash(id, signal);
        expect(record.equals(recordHash(RECORDS[id] ?? ''))).toBe(true);
      }
    },
  );

  test('has nothing beyond its size', async () => {
    const tree = await anchor(600);
    await expect(tree.recordHash(600, signal)).rejects.toThrow(RangeError);
    await expect(tree.hashAt(601, signal)).rejects.toThrow(RangeError);
    await expect(tree.recordHash(70_000, signal)).rejects.toThrow(RangeError);
    expect(await tree.tileBytes({ level: 0, index: 2, width: 256 }, signal)).toBeUndefined();
    expect(await tree.tileBytes({ level: 0, index: 2, width: 88 }, signal)).toHaveLength(88 * 32);
    expect(await tree.tileBytes({ level: 1, index: 0, width: 3 }, signal)).toBeUndefined();
    expect(await tree.tileBytes({ level: 5, index: 0, width: 1 }, signal)).toBeUndefined();
  });

  test('refuses any tile with any bit changed, and keeps nothing of it', async () => {
    const bit = fc.integer({ min: 0, max: 8 * 32 - 1 });
    // all that reading record 300 of 600 needs: two tiles at the edge, and a full one
    const path = fc.constantFrom('/tile/8/0/002.p/88', '/tile/8/1/000.p/2', '/tile/8/0/001');
    await fc.assert(
      fc.asyncProperty(path, bit, async (bad, at) => {
        const db = new MemorySumdb(signer, RECORDS);
        db.tamper = (asked, bytes) => {
          if (asked !== bad) return undefined;
          const changed = Buffer.from(bytes);
          changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
          return changed;
        };
        const reading = async () => {
          const tree = await anchor(600, db);
          tree.commit();
          return tree.recordHash(300, signal);
        };
        await expect(reading()).rejects.toMatchObject({
          code: 'checksum_mismatch',
          message: expect.stringContaining('security error') as string,
        });
        expect(db.kept.size).toBe(0);
      }),
    );
  });

  test('refuses a tile of the wrong length as malformed', async () => {
    const db = new MemorySumdb(signer, RECORDS);
    db.tamper = (_, bytes) => bytes.subarray(32);
    await expect(anchor(600, db)).rejects.toMatchObject({ code: 'bad_content' });
  });

  test('keeps full tiles and its edge, and only once its head is accepted', async () => {
    const db = new MemorySumdb(signer, RECORDS);
    const tree = await anchor(600, db);
    await tree.recordHash(0, signal);
    expect([[...db.kept.keys()], db.edge]).toEqual([[], []]);
    tree.commit();
    expect([...db.kept.keys()]).toEqual(['/tile/8/0/000']);
    expect(db.edge).toEqual(['/tile/8/0/002.p/88', '/tile/8/1/000.p/2']);
    await tree.recordHash(300, signal);
    expect([...db.kept.keys()]).toEqual(['/tile/8/0/000', '/tile/8/0/001']);
  });

  test('reads the full tile where the partial one is gone', async () => {
    const db = new MemorySumdb(signer, RECORDS);
    db.gate = (path) =>
      path.includes('.p/')
        ? Promise.reject(new LarderError('not_found', 'gone'))
        : Promise.resolve();
    const tree = await anchor(300, db);
    expect(db.asked).toEqual(expect.arrayContaining(['/tile/8/0/001.p/44', '/tile/8/0/001']));
    expect((await tree.recordHash(299, signal)).equals(recordHash(RECORDS[299] ?? ''))).toBe(true);
  });

  test('calls a tile that is missing the fault of the database', async () => {
    const db = new MemorySumdb(signer, RECORDS.slice(0, 200));
    await expect(anchor(600, db)).rejects.toMatchObject({ code: 'upstream_failed' });
  });

  test('reads side by side what it needs, and nothing twice', async () => {
    const db = new MemorySumdb(signer, RECORDS);
    const tree = await anchor(65536 + 600, db);
    tree.commit();
    db.asked.length = 0;
    await Promise.all([0, 1, 2, 0].map((id) => tree.recordHash(id, signal)));
    expect(db.asked.sort()).toEqual(['/tile/8/0/000', '/tile/8/1/000']);
    db.asked.length = 0;
    await tree.recordHash(3, signal);
    expect(db.asked).toEqual([]);
  });
});
