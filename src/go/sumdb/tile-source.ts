// Where tiles come from: memory, else whoever has the database's bytes. What is in memory has been verified once, under a
// tree head that was accepted; readers still compare its root, so a tile of one history never vouches for another.

import { LRUCache } from 'lru-cache';
import { LarderError } from '../../engine/errors.ts';
import { SharedWork } from './shared-work.ts';
import { isFull, partOf, TILE_WIDTH, TileHashes, tilePath, type Tile } from './tile.ts';
import { HASH_SIZE } from './tlog.ts';

export interface SumdbAnswer {
  readonly bytes: Uint8Array;
  /** These are bytes that `keep` was given once. */
  readonly kept: boolean;
}

/** How the client gets at the database's bytes, and where it hands those that are proved. */
export interface SumdbSource {
  /**
   * What the database answers at a path: `/lookup/<escaped module>@<escaped version>`, `/tile/8/…`, `/latest`.
   * Throws LarderError `not_found` when it has none (404, 410), otherwise `upstream_failed`, `upstream_timeout`, …;
   * and the signal's reason when it aborts. Deadlines are the source's own.
   */
  read(path: string, signal: AbortSignal): Promise<SumdbAnswer>;
  /**
   * Told of bytes that are proved: lookups and full tiles, which will never change, and partial hash tiles of the newest
   * tree. Never waited for, never throws: whoever keeps them reports a store that fails.
   */
  keep(path: string, bytes: Uint8Array): void;
}

export interface LoadedTile {
  readonly hashes: TileHashes;
  readonly kept: boolean;
}

/** Bytes of verified tiles in memory, with what they add up to: about 500 full tiles. */
const MEMORY = 8 * 1024 * 1024;

export class TileSource {
  readonly #database: string;
  readonly #source: SumdbSource;
  readonly #verified = new LRUCache<string, TileHashes>({
    maxSize: MEMORY,
    sizeCalculation: (hashes) => hashes.size,
  });
  readonly #loads = new SharedWork<LoadedTile>();

  constructor(database: string, source: SumdbSource) {
    this.#database = database;
    this.#source = source;
  }

  /** A tile that was verified before, if it is still in memory. */
  known(tile: Tile): TileHashes | undefined {
    return this.#verified.get(tilePath(tile));
  }

  /**
   * A hash tile, not verified. Throws LarderError `bad_content` when it has not the right length, and what the source
   * throws, but for `not_found`, which here is the database's fault: `upstream_failed`.
   */
  load(tile: Tile, signal: AbortSignal): Promise<LoadedTile> {
    return this.#loads.run(tilePath(tile), signal, async (shared) => {
      const { bytes, kept } = await this.#read(tile, shared);
      if (bytes.length === tile.width * HASH_SIZE) return { hashes: new TileHashes(bytes), kept };
      throw new LarderError(
        'bad_content',
        `The checksum database ${this.#database} answered ${tilePath(tile)} with ` +
          `${String(bytes.length)} bytes instead of ${String(tile.width * HASH_SIZE)}.`,
      );
    });
  }

  /** Remembers a tile that is verified, and has it kept. */
  accept(tile: Tile, { hashes, kept }: LoadedTile): void {
    const path = tilePath(tile);
    if (this.#verified.has(path)) return;
    this.#verified.set(path, hashes);
    if (!kept) this.#source.keep(`/${path}`, hashes.bytes);
  }

  async #read(tile: Tile, signal: AbortSignal): Promise<SumdbAnswer> {
    try {
      return await this.#source.read(`/${tilePath(tile)}`, signal);
    } catch (error) {
      if (!(error instanceof LarderError) || error.code !== 'not_found') throw error;
      if (isFull(tile)) throw this.#missing(tile, error);
      // a database may drop a partial tile once the full one is there
      const { bytes } = await this.#read({ ...tile, width: TILE_WIDTH }, signal);
      return { bytes: partOf(bytes, tile) ?? bytes, kept: false };
    }
  }

  #missing(tile: Tile, cause: LarderError): LarderError {
    return new LarderError(
      'upstream_failed',
      `The checksum database ${this.#database} lacks ${tilePath(tile)}, which its signed tree needs.`,
      { cause },
    );
  }
}
