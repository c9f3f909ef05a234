// The checksum database's bytes: from the store when they were proved once, else through the first upstream that has
// the database, else from its own address.

import { LarderError } from '../engine/errors.ts';
import type { Listener, Store } from '../engine/ports.ts';
import { sealBytes, unsealBytes } from '../engine/seal.ts';
import type { UpstreamClient } from '../http/client.ts';
import { readAll } from '../http/download.ts';
import { ProxyFetcher, type ProxyTimeouts } from './fetch-proxy.ts';
import type { GoFetcher } from './fetcher.ts';
import type { Sources } from './sources.ts';
import type { SumdbSetting } from './sumdb/config.ts';
import { TreeEdge } from './sumdb/edge.ts';
import type { LatestHead } from './sumdb/history.ts';
import { edgeKey, immutableKey, latestKey, parseSumdbPath, type SumdbPath } from './sumdb/paths.ts';
import { isFull, partOf, TILE_WIDTH, type Tile } from './sumdb/tile.ts';
import type { SumdbAnswer, SumdbSource } from './sumdb/tile-source.ts';

const MAX_BYTES = 4 * 1024 * 1024;

export interface SumdbSourceParts {
  readonly setting: SumdbSetting;
  readonly store: Store;
  readonly sources: Sources;
  readonly client: UpstreamClient;
  readonly timeouts: ProxyTimeouts;
  readonly listener: Required<Listener>;
}

export class CachedSumdb implements SumdbSource, LatestHead {
  readonly #parts: SumdbSourceParts;
  #route: Promise<(path: string, signal: AbortSignal) => Promise<Uint8Array>> | undefined;
  #edge: Promise<TreeEdge> | undefined;
  #edgeWrite: NodeJS.Immediate | undefined;

  constructor(parts: SumdbSourceParts) {
    this.#parts = parts;
  }

  async read(path: string, signal: AbortSignal): Promise<SumdbAnswer> {
    const kept = await this.#proved(parseSumdbPath(path.slice(1)));
    if (kept) return { bytes: kept, kept: true };
    this.#route ??= this.#findRoute(signal);
    const route = await this.#route.catch((error: unknown) => {
      this.#route = undefined;
      throw error;
    });
    return { bytes: await route(path, signal), kept: false };
  }

  /** Bytes that were proved before, without asking anybody. */
  held(wanted: SumdbPath): Promise<Uint8Array | undefined> {
    if (wanted.kind === 'latest') return this.#document(latestKey(this.#parts.setting.name));
    return this.#proved(wanted);
  }

  /** What does not change; a partial tile out of the newest tree's edge, or of the full one. */
  async #proved(wanted: SumdbPath | undefined): Promise<Uint8Array | undefined> {
    if (wanted?.kind === 'tile' && !isFull(wanted.tile)) {
      const { tile } = wanted;
      const part = (await this.#loadEdge()).get(tile);
      if (part) return part;
      const full = await this.#proved({ kind: 'tile', tile: { ...tile, width: TILE_WIDTH } });
      return full && partOf(full, tile);
    }
    const key = wanted && immutableKey(this.#parts.setting.name, wanted);
    return key === undefined ? undefined : this.#document(key);
  }

  /** What is not as it was written can be asked for again. */
  async #document(key: string): Promise<Uint8Array | undefined> {
    const document = await this.#parts.store.readDocument(key);
    return document && unsealBytes(document);
  }

  keep(path: string, bytes: Uint8Array): void {
    const parsed = parseSumdbPath(path.slice(1));
    if (parsed?.kind === 'tile' && !isFull(parsed.tile)) {
      void this.#keepEdge(parsed.tile, bytes);
      return;
    }
    const key = parsed && immutableKey(this.#parts.setting.name, parsed);
    if (key !== undefined) this.#write(key, bytes);
  }

  #loadEdge(): Promise<TreeEdge> {
    this.#edge ??= this.#document(edgeKey(this.#parts.setting.name)).then(
      (saved) => TreeEdge.parse(Buffer.from(saved ?? []).toString()),
      (error: unknown) => {
        this.#edge = undefined;
        throw error;
      },
    );
    return this.#edge;
  }

  async #keepEdge(tile: Tile, bytes: Uint8Array): Promise<void> {
    const key = edgeKey(this.#parts.setting.name);
    try {
      const edge = await this.#loadEdge();
      edge.add(tile, bytes);
      // the tiles of one tree come together
      if (this.#edgeWrite) return;
      this.#edgeWrite = setImmediate(() => {
        this.#edgeWrite = undefined;
        this.#write(key, Buffer.from(edge.toString()));
      });
    } catch (error) {
      this.#parts.listener.storeFailed({ key, operation: 'sumdb', error });
    }
  }

  async load(): Promise<string | undefined> {
    const saved = await this.#document(latestKey(this.#parts.setting.name));
    return saved && Buffer.from(saved).toString();
  }

  save(text: string): void {
    this.#write(latestKey(this.#parts.setting.name), Buffer.from(text));
  }

  #write(key: string, bytes: Uint8Array): void {
    this.#parts.store.writeDocument(key, sealBytes(bytes)).catch((error: unknown) => {
      this.#parts.listener.storeFailed({ key, operation: 'sumdb', error });
    });
  }

  /** As the go command does: the first upstream that answers `supported`, else the database itself. */
  async #findRoute(signal: AbortSignal) {
    const { setting, sources, client, timeouts } = this.#parts;
    if (setting.url === undefined) {
      const prefix = `/sumdb/${setting.name}`;
      for (const proxy of sources.proxies()) {
        try {
          await get(proxy, `${prefix}/supported`, signal);
          return (path: string, own: AbortSignal) => get(proxy, prefix + path, own);
        } catch (error) {
          if (!(error instanceof LarderError) || error.code !== 'not_found') throw error;
        }
      }
    }
    const direct = new ProxyFetcher(
      new URL(setting.url ?? `https://${setting.name}`),
      client,
      timeouts,
    );
    return (path: string, own: AbortSignal) => get(direct, path, own);
  }
}

async function get(fetcher: GoFetcher, path: string, signal: AbortSignal): Promise<Uint8Array> {
  return readAll((await fetcher.fetch(path, signal)).body, MAX_BYTES);
}
