import { createHash } from 'node:crypto';
import { LarderError } from '../../engine/errors.ts';
import { parseDigest } from '../digest.ts';
import type { Child } from './document.ts';

/**
 * The bytes of a blob, of which the last piece is handed on only when all of them are what its digest and size say. Throws
 * LarderError `checksum_mismatch`, and what reading throws.
 */
export async function* checkedBytes(
  { digest, size }: Pick<Child, 'digest' | 'size'>,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const wanted = parseDigest(digest);
  if (wanted === undefined) throw wrongBytes(digest);
  const hash = createHash(wanted.algorithm);
  let received = 0;
  let held: Buffer | undefined;
  for await (const piece of bytes) {
    if (held) yield held;
    received += piece.length;
    if (received > size) throw wrongBytes(digest);
    hash.update(piece);
    // one of a body lives only until the next
    held = Buffer.from(piece);
  }
  if (received !== size || hash.digest('hex') !== wanted.hex) throw wrongBytes(digest);
  if (held) yield held;
}

export const wrongBytes = (digest: string): LarderError =>
  new LarderError('checksum_mismatch', `the source sends other bytes than those of ${digest}`);
