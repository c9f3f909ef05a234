// What a spool has on the disk.

import { open, unlink, type FileHandle } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { LarderError } from './errors.ts';
import { readFile } from './file-body.ts';

export class SpoolFile {
  readonly path: string;
  readonly #handle: FileHandle;
  /** Bytes. */
  #written = 0;

  private constructor(name: string, handle: FileHandle) {
    this.path = name;
    this.#handle = handle;
  }

  /** In an existing folder. This and the other methods throw what the system says, where nothing else is told. */
  static async create(dir: string): Promise<SpoolFile> {
    const name = path.join(dir, randomUUID());
    return new SpoolFile(name, await open(name, 'wx+'));
  }

  get written(): number {
    return this.#written;
  }

  async append(chunks: readonly Uint8Array[]): Promise<void> {
    const { bytesWritten } = await this.#handle.writev(chunks as Uint8Array[], this.#written);
    this.#written += bytesWritten;
    let skip = bytesWritten;
    // a short write means that the next one tells why
    for (const chunk of chunks) {
      for (let from = Math.min(skip, chunk.length); from < chunk.length;) {
        const rest = chunk.length - from;
        const result = await this.#handle.write(chunk, from, rest, this.#written);
        from += result.bytesWritten;
        this.#written += result.bytesWritten;
      }
      skip = Math.max(0, skip - chunk.length);
    }
  }

  /** As `readFile` of file-body.ts. */
  read(start: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    return readFile(this.#handle, start, end, signal);
  }

  /** The first bytes, all at once. Throws LarderError `store_failed`. */
  async readBack(size: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(size);
    for (let at = 0; at < size;) {
      const { bytesRead } = await this.#handle
        .read(bytes, at, size - at, at)
        .catch((error: unknown) => {
          throw brokenSpool(error);
        });
      if (bytesRead === 0) throw brokenSpool();
      at += bytesRead;
    }
    return bytes;
  }

  /** Takes its name away: whoever reads it goes on. */
  async unlink(): Promise<void> {
    await unlink(this.path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }

  close(): void {
    // the file is gone by now: what cannot be closed loses nothing
    this.#handle.close().catch(() => undefined);
  }
}

export const brokenSpool = (cause?: unknown) =>
  new LarderError('store_failed', 'what was written to the spool cannot be read back', { cause });
