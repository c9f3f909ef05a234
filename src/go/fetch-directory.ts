// A GOPROXY tree on a disk, as go itself writes one below GOMODCACHE/cache/download: `file://` in the upstream list.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Fetched } from '../engine/ports.ts';
import type { GoFetcher } from './fetcher.ts';
import { nothing } from './missing-file.ts';

export class DirectoryFetcher implements GoFetcher {
  readonly source: string;
  readonly #folder: string;

  constructor(url: URL) {
    this.#folder = fileURLToPath(url).replace(/\/$/, '');
    this.source = url.href.replace(/\/$/, '');
  }

  async fetch(path: string, signal: AbortSignal): Promise<Fetched> {
    const size = await this.fetchSize(path, signal);
    const body = createReadStream(this.#folder + decodeURIComponent(path), { signal });
    return { size, source: this.source, body };
  }

  async fetchSize(path: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    try {
      // a folder that is gone has not lost its modules
      await stat(this.#folder);
      const found = await stat(this.#folder + decodeURIComponent(path)).catch(nothing);
      if (found?.isFile() === true) return found.size;
    } catch (error) {
      throw new LarderError('upstream_failed', `${this.source}: ${messageOf(error)}`);
    }
    throw new LarderError('not_found', `not found: ${this.source} has no ${path}`);
  }
}
