// Large content of an object store: its first bytes are here already, the rest comes by one ranged request.

import type { Readable } from 'node:stream';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Body } from '../engine/ports.ts';

/** Asks for [start, end) and resolves when the answer begins. Throws LarderError `store_failed`. */
export type OpenRange = (start: number, end: number, signal: AbortSignal) => Promise<Readable>;

interface S3BodyParts {
  /** The bytes from 0 on that are here. */
  readonly first: Uint8Array;
  /** Bytes in all. */
  readonly size: number;
  readonly openRange: OpenRange;
  /** Milliseconds of silence after which a reader that waits gives up. */
  readonly stallMs: number;
}

/** Bodies that are not closed yet, by key. */
export class OpenBodies {
  readonly #bodies = new Map<string, Set<S3Body>>();

  open(key: string, parts: S3BodyParts): Body {
    const ofKey = this.#bodies.get(key) ?? new Set();
    this.#bodies.set(key, ofKey);
    const body = new S3Body(parts, () => {
      ofKey.delete(body);
      if (ofKey.size === 0 && this.#bodies.get(key) === ofKey) this.#bodies.delete(key);
    });
    ofKey.add(body);
    return body;
  }

  /** Resolves when a deletion of the object ends none of its readers, as far as the server lets that be. */
  async hold(key: string): Promise<void> {
    await Promise.all([...(this.#bodies.get(key) ?? [])].map((body) => body.hold()));
  }
}

class S3Body implements Body {
  readonly size: number;
  readonly #parts: S3BodyParts;
  readonly #onClose: () => void;
  #held: RangeRead | undefined;
  #reading = 0;

  constructor(parts: S3BodyParts, onClose: () => void) {
    this.size = parts.size;
    this.#parts = parts;
    this.#onClose = onClose;
  }

  async *read(
    start: number,
    end: number | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted();
    const { first, size } = this.#parts;
    const stop = end ?? size;
    // asked for before the first bytes are handed out, to come while these are on their way
    const rest = stop > first.length ? this.#rest(Math.max(start, first.length), stop) : undefined;
    const cancel = () => rest?.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    this.#reading++;
    try {
      if (start < first.length) yield first.subarray(start, stop);
      if (rest) yield* rest.chunks(Math.max(start, first.length), stop);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      this.#reading--;
      signal.removeEventListener('abort', cancel);
      cancel();
    }
  }

  /** Resolves when the rest is on its way, or cannot be had. */
  async hold(): Promise<void> {
    if (this.#reading > 0) return;
    this.#held ??= this.#ask(this.#parts.first.length, this.size);
    await this.#held.begun();
  }

  close(): void {
    this.#held?.cancel();
    this.#onClose();
  }

  #rest(start: number, end: number): RangeRead {
    const held = this.#held;
    this.#held = undefined;
    return held ?? this.#ask(start, end);
  }

  #ask(start: number, end: number): RangeRead {
    const { openRange, stallMs } = this.#parts;
    return new RangeRead(openRange, start, end, stallMs);
  }
}

/** One ranged request, sent at once. */
class RangeRead {
  readonly #start: number;
  readonly #stallMs: number;
  readonly #abort = new AbortController();
  readonly #stream: Promise<Readable>;

  constructor(openRange: OpenRange, start: number, end: number, stallMs: number) {
    this.#start = start;
    this.#stallMs = stallMs;
    this.#stream = openRange(start, end, this.#abort.signal);
    // whoever reads is told; nobody may read
    this.#stream.catch(() => undefined);
  }

  async begun(): Promise<void> {
    await Promise.allSettled([this.#stream]);
  }

  /** Those of [from, to), which lies within what was asked for. Throws LarderError `store_failed`. */
  async *chunks(from: number, to: number): AsyncGenerator<Uint8Array> {
    const stream = await this.#stream;
    const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    let at = this.#start;
    while (at < to) {
      const chunk = await this.#next(stream, chunks);
      const wanted = chunk.subarray(Math.max(from - at, 0), to - at);
      at += chunk.length;
      if (wanted.length > 0) yield wanted;
    }
    // its end too, so that the connection can be used again
    await chunks.next();
  }

  /** Frees the connection; one whose answer came to its end is kept. */
  cancel(): void {
    this.#abort.abort();
    this.#stream.then(
      (stream) => stream.destroy(),
      () => undefined,
    );
  }

  async #next(stream: Readable, chunks: AsyncIterator<Buffer>): Promise<Buffer> {
    const stalled = setTimeout(() => {
      stream.destroy(broken(`it made no progress for ${String(this.#stallMs)} ms`));
    }, this.#stallMs);
    try {
      const next = await chunks.next();
      if (next.done !== true) return next.value;
    } catch (error) {
      throw error instanceof LarderError ? error : broken(messageOf(error), error);
    } finally {
      clearTimeout(stalled);
    }
    throw broken('it ended early');
  }
}

function broken(why: string, cause?: unknown): LarderError {
  const sentence = `the store broke off while it was read: ${why}`;
  return new LarderError('store_failed', sentence, { cause, retryAfterMs: 5000 });
}
