// Where the bytes of a fill grow until they are checked. One writer, any number of readers, each at its own pace.
// Small bodies stay in memory. Larger ones go to a file, and what came last is in memory too, for readers that keep up.
// When that disk is full, the spool moves back into memory, as far as a shared budget reaches, so that a full disk spoils
// no transfer.

import { LarderError } from './errors.ts';
import type { StashSource } from './ports.ts';
import { brokenSpool, SpoolFile } from './spool-file.ts';

/** Bytes that stay in memory. Also how many are held back until the check has passed: small bodies go out only whole. */
export const SMALL_BODY = 64 * 1024;
/** Bytes that stay in memory, of those that came last. */
const RECENT = 4 * SMALL_BODY;
/** Bytes in memory, all spools together, that a full spool disk may cost. */
const OVERFLOW_BUDGET = 64 * 1024 * 1024;
let overflow = 0;
/** Bytes that may wait for the disk before the upstream is made to wait. */
const MAX_PENDING = 1024 * 1024;

export class Spool {
  /** Bytes that have been appended. */
  size = 0;
  readonly #dir: string;
  /** What is in memory: all bytes from `#recentFrom` on. */
  #recent: Uint8Array[] = [];
  #recentFrom = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #flushing: Promise<void> | undefined;
  #file: SpoolFile | undefined;
  /** On a disk that has refused more. */
  #abandoned: SpoolFile | undefined;
  #diskRefuses = false;
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
    if (this.#diskRefuses) this.#borrow(chunk.length);
    this.#recent.push(chunk);
    this.size += chunk.length;
    this.#wake();
    if (this.#diskRefuses) return;
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#flushing === undefined && this.size > SMALL_BODY) {
      this.#flushing = this.#flush();
      // told by a later append, or by flushed
      this.#flushing.catch(() => undefined);
    }
    if (this.#pendingBytes > MAX_PENDING) await this.#flushing;
  }

  /** Resolves when the disk has all that was appended, where it goes there. Throws as `append` does. */
  async flushed(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  async #flush(): Promise<void> {
    while (this.#pending.length > 0) {
      const chunks = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      try {
        this.#file ??= await SpoolFile.create(this.#dir);
        await this.#file.append(chunks);
        this.#forgetOld(this.#file.written);
      } catch {
        await this.#moveToMemory();
      }
    }
    this.#flushing = undefined;
  }

  #forgetOld(written: number): void {
    for (let [oldest] = this.#recent; oldest; [oldest] = this.#recent) {
      const next = this.#recentFrom + oldest.length;
      if (next > written || this.size - next < RECENT) return;
      this.#recent.shift();
      this.#recentFrom = next;
    }
  }

  /** The disk refuses: what is there alone comes back. Readers may be in the middle of it: closed with the last of them. */
  async #moveToMemory(): Promise<void> {
    this.#borrow(this.size);
    this.#abandoned = this.#file;
    if (this.#file !== undefined && this.#recentFrom > 0) {
      this.#recent.unshift(await this.#file.readBack(this.#recentFrom));
      this.#recentFrom = 0;
    }
    this.#file = undefined;
    this.#diskRefuses = true;
    // what came meanwhile
    this.#borrow(this.size - this.#borrowed);
    this.#pending = [];
    this.#pendingBytes = 0;
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

  /** What the store takes over, once it is flushed: valid until `release`. */
  source(): StashSource {
    return this.#file ? { path: this.#file.path } : { bytes: this.#joined() };
  }

  /** All bytes, once they are checked, where they are in memory alone. */
  get bytes(): Uint8Array | undefined {
    const ready = this.#state === 'complete' && this.#file === undefined;
    return ready ? this.#joined() : undefined;
  }

  #joined(): Uint8Array {
    if (this.#recent.length !== 1) this.#recent = [Buffer.concat(this.#recent)];
    return this.#recent[0] ?? new Uint8Array();
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
    return this.#state === 'complete' ? this.size : Math.max(0, this.size - SMALL_BODY);
  }

  /** Resolves when readers can begin: the first bytes are visible, or all is checked. Throws when the fill fails first. */
  async readable(signal: AbortSignal): Promise<void> {
    while (this.visible === 0 && this.#state === 'growing') await this.#grown(signal);
    if (this.#state === 'failed') throw this.#error;
  }

  /** Who reads or waits to. */
  get readers(): number {
    return this.#holders - 1;
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
    await Promise.all([this.#file?.unlink(), this.#abandoned?.unlink()]);
  }

  async *read(
    start: number,
    end: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    for (let at = start; ;) {
      if (this.#state === 'failed') throw this.#error;
      const limit = Math.min(end ?? Infinity, this.visible);
      if (at < limit && at >= this.#recentFrom) {
        const chunk = this.#recentAt(at, limit);
        at += chunk.length;
        yield chunk;
      } else if (at < limit) {
        const from = at;
        for await (const chunk of this.#old(at, Math.min(limit, this.#recentFrom), signal)) {
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

  #old(start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
    if (this.#file) return this.#file.read(start, end, signal);
    throw brokenSpool();
  }

  #recentAt(at: number, limit: number): Uint8Array {
    let offset = this.#recentFrom;
    for (const chunk of this.#recent) {
      if (at < offset + chunk.length) return chunk.subarray(at - offset, limit - offset);
      offset += chunk.length;
    }
    throw brokenSpool();
  }

  #free(): void {
    overflow -= this.#borrowed;
    this.#borrowed = 0;
    this.#recent = [];
    this.#pending = [];
    for (const file of [this.#file, this.#abandoned]) file?.close();
    this.#file = this.#abandoned = undefined;
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
