// The partial tiles at the right edge of the newest tree that was verified. Without them a warm store could prove nothing
// while the database is out of reach. They are one document, as the next tree has others.

import { partOf, type Tile } from './tile.ts';

interface EdgeTile {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** A tile a line: its level, its index, its hashes in base64. */
const LINE = /^(\d{1,2}) (\d{1,15}) ([A-Za-z0-9+/]+=*)$/gm;

export class TreeEdge {
  readonly #tiles = new Map<Tile['level'], EdgeTile>();

  /** From what `toString` gave. What is no edge counts as none: it can be fetched again. */
  static parse(text: string): TreeEdge {
    const edge = new TreeEdge();
    for (const [, level, index, hashes = ''] of text.matchAll(LINE)) {
      edge.#tiles.set(Number(level), {
        index: Number(index),
        bytes: Buffer.from(hashes, 'base64'),
      });
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
    const lines = Array.from(
      this.#tiles,
      ([level, { index, bytes }]) =>
        `${String(level)} ${String(index)} ${Buffer.from(bytes).toString('base64')}\n`,
    );
    return lines.join('');
  }
}
