import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { createHash, hash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { LarderError } from '../engine/errors.ts';
import { readFile as readChunks } from '../engine/file-body.ts';
import { memoryBody } from '../engine/memory-body.ts';
import type { Body, ContentRecord } from '../engine/ports.ts';

/** Content up to this many bytes is read whole, and hashed whenever it is. */
export const SMALL = 64 * 1024;

/** What is stored there as the record says. Undefined where it is not. Throws what the system says. */
export async function bodyOf(file: string, record: ContentRecord): Promise<Body | undefined> {
  const { size, sha256 } = record;
  if (size <= SMALL) {
    const bytes = await readFile(file);
    return hash('sha256', bytes) === sha256 ? memoryBody(bytes) : undefined;
  }
  const handle = await open(file);
  if ((await handle.stat()).size !== size) {
    await handle.close();
    return undefined;
  }
  return {
    size,
    async *read(start, end, signal) {
      const stop = end ?? size;
      let at = start;
      for await (const chunk of readChunks(handle, start, stop, signal)) {
        at += chunk.length;
        yield chunk;
      }
      if (at < stop)
        throw new LarderError('store_failed', 'a stored file became shorter while it was read');
    },
    // nothing depends on it: it was read alone
    close: () => void handle.close().catch(() => undefined),
  };
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
