import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { TreeEdge } from '../../../src/go/sumdb/edge.ts';
import type { Tile } from '../../../src/go/sumdb/tile.ts';

const hashes = (count: number) => randomBytes(32 * count);
const tile = (level: number, index: number, width: number): Tile => ({ level, index, width });

describe('the edge of a tree', () => {
  test('has its tiles and narrower ones, of this place alone', () => {
    const edge = new TreeEdge();
    const bytes = hashes(7);
    edge.add(tile(0, 3, 7), bytes);
    expect(edge.get(tile(0, 3, 7))).toEqual(bytes);
    expect(edge.get(tile(0, 3, 2))).toEqual(bytes.subarray(0, 64));
    for (const other of [tile(0, 3, 8), tile(0, 2, 7), tile(1, 3, 7)]) {
      expect(edge.get(other)).toBeUndefined();
    }
  });

  test('only moves to the right', () => {
    const edge = new TreeEdge();
    const [older, newer, next] = [hashes(3), hashes(9), hashes(1)];
    edge.add(tile(0, 3, 9), newer);
    edge.add(tile(0, 3, 3), older);
    expect(edge.get(tile(0, 3, 9))).toEqual(newer);
    edge.add(tile(0, 4, 1), next);
    edge.add(tile(0, 3, 9), newer);
    expect(edge.get(tile(0, 4, 1))).toEqual(next);
  });

  test('comes back from its text; anything else is an empty one', () => {
    const edge = new TreeEdge();
    const bytes = hashes(200);
    edge.add(tile(0, 70_000, 200), bytes);
    edge.add(tile(2, 1, 5), hashes(5));
    const again = TreeEdge.parse(edge.toString());
    expect(again.get(tile(0, 70_000, 200))).toEqual(bytes);
    expect(again.toString()).toBe(edge.toString());
    for (const text of ['', '{', '0 1', '0 1 !', 'x 1 AAAA']) {
      expect(TreeEdge.parse(text).toString()).toBe('');
    }
  });
});
