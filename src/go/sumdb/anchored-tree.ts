// A tree whose head is trusted and whose hashes can therefore be read from anybody: every tile is checked against its
// parent, and those at the right edge together against the root. (What tlog.TileHashReader does.)

import { LarderError } from '../../engine/errors.ts';
import { SharedWork } from './shared-work.ts';
import { partOf, TILE_HEIGHT, TILE_WIDTH, tilePath, type Tile, type TileHashes } from './tile.ts';
import type { LoadedTile, TileSource } from './tile-source.ts';
import { rootOf, subtrees, type Tree, type TreeNode } from './tlog.ts';

/** The partial tiles at the right edge: one for each digit of the size in base 256 that is not zero. */
function edgeTiles(size: number): (Tile & { level: number })[] {
  const tiles: (Tile & { level: number })[] = [];
  for (let level = 0, nodes = size; nodes > 0; level++) {
    const index = Math.floor(nodes / TILE_WIDTH);
    const width = nodes % TILE_WIDTH;
    if (width > 0) tiles.push({ level, index, width });
    nodes = index;
  }
  return tiles;
}

export class AnchoredTree {
  readonly tree: Tree;
  readonly #database: string;
  readonly #tiles: TileSource;
  /** By tile level. */
  readonly #edge = new Map<number, { readonly tile: Tile; readonly hashes: TileHashes }>();
  readonly #reading = new SharedWork<TileHashes>();
  /** Verified under this tree, while the tree itself is not accepted. */
  #pending: [Tile, LoadedTile][] | undefined = [];

  private constructor(database: string, tree: Tree, tiles: TileSource) {
    this.#database = database;
    this.tree = tree;
    this.#tiles = tiles;
  }

  /**
   * Reads the edge and checks it against the head. Throws LarderError `checksum_mismatch` when they differ,
   * here and in all methods also what `TileSource.load` throws.
   */
  static async anchor(
    database: string,
    tree: Tree,
    tiles: TileSource,
    signal: AbortSignal,
  ): Promise<AnchoredTree> {
    const anchored = new AnchoredTree(database, tree, tiles);
    await anchored.#readEdge(signal);
    return anchored;
  }

  async #readEdge(signal: AbortSignal): Promise<void> {
    const edge = await Promise.all(
      edgeTiles(this.tree.size).map(async (tile) => {
        const hashes = this.#tiles.known(tile);
        const loaded = hashes ? { hashes, kept: true } : await this.#tiles.load(tile, signal);
        return { tile, loaded };
      }),
    );
    for (const { tile, loaded } of edge)
      this.#edge.set(tile.level, { tile, hashes: loaded.hashes });
    const root = rootOf(await this.#nodes(subtrees(this.tree.size), signal));
    if (!root.equals(this.tree.hash)) {
      throw this.#forged('the tiles do not add up to the signed tree');
    }
    for (const { tile, loaded } of edge) this.#accept(tile, loaded);
  }

  /** The tree's head has been accepted: what was verified under it may be remembered and kept. */
  commit(): void {
    const pending = this.#pending ?? [];
    this.#pending = undefined;
    for (const [tile, loaded] of pending) this.#tiles.accept(tile, loaded);
  }

  /** The root that this tree had when it had `size` records, at most its own. */
  async hashAt(size: number, signal: AbortSignal): Promise<Buffer> {
    return rootOf(await this.#nodes(subtrees(size), signal));
  }

  /** The hash of record `id`, below the tree's size. */
  recordHash(id: number, signal: AbortSignal): Promise<Buffer> {
    return this.#node({ level: 0, index: id }, signal);
  }

  /** The verified bytes of a hash tile, or undefined when it reaches beyond this tree. */
  async tileBytes(
    tile: Tile & { level: number },
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const edge = this.#edge.get(tile.level);
    if (edge?.tile.index === tile.index) return partOf(edge.hashes.bytes, tile);
    if (tile.index >= this.#fullTiles(tile.level)) return undefined;
    const full = await this.#full(tile.level, tile.index, signal);
    return partOf(full.bytes, tile);
  }

  #fullTiles(level: number): number {
    return Math.floor(this.tree.size / 2 ** (TILE_HEIGHT * (level + 1)));
  }

  #nodes(nodes: readonly TreeNode[], signal: AbortSignal): Promise<Buffer[]> {
    return Promise.all(nodes.map((node) => this.#node(node, signal)));
  }

  async #node({ level, index }: TreeNode, signal: AbortSignal): Promise<Buffer> {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const height = level % TILE_HEIGHT;
    const perTile = 2 ** (TILE_HEIGHT - height);
    const tileIndex = Math.floor(index / perTile);
    const edge = this.#edge.get(tileLevel);
    const hashes =
      edge?.tile.index === tileIndex ? edge.hashes : await this.#full(tileLevel, tileIndex, signal);
    const hash = hashes.node(height, index % perTile);
    if (hash) return hash;
    throw new RangeError(`The node ${String(level)}/${String(index)} is not in the tree.`);
  }

  async #full(level: number, index: number, signal: AbortSignal): Promise<TileHashes> {
    if (index >= this.#fullTiles(level)) {
      throw new RangeError(`The tile ${String(level)}/${String(index)} is not in the tree.`);
    }
    const tile = { level, index, width: TILE_WIDTH };
    const parent = { level: TILE_HEIGHT * (level + 1), index };
    const known = this.#tiles.known(tile);
    if (known?.node(TILE_HEIGHT, 0)?.equals(await this.#node(parent, signal))) return known;
    return this.#reading.run(tilePath(tile), signal, async (shared) => {
      // side by side: a lookup waits for one round trip, not for one a level
      const [expected, loaded] = await Promise.all([
        this.#node(parent, shared),
        this.#tiles.load(tile, shared),
      ]);
      if (!loaded.hashes.node(TILE_HEIGHT, 0)?.equals(expected)) {
        throw this.#forged('a tile does not belong to the signed tree');
      }
      this.#accept(tile, loaded);
      return loaded.hashes;
    });
  }

  #accept(tile: Tile, loaded: LoadedTile): void {
    if (this.#pending) this.#pending.push([tile, loaded]);
    else this.#tiles.accept(tile, loaded);
  }

  #forged(why: string): LarderError {
    return new LarderError(
      'checksum_mismatch',
      `checksum mismatch: security error: the checksum database ${this.#database} contradicts itself (${why}).`,
    );
  }
}
