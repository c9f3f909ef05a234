// Tiles: the pieces of 2^8 hashes in which a log is published (golang.org/x/mod/sumdb/tlog). The tile (l, i) holds the
// nodes of tree level 8·l from i·2^8 on. A full tile never changes; a partial one is the first `width` of its hashes.

import { HASH_SIZE, nodeHash, parseRecords } from './tlog.ts';

/** Every checksum database in use has tiles of this height. */
export const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;

export interface Tile {
  /** `data`: not hashes, but the records themselves. */
  readonly level: number | 'data';
  readonly index: number;
  /** 1 to 256; 256 is a full tile. */
  readonly width: number;
}

export const isFull = (tile: Tile): boolean => tile.width === TILE_WIDTH;

/** `tile/8/<level>/<index in groups of three digits>[.p/<width>]`, as in `tile/8/0/x001/234.p/5`. */
export function tilePath({ level, index, width }: Tile): string {
  let groups = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups = `x${String(rest % 1000).padStart(3, '0')}/${groups}`;
  }
  const partial = width === TILE_WIDTH ? '' : `.p/${String(width)}`;
  return `tile/${String(TILE_HEIGHT)}/${String(level)}/${groups}${partial}`;
}

const TILE_PATH =
  /^tile\/8\/(data|\d|[1-5]\d|6[0-3])\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/;

/** The tile of a path that is exactly as `tilePath` writes it, or undefined. */
export function parseTilePath(path: string): Tile | undefined {
  const [, level = '', groups = '', partial] = TILE_PATH.exec(path) ?? [];
  const tile: Tile = {
    level: level === 'data' ? level : Number(level),
    index: Number(groups.replaceAll(/[x/]/g, '')),
    width: partial === undefined ? TILE_WIDTH : Number(partial),
  };
  const sound = Number.isSafeInteger(tile.index) && tile.width <= TILE_WIDTH;
  return sound && tilePath(tile) === path ? tile : undefined;
}

/** A partial tile's bytes, out of those of the full one. Undefined when these are too few. */
export function partOf(full: Uint8Array, tile: Tile): Uint8Array | undefined {
  if (tile.level !== 'data') {
    const size = tile.width * HASH_SIZE;
    return full.length < size ? undefined : full.subarray(0, size);
  }
  const texts = parseRecords(full)?.slice(0, tile.width);
  if (texts?.length !== tile.width) return undefined;
  return Buffer.from(texts.map((text) => `${text}\n`).join(''));
}

/** The hashes of a tile with all that they add up to: the nodes of the (partial) subtree whose leaves they are. */
export class TileHashes {
  readonly #rows: Buffer[];

  /** `bytes`: a whole number of hashes, at most 256. */
  constructor(bytes: Uint8Array) {
    let row = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#rows = [row];
    while (row.length >= 2 * HASH_SIZE) {
      const above = Buffer.allocUnsafe(Math.floor(row.length / HASH_SIZE / 2) * HASH_SIZE);
      for (let at = 0; at < above.length; at += HASH_SIZE) {
        const middle = 2 * at + HASH_SIZE;
        above.set(
          nodeHash(row.subarray(2 * at, middle), row.subarray(middle, middle + HASH_SIZE)),
          at,
        );
      }
      this.#rows.push(above);
      row = above;
    }
  }

  /** The hashes as they came. */
  get bytes(): Buffer {
    return this.#rows[0] ?? Buffer.alloc(0);
  }

  /** Bytes held. */
  get size(): number {
    return this.#rows.reduce((sum, row) => sum + row.length, 0);
  }

  /** The node `height` levels above the tile's hashes, or undefined outside of the tile. */
  node(height: number, position: number): Buffer | undefined {
    const found = this.#rows[height]?.subarray(position * HASH_SIZE, (position + 1) * HASH_SIZE);
    return found?.length === HASH_SIZE ? found : undefined;
  }
}
