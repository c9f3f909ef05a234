import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import { LarderError } from './errors.ts';

/**
 * The chunks of a body without its first `size` bytes, which came before from elsewhere and must come again the same:
 * `hash` is what they amounted to then (SHA-256, not read yet). Throws LarderError `upstream_failed` where they differ.
 */
export async function* unseen(
  body: AsyncIterable<Uint8Array>,
  size: number,
  hash: Hash,
): AsyncGenerator<Uint8Array> {
  const expected = hash.copy().digest('hex');
  const again = createHash('sha256');
  let left = size;
  for await (const chunk of body) {
    if (left === 0) {
      yield chunk;
      continue;
    }
    again.update(chunk.subarray(0, left));
    const fresh = chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
    if (left > 0) continue;
    if (again.digest('hex') !== expected) throw differs();
    if (fresh.length > 0) yield fresh;
  }
  if (left > 0) throw differs();
}

const differs = () =>
  new LarderError('upstream_failed', 'the upstream sends other bytes than it sent before');
