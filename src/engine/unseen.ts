import { createHash, type Hash } from 'node:crypto';

/**
 * The chunks of a body without its first `size` bytes, which came before from elsewhere and must come again the same: `hash`
 * is what they amounted to then (SHA-256, not read yet); without one, nothing but their number is held against them.
 * `differs` throws where that is not so.
 */
export async function* unseen(
  body: AsyncIterable<Uint8Array>,
  { size, hash }: { readonly size: number; readonly hash: Hash | undefined },
  differs: () => never,
): AsyncGenerator<Uint8Array> {
  const expected = hash?.copy().digest('hex');
  const again = createHash('sha256');
  let left = size;
  for await (const chunk of body) {
    if (left === 0) {
      yield chunk;
      continue;
    }
    if (expected !== undefined) again.update(chunk.subarray(0, left));
    const fresh = chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
    if (left > 0) continue;
    if (expected !== undefined && again.digest('hex') !== expected) differs();
    if (fresh.length > 0) yield fresh;
  }
  if (left > 0) differs();
}
