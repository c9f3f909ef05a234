// Where the bytes of a fill grow until they are checked. One writer, any number of readers, each at its own pace.
// Small bodies stay in memory; larger ones go to a file. When that disk is full, the spool moves back into memory,
// as far as a shared budget reaches, so that a full disk spoils no transfer.

import { open, unlink, type FileHandle } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { LarderError } from './errors.ts';
import { readFile } from './file-body.ts';
import type { StashSource } from './ports.ts';

/** Bytes that stay in memory. Also how many are held back until the check has passed: small bodies go out only whole. */
export const SMALL_BODY = 64 * 1024;
/** Bytes in memory, all spools together, that a full spool disk may cost. */
const OVERFLOW_BUDGET = 64 * 1024 * 1024;
let overflow = 0;
/** Bytes that may wait for the disk before the upstream is made to wait. */
const MAX_PENDING = 1024 * 1024;

export class Spool {
  /** Bytes that have been written. */
  written = 0;
  readonly #dir: string;
  #chunks: Uint8Array[] = [];
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #flushing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #abandoned: FileHandle | undefined;
  #path: string | undefined;
  #borrowed = 0;
  #state: 'growing' | 'complete' | 'failed' = 'growing';
  #error: unknown;
  /** The fill itself, and each reader. */
  #holders = 1;
  #waiters = new Set<() => void>();

  /** `dir`: an existing folder for the file, used only when the body outgrows memory. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Takes a chunk over. Waits only when the disk falls behind; what comes while one write runs goes out with the next.
   * Throws LarderError `store_failed` when there is no room for the bytes anywhere.
   */
  async append(chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#flushing === undefined) {
      this.#flushing = this.#flush();
      // told by a later append, or by flushed
      this.#flushing.catch(() => undefined);
    }
    if (this.#pendingBytes > MAX_PENDING) await this.#flushing;
  }

