// The partial tiles at the right edge of the newest tree that was verified. Without them a warm store could prove nothing
// while the database is out of reach. They are one document, for the next tree has others.

import { z } from 'zod';
import { partOf, TILE_WIDTH, type Tile } from './tile.ts';
import { HASH_SIZE } from './tlog.ts';

interface EdgeTile {
  readonly index: number;
  readonly bytes: Uint8Array;
}

const stored = z.array(
  z.object({ level: z.int(), index: z.int(), hashes: z.base64().max(2 * TILE_WIDTH * HASH_SIZE) }),
);

export class TreeEdge {
  readonly #tiles = new Map<number | 'data', EdgeTile>();

  /** From what `toString` gave. What is no edge counts as none: it can be fetched again. */
  static parse(text: string): TreeEdge {
    const edge = new TreeEdge();
    for (const { level, index, hashes } of stored.safeParse(json(text)).data ?? []) {
      edge.#tiles.set(level, { index, bytes: Buffer.from(hashes, 'base64') });
    }
    return edge;
  }

  /** Takes a verified hash tile, unless one further to the right is there. */
  add(tile: Tile, bytes: Uint8Array): void {
    const there = this.#tiles.get(tile.level);
    const older =
      !there ||
      there.index < tile.index ||
      (there.index === tile.index && there.bytes.length < bytes.length);
    if (older) this.#tiles.set(tile.level, { index: tile.index, bytes });
  }

  /** A tile of this tree or an older one, out of what is at the edge. */
  get(tile: Tile): Uint8Array | undefined {
    const there = this.#tiles.get(tile.level);
    return there?.index === tile.index ? partOf(there.bytes, tile) : undefined;
  }

  toString(): string {
    const tiles = Array.from(this.#tiles, ([level, { index, bytes }]) => ({
      level,
      index,
      hashes: Buffer.from(bytes).toString('base64'),
    }));
    return JSON.stringify(tiles);
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
