// The checksum database's bytes: from the store when they were proved once, else through the first upstream that has
// the database, else from its own address.

import { LarderError } from '../engine/errors.ts';
import type { Listener, Store } from '../engine/ports.ts';
import type { UpstreamClient } from '../http/client.ts';
import { readAll } from '../http/download.ts';
import { ProxyFetcher, type ProxyTimeouts } from './fetch-proxy.ts';
import type { Sources } from './sources.ts';
import type { SumdbSetting } from './sumdb/config.ts';
import type { LatestHead } from './sumdb/history.ts';
import { immutableKey, latestKey, parseSumdbPath } from './sumdb/paths.ts';
import { isFull, partOf, TILE_WIDTH, tilePath } from './sumdb/tile.ts';
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

  constructor(parts: SumdbSourceParts) {
    this.#parts = parts;
  }

  async read(path: string, signal: AbortSignal): Promise<SumdbAnswer> {
    const key = this.#keyOf(path);
    const kept = key === undefined ? undefined : await this.#parts.store.readDocument(key);
    if (kept) return { bytes: kept, kept: true };
    this.#route ??= this.#findRoute(signal);
    const route = await this.#route.catch((error: unknown) => {
      this.#route = undefined;
      throw error;
    });
    return { bytes: await route(path, signal), kept: false };
  }

  /** Bytes that were proved before, without asking anybody; of a partial tile, from its full one. */
  async held(path: string): Promise<Uint8Array | undefined> {
    const parsed = parseSumdbPath(path.slice(1));
    if (parsed?.kind === 'latest') return this.#document(latestKey(this.#parts.setting.name));
    if (parsed?.kind !== 'tile' || isFull(parsed.tile)) {
      const key = this.#keyOf(path);
      return key === undefined ? undefined : this.#document(key);
    }
    const { tile } = parsed;
    const full = this.#keyOf(`/${tilePath({ ...tile, width: TILE_WIDTH })}`);
    const bytes = full === undefined ? undefined : await this.#document(full);
    return bytes && partOf(bytes, tile);
  }

  #document(key: string): Promise<Uint8Array | undefined> {
    return this.#parts.store.readDocument(key);
  }

  keep(path: string, bytes: Uint8Array): void {
    const key = this.#keyOf(path);
    if (key !== undefined) this.#write(key, bytes);
  }

  async load(): Promise<string | undefined> {
    const saved = await this.#parts.store.readDocument(latestKey(this.#parts.setting.name));
    return saved && Buffer.from(saved).toString();
  }

  save(text: string): void {
    this.#write(latestKey(this.#parts.setting.name), Buffer.from(text));
  }

  #write(key: string, bytes: Uint8Array): void {
    this.#parts.store.writeDocument(key, bytes).catch((error: unknown) => {
      this.#parts.listener.storeFailed({ key, operation: 'sumdb', error });
    });
  }

  #keyOf(path: string): string | undefined {
    const parsed = parseSumdbPath(path.slice(1));
    return parsed && immutableKey(this.#parts.setting.name, parsed);
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

async function get(fetcher: ProxyFetcher, path: string, signal: AbortSignal): Promise<Uint8Array> {
  return readAll((await fetcher.fetch(path, signal)).body, MAX_BYTES);
}
