// Bytes that need not be in memory: a list of segments, made when they are read.

import { createCipheriv, createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Largest chunk that reading a body yields, bytes. */
const CHUNK = 64 * 1024;

interface Segment {
  readonly size: number;
  /** Bytes [start, end) of this segment; asked for at most `CHUNK` at a time. */
  slice(start: number, end: number): Uint8Array;
}

function inMemory(bytes: Uint8Array): Segment {
  return { size: bytes.length, slice: (start, end) => bytes.subarray(start, end) };
}

const zeros = Buffer.alloc(CHUNK + 16);

/** An AES-CTR key stream: does not compress, and any part of it can be made without the parts before. */
function keyStream(size: number, seed: string): Segment {
  const key = createHash('sha256').update(seed).digest();
  return {
    size,
    slice(start, end) {
      const counter = Buffer.alloc(16);
      counter.writeBigUInt64BE(BigInt(Math.floor(start / 16)), 8);
      const skip = start % 16;
      const cipher = createCipheriv('aes-256-ctr', key, counter);
      return cipher.update(zeros.subarray(0, skip + end - start)).subarray(skip);
    },
  };
}

/** Immutable bytes of a known size. */
export class Body {
  readonly size: number;
  readonly #segments: readonly Segment[];
  #sha256: string | undefined;

  private constructor(segments: readonly Segment[]) {
    this.#segments = segments;
    this.size = segments.reduce((sum, segment) => sum + segment.size, 0);
  }

  /** Text (as UTF-8), bytes, or a body, which stays what it is. */
  static of(content: string | Uint8Array | Body): Body {
    if (content instanceof Body) return content;
    return new Body([inMemory(typeof content === 'string' ? Buffer.from(content) : content)]);
  }

  /** So many bytes that do not compress, always the same for one seed. */
  static noise(size: number, seed = ''): Body {
    return new Body([keyStream(size, seed)]);
  }

  static concat(parts: readonly (string | Uint8Array | Body)[]): Body {
    return new Body(parts.flatMap((part) => Body.of(part).#segments));
  }

  /** The bytes [start, end) in chunks of at most `step` bytes. */
  *read(start = 0, end = this.size, step = CHUNK): Generator<Uint8Array, void, undefined> {
    let offset = 0;
    for (const segment of this.#segments) {
      const last = Math.min(end - offset, segment.size);
      let at = Math.max(start - offset, 0);
      while (at < last) {
        const next = Math.min(at + Math.min(step, CHUNK), last);
        yield segment.slice(at, next);
        at = next;
      }
      offset += segment.size;
    }
  }

  /** SHA-256 of the bytes, hex. */
  get sha256(): string {
    if (this.#sha256 === undefined) {
      const hash = createHash('sha256');
      for (const chunk of this.read()) hash.update(chunk);
      this.#sha256 = hash.digest('hex');
    }
    return this.#sha256;
  }

  get crc32(): number {
    let crc = 0;
    for (const chunk of this.read()) crc = crc32(chunk, crc);
    return crc;
  }

  /** All bytes in memory: for small bodies. */
  bytes(): Buffer {
    return Buffer.concat([...this.read()]);
  }

  toString(): string {
    return this.bytes().toString();
  }

  /** The same bytes with one of them spoiled; a negative index counts from the end. */
  spoiled(index: number): Body {
    const bytes = this.bytes();
    const at = index < 0 ? bytes.length + index : index;
    const byte = bytes[at];
    if (byte === undefined)
      throw new RangeError(`A body of ${String(this.size)} bytes has no byte ${String(index)}.`);
    bytes[at] = byte ^ 0xff;
    return Body.of(bytes);
  }
}
