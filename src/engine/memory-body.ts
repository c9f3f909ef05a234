import type { Body } from './ports.ts';

/** A body over bytes that are in memory. Closing it frees nothing, so one may serve any number of readers. */
export function memoryBody(bytes: Uint8Array): Body {
  return {
    size: bytes.length,
    bytes,
    async *read(start, end, signal) {
      await Promise.resolve();
      signal.throwIfAborted();
      yield bytes.subarray(start, end);
    },
    close: () => undefined,
  };
}

/** A body of which only the size is wanted, for `HEAD`. `size`: bytes, where they are known. */
export const headBody = (size: number | undefined): Body => ({
  size,
  read: () => nothing(),
  close: () => undefined,
});

async function* nothing(): AsyncGenerator<Uint8Array> {
  // a HEAD has no bytes
}
