// Where the bytes of a fill grow until they are checked. One writer, any number of readers, each at its own pace.
// Small bodies stay in memory; larger ones go to a file. When that disk is full, the spool moves back into memory,
// as far as a shared budget reaches, so that a full disk spoils no transfer.

import { open, unlink, type FileHandle } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { LarderError, messageOf } from './errors.ts';
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
  #readers = 0;
  #released = false;
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
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#flushing === undefined) {
      this.#flushing = this.#flush();
      // told by the next append, or by flushed
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
    } catch (error) {
      await this.#moveToMemory(error);
      this.#keepInMemory(chunks, bytes);
    }
  }

  /** What the store takes over: valid until `release`. */
  source(): StashSource {
    if (this.#path !== undefined) return { path: this.#path };
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

  /** Counts a reader in: the spool's file stays open until `close` has been called as often. */
  join(): void {
    this.#readers++;
  }

  close(): void {
    this.#readers--;
    this.#free();
  }

  /** The fill needs the spool no longer; it vanishes when the last reader closes. */
  async release(): Promise<void> {
    // a write under way may be about to make the file
    await this.flushed().catch(() => undefined);
    this.#released = true;
    await this.#unlink();
    this.#free();
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
        for await (const chunk of this.#chunksOf(at, limit, signal)) {
          at += chunk.length;
          yield chunk;
        }
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
        'the spool disk is full; make room or wait for fills under way to end',
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
    } catch (error) {
      await this.#moveToMemory(error);
    }
  }

  /** The disk refuses: what is in the file comes back, as readers may be in the middle of it. */
  async #moveToMemory(cause: unknown): Promise<void> {
    const file = this.#file;
    if (file !== undefined && this.#chunks.length === 0) {
      this.#borrow(this.written);
      const bytes = Buffer.allocUnsafe(this.written);
      for (let at = 0; at < bytes.length;) {
        const { bytesRead } = await file.read(bytes, at, bytes.length - at, at);
        if (bytesRead === 0)
          throw new LarderError('store_failed', `the spool broke: ${messageOf(cause)}`);
        at += bytesRead;
      }
      this.#chunks = [bytes];
    } else {
      this.#borrow(this.written);
    }
    // readers may be in the middle of it: closed with the last of them
    this.#abandoned = file;
    this.#file = undefined;
    await this.#unlink();
  }

  async #unlink(): Promise<void> {
    const name = this.#path;
    this.#path = undefined;
    if (name === undefined) return;
    await unlink(name).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }

  #free(): void {
    if (!this.#released || this.#readers > 0) return;
    overflow -= this.#borrowed;
    this.#borrowed = 0;
    this.#chunks = [];
    const files = [this.#file, this.#abandoned];
    this.#file = this.#abandoned = undefined;
    for (const file of files) void file?.close();
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
