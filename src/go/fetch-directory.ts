// A GOPROXY tree on a disk, as go itself writes one below GOMODCACHE/cache/download: `file://` in the upstream list.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Fetched } from '../engine/ports.ts';
import type { GoFetcher } from './fetcher.ts';

export class DirectoryFetcher implements GoFetcher {
  readonly source: string;
  readonly #folder: string;

  constructor(url: URL) {
    this.#folder = fileURLToPath(url).replace(/\/$/, '');
    this.source = `file://${url.pathname.replace(/\/$/, '')}`;
  }

  async fetch(path: string, signal: AbortSignal): Promise<Fetched> {
    const size = await this.fetchSize(path, signal);
    const body = createReadStream(this.#fileOf(path), { signal, autoClose: true });
    return { size, source: this.source, body };
  }

  async fetchSize(path: string, signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted();
    const found = await stat(this.#fileOf(path)).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw new LarderError(
        'upstream_failed',
        `${this.source} cannot be read: ${messageOf(error)}`,
      );
    });
    if (found?.isFile() === true) return found.size;
    throw new LarderError('not_found', `not found: ${this.source} has no ${path}`);
  }

  readonly #fileOf = (path: string): string => this.#folder + decodeURIComponent(path);
}
