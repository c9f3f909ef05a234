import type { FileHandle } from 'node:fs/promises';
import { borrow, giveBack } from './buffers.ts';

/**
 * Chunks of [start, end) of an open file, each valid until the next is asked for.
 * Ends early, without an error, where the file does: callers compare lengths.
 */
export async function* readFile(
  file: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end;) {
    signal.throwIfAborted();
    const buffer = borrow(end - at);
    try {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    } finally {
      giveBack(buffer);
    }
  }
}
