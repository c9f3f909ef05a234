import type { Digest } from './digest.ts';

type Hex = Pick<Digest, 'hex'>;

const BYTES = 8 * 1024 * 1024;
const LOOKS = 4;
/** Hex digits of a digest that one bit is chosen by. */
const DIGITS = 8;

/**
 * Digests, in memory that does not grow with their number (a Bloom filter): of a million others, it takes ten for one of
 * them.
 */
export class DigestFilter {
  readonly #bits = new Uint8Array(BYTES);

  add(digest: Hex): void {
    for (const bit of bitsOf(digest)) this.#bits[bit >>> 3] = this.#byte(bit) | (1 << (bit & 7));
  }

  /** False only for what was not added. */
  has(digest: Hex): boolean {
    return bitsOf(digest).every((bit) => (this.#byte(bit) & (1 << (bit & 7))) !== 0);
  }

  #byte(bit: number): number {
    return this.#bits[bit >>> 3] ?? 0;
  }
}

/** A digest is as good as random already. */
const bitsOf = ({ hex }: Hex): number[] =>
  Array.from(
    { length: LOOKS },
    (_, at) => parseInt(hex.slice(at * DIGITS, (at + 1) * DIGITS), 16) % (BYTES * 8),
  );
