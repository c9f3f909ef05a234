// A part of a file on its way up.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { LarderError, messageOf } from '../engine/errors.ts';

export interface FileRange {
  readonly path: string;
  readonly start: number;
  /** Exclusive; behind `start`. */
  readonly end: number;
}

const streamOf = ({ path, start, end }: FileRange) =>
  createReadStream(path, { start, end: end - 1 });

const unreadable = (cause: unknown) =>
  new LarderError('store_failed', `a finished file cannot be read: ${messageOf(cause)}`, { cause });

/** Hex. Throws LarderError `store_failed` when the file cannot be read. */
export async function sha256OfRange(range: FileRange): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(streamOf(range), hash).catch((error: unknown) => {
    throw unreadable(error);
  });
  return hash.digest('hex');
}

/**
 * What `send` makes of the range as a stream. Its signal aborts when nothing was read of the file for `stallMs`
 * milliseconds, twice that at most, the wait for the answer behind the last byte included. Throws LarderError
 * `store_failed` when the file cannot be read.
 */
export async function streamFile<T>(
  range: FileRange,
  stallMs: number,
  send: (body: Readable, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const body = streamOf(range);
  const abort = new AbortController();
  let failure: LarderError | undefined;
  body.once('error', (error) => {
    failure = unreadable(error);
    abort.abort();
  });
  let seen = -1;
  const watch = setInterval(() => {
    if (body.bytesRead === seen) abort.abort();
    seen = body.bytesRead;
  }, stallMs);
  try {
    return await send(body, abort.signal);
  } catch (error) {
    throw failure ?? error;
  } finally {
    clearInterval(watch);
    body.destroy();
  }
}
