// The client of a checksum database: go.sum lines of a module version, proved to be in the database's one history.
// For every lookup: the tree head that comes with it is signed and continues (or belongs to) the history known so far,
// and the record is in that tree. The reference is golang.org/x/mod/sumdb. Fetching and caching are the source's
// business; the client tells it what is proved. Nothing is believed because it was cached.

import { LRUCache } from 'lru-cache';
import { LarderError } from '../../engine/errors.ts';
import { escapePath, quote } from '../module-path.ts';
import { escapeVersion } from '../version.ts';
import type { AnchoredTree } from './anchored-tree.ts';
import { History, type LatestHead } from './history.ts';
import { decodeText, type VerifierKey } from './note.ts';
import { SharedWork } from './shared-work.ts';
import { isFull, tilePath, type Tile } from './tile.ts';
import { TileSource, type SumdbSource } from './tile-source.ts';
import { HASH_SIZE, parseLookup, parseRecords, recordHash } from './tlog.ts';

/** A lookup whose record is proved. */
interface Proved {
  readonly lines: readonly string[];
  /** The whole answer. */
  readonly bytes: Uint8Array;
}

/** Bytes of proved lookups in memory: a few thousand. */
const MEMORY = 4 * 1024 * 1024;

export class SumdbClient {
  readonly #name: string;
  readonly #source: SumdbSource;
  readonly #history: History;
  readonly #lookups = new SharedWork<Proved>();
  readonly #heads = new SharedWork<Uint8Array>();
  readonly #proved = new LRUCache<string, Proved>({
    maxSize: MEMORY,
    sizeCalculation: ({ bytes }) => 2 * bytes.length + 1,
  });

  constructor(key: VerifierKey, source: SumdbSource, latest: LatestHead) {
    this.#name = key.name;
    this.#source = source;
    this.#history = new History(key, new TileSource(key.name, source), latest);
  }

  /**
   * The go.sum lines of a module version, those of its zip and of its go.mod.
   * This and the other methods throw LarderError: `checksum_mismatch` (its text has `security error`) when the database's
   * answers contradict its key, its history or each other; `bad_content` when they are malformed; `invalid` for a
   * malformed name; what the source and the saved head throw; and the signal's reason when it aborts.
   */
  async lookup(module: string, version: string, signal: AbortSignal): Promise<string[]> {
    return [...(await this.#prove(module, version, signal)).lines];
  }

  /** The database's own answer to a lookup, proved. */
  async record(module: string, version: string, signal: AbortSignal): Promise<Uint8Array> {
    return (await this.#prove(module, version, signal)).bytes;
  }

  /** The newest signed tree head, after asking the database for it. */
  latest(signal: AbortSignal): Promise<Uint8Array> {
    return this.#heads.run('latest', signal, async (shared) => {
      await this.#history.ready();
      const { bytes } = await this.#source.read('/latest', shared);
      await this.#history.merge(decodeText(bytes) ?? '', shared);
      const { text } = this.#history;
      return text === '' ? bytes : Buffer.from(text); // of an empty database there is nothing to remember
    });
  }

  /**
   * A tile. It is verified when it lies within the newest tree, for which a full one beyond the tree known so far has
   * the database asked for a newer head. A partial one beyond it is what the source has, to be judged by its reader.
   */
  async tile(tile: Tile, signal: AbortSignal): Promise<Uint8Array> {
    await this.#history.ready();
    let verified = await this.#verifiedTile(await this.#history.tree(signal), tile, signal);
    if (verified) return verified;
    if (isFull(tile)) {
      await this.latest(signal);
      verified = await this.#verifiedTile(await this.#history.tree(signal), tile, signal);
      if (verified) return verified;
    }
    return (await this.#source.read(`/${tilePath(tile)}`, signal)).bytes;
  }

  async #prove(module: string, version: string, signal: AbortSignal): Promise<Proved> {
    const path = lookupPath(module, version);
    const known = this.#proved.get(path);
    if (known) return known;
    return this.#lookups.run(path, signal, async (shared) => {
      await this.#history.ready();
      const { bytes, kept } = await this.#source.read(path, shared);
      const { id, text, head } = parseLookup(bytes);
      const lines = linesOf(text, module, version);
      if (lines.length === 0) {
        throw this.#refuse(`its record for ${module}@${version} is of something else`);
      }
      // usually the record is in the tree known so far: then both proofs are made side by side
      const merged = this.#history.merge(head, shared);
      const check = () => this.#checkRecord(id, text, shared);
      const checked = id < this.#history.size ? check() : merged.then(check);
      const outcomes = await Promise.allSettled([merged, checked]);
      // of two failures the database's history is the graver one
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      const proved = { lines, bytes };
      this.#proved.set(path, proved);
      if (!kept) this.#source.keep(path, bytes);
      return proved;
    });
  }

  async #checkRecord(id: number, text: string, signal: AbortSignal): Promise<void> {
    const tree = await this.#history.tree(signal);
    if (id >= tree.tree.size) {
      throw this.#refuse(
        `record ${String(id)} is not in its tree of ${String(tree.tree.size)} records`,
      );
    }
    if ((await tree.recordHash(id, signal)).equals(recordHash(text))) return;
    throw this.#refuse(`record ${String(id)} is not the one in its tree`);
  }

  async #verifiedTile(
    tree: AnchoredTree,
    tile: Tile,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const { level, index, width } = tile;
    if (level !== 'data') return tree.tileBytes({ level, index, width }, signal);
    const hashes = await tree.tileBytes({ level: 0, index, width }, signal);
    if (!hashes) return undefined;
    const { bytes, kept } = await this.#source.read(`/${tilePath(tile)}`, signal);
    const texts = parseRecords(bytes) ?? [];
    const found = Buffer.concat(texts.map(recordHash), texts.length * HASH_SIZE);
    if (!found.equals(hashes)) throw this.#refuse(`${tilePath(tile)} is not what is in its tree`);
    if (!kept && isFull(tile)) this.#source.keep(`/${tilePath(tile)}`, bytes);
    return bytes;
  }

  #refuse(why: string): LarderError {
    return new LarderError(
      'checksum_mismatch',
      `checksum mismatch: security error: the checksum database ${this.#name} cannot be believed: ${why}.`,
    );
  }
}

function lookupPath(module: string, version: string): string {
  const path = escapePath(module);
  const escaped = escapeVersion(version);
  if (path !== undefined && escaped !== undefined) return `/lookup/${path}@${escaped}`;
  throw new LarderError('invalid', `${quote(`${module}@${version}`)} is no version of a module.`);
}

/** The lines of a record that are about this version: `module version hash`, `module version/go.mod hash`. */
function linesOf(text: string, module: string, version: string): string[] {
  const zip = `${module} ${version} `;
  const goMod = `${module} ${version}/go.mod `;
  return text.split('\n').filter((line) => line.startsWith(zip) || line.startsWith(goMod));
}