  /** Resolves when all that was appended can be read. Throws as `append` does. */
  async flushed(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(): Promise<void> {
    while (this.#pendingBytes > 0) {
      const chunks = this.#pending;
      const bytes = this.#pendingBytes;
      this.#pending = [];
      this.#pendingBytes = 0;
      await this.#write(chunks, bytes);
      this.written += bytes;
      this.#wake();
    }
    this.#flushing = undefined;
  }

  async #write(chunks: readonly Uint8Array[], bytes: number): Promise<void> {
    if (this.#path === undefined && this.#borrowed === 0 && this.written + bytes > SMALL_BODY) {
      await this.#moveToFile();
    }
    if (this.#file === undefined) {
      this.#keepInMemory(chunks, bytes);
      return;
    }
    try {
      await writeAll(this.#file, chunks, this.written);
    } catch {
      await this.#moveToMemory();
      this.#keepInMemory(chunks, bytes);
    }
  }

  /** What the store takes over: valid until `release`. */
  source(): StashSource {
    if (this.#file !== undefined && this.#path !== undefined) return { path: this.#path };
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return { bytes: this.#chunks[0] ?? new Uint8Array() };
  }

  /** The check has passed: readers get the rest. */
  complete(): void {
    this.#state = 'complete';
    this.#wake();
  }

  /** Readers break with this error. */
  fail(error: unknown): void {
    this.#state = 'failed';
    this.#error = error;
    this.#wake();
  }

  /** Bytes that readers may have by now. */
  get visible(): number {
    return this.#state === 'complete' ? this.written : Math.max(0, this.written - SMALL_BODY);
  }

  /** Resolves when readers can begin: the first bytes are visible, or all is checked. Throws when the fill fails first. */
  async readable(signal: AbortSignal): Promise<void> {
    while (this.visible === 0 && this.#state === 'growing') await this.#grown(signal);
    if (this.#state === 'failed') throw this.#error;
  }

  /** Counts a reader in, who calls `close` once. */
  join(): void {
    this.#holders++;
  }

  /** The last of the readers and the fill frees what the spool holds. */
  close(): void {
    this.#holders--;
    if (this.#holders === 0) this.#free();
  }

  /** Nothing is appended or stashed any more: the file goes, while whoever holds the spool still reads from it. */
  async release(): Promise<void> {
    // a write under way may be about to make the file
    await this.flushed().catch(() => undefined);
    const name = this.#path;
    this.#path = undefined;
    if (name === undefined) return;
    await unlink(name).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }

  async *read(
    start: number,
    end: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    for (let at = start; ;) {
      if (this.#state === 'failed') throw this.#error;
      const limit = Math.min(end ?? Infinity, this.visible);
      if (at < limit) {
        const from = at;
        for await (const chunk of this.#chunksOf(at, limit, signal)) {
          at += chunk.length;
          yield chunk;
        }
        if (at === from) throw brokenSpool();
      } else if (at >= (end ?? Infinity) || this.#state === 'complete') {
        return;
      } else {
        await this.#grown(signal);
      }
    }
  }

  #chunksOf(start: number, end: number, signal: AbortSignal) {
    return this.#file ? readFile(this.#file, start, end, signal) : this.#memory(start, end);
  }

  *#memory(start: number, end: number): Generator<Uint8Array> {
    let offset = 0;
    for (const chunk of this.#chunks) {
      const from = Math.max(0, start - offset);
      const to = Math.min(chunk.length, end - offset);
      if (from < to) yield chunk.subarray(from, to);
      offset += chunk.length;
    }
  }

  #keepInMemory(chunks: readonly Uint8Array[], bytes: number): void {
    if (this.written + bytes > SMALL_BODY) this.#borrow(bytes);
    this.#chunks.push(...chunks);
  }

  #borrow(bytes: number): void {
    if (overflow + bytes > OVERFLOW_BUDGET) {
      throw new LarderError(
        'store_failed',
        'the spool disk takes no more, and the memory that stands in for it is used up; make room on the disk or wait for fills under way to end',
      );
    }
    overflow += bytes;
    this.#borrowed += bytes;
  }

  async #moveToFile(): Promise<void> {
    const name = path.join(this.#dir, randomUUID());
    try {
      this.#file = await open(name, 'wx+');
      this.#path = name;
      await writeAll(this.#file, this.#chunks, 0);
      this.#chunks = [];
    } catch {
      await this.#moveToMemory();
    }
  }

  /** The disk refuses: what is in the file comes back. */
  async #moveToMemory(): Promise<void> {
    this.#borrow(this.written);
    if (this.#file !== undefined && this.#chunks.length === 0) {
      this.#chunks = [await readBack(this.#file, this.written)];
    }
    // readers may be in the middle of it: closed with the last of them
    this.#abandoned = this.#file;
    this.#file = undefined;
  }

  #free(): void {
    overflow -= this.#borrowed;
    this.#borrowed = 0;
    this.#chunks = [];
    const files = [this.#file, this.#abandoned];
    this.#file = this.#abandoned = undefined;
    for (const file of files) {
      // the file is gone by now: what cannot be closed loses nothing
      file?.close().catch(() => undefined);
    }
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
    this.#waiters.clear();
  }

  #grown(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const done = () => {
        signal.removeEventListener('abort', aborted);
        resolve();
      };
      const aborted = () => {
        this.#waiters.delete(done);
        reject(signal.reason as Error);
      };
      this.#waiters.add(done);
      signal.addEventListener('abort', aborted, { once: true });
    });
  }
}

const brokenSpool = (cause?: unknown) =>
  new LarderError('store_failed', 'what was written to the spool cannot be read back', { cause });

/** Throws LarderError `store_failed`. */
async function readBack(file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(bytes, at, size - at, at).catch((error: unknown) => {
      throw brokenSpool(error);
    });
    if (bytesRead === 0) throw brokenSpool();
    at += bytesRead;
  }
  return bytes;
}

async function writeAll(
  file: FileHandle,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let at = position;
  const { bytesWritten } = await file.writev(chunks as Uint8Array[], at);
  let skip = bytesWritten;
  at += bytesWritten;
  // a short write means that the next one tells why
  for (const chunk of chunks) {
    if (skip >= chunk.length) {
      skip -= chunk.length;
      continue;
    }
    for (let from = skip; from < chunk.length;) {
      const result = await file.write(chunk, from, chunk.length - from, at);
      from += result.bytesWritten;
      at += result.bytesWritten;
    }
    skip = 0;
  }
}
