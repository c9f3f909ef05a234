// Files on their way up: as one stream, or above what one may bring in parts.

import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256OfRange, streamFile, type FileRange } from './file-range.ts';
import { isAbsent, isTransient, isUnsupported } from './s3-failure.ts';
import type { Condition, ObjectFields, S3Bucket, Upload } from './s3.ts';

const PART = 64 * 1024 ** 2;
const MOST_PARTS = 10_000;
/** Milliseconds. A server may join parts for minutes, and nobody waits for it. */
const JOINING_MS = 5 * 60_000;
const RETRY_MS = 200;
const DAY_MS = 24 * 3600_000;

/** Streams a part of a file up, a second time where that may help: nobody can rewind a stream. */
export async function sendFile<T>(
  range: FileRange,
  stallMs: number,
  send: (body: Readable, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  try {
    return await streamFile(range, stallMs, send);
  } catch (error) {
    if (!isTransient(error)) throw error;
  }
  await sleep(RETRY_MS);
  return streamFile(range, stallMs, send);
}

/** One part after another; `create` decides on the condition and makes an object of them. A failure leaves none behind. */
export async function sendInParts(
  bucket: S3Bucket,
  key: string,
  file: { readonly path: string; readonly size: number; readonly partAtMost: number },
  fields: ObjectFields,
  callTimeoutMs: number,
  create: (join: (condition: Condition) => Promise<void>) => Promise<'stored' | 'present'>,
): Promise<'stored' | 'present'> {
  const { path, size, partAtMost } = file;
  const partSize = Math.max(Math.min(partAtMost, PART), Math.ceil(size / MOST_PARTS));
  const upload = await bucket.beginUpload(key, fields, AbortSignal.timeout(callTimeoutMs));
  const giveUp = () => abortUpload(bucket, upload, callTimeoutMs);
  try {
    const etags: string[] = [];
    for (let start = 0; start < size; start += partSize) {
      const range = { path, start, end: Math.min(start + partSize, size) };
      const length = range.end - start;
      const part = { number: etags.length + 1, length, sha256: await sha256OfRange(range) };
      etags.push(
        await sendFile(range, callTimeoutMs, (body, signal) =>
          bucket.putPart(upload, part, body, signal),
        ),
      );
    }
    const done = await create((condition) =>
      bucket.joinParts(upload, etags, condition, AbortSignal.timeout(JOINING_MS)),
    );
    if (done === 'present') await giveUp();
    return done;
  } catch (error) {
    // where that fails too, the sweep of a later start does it
    await giveUp().catch(() => undefined);
    throw error;
  }
}

/** Those that were begun more than a day before `now`. A server that has no list of them has nothing to sweep. */
export async function abortOldUploads(
  bucket: S3Bucket,
  callTimeoutMs: number,
  now: number,
): Promise<void> {
  let page: Awaited<ReturnType<typeof bucket.listUploads>> | undefined;
  do {
    try {
      page = await bucket.listUploads(page?.next, AbortSignal.timeout(callTimeoutMs));
    } catch (error) {
      if (isUnsupported(error)) return;
      throw error;
    }
    for (const { upload, begunMs } of page.uploads) {
      if (begunMs < now - DAY_MS) await abortUpload(bucket, upload, callTimeoutMs);
    }
  } while (page.next !== undefined);
}

async function abortUpload(bucket: S3Bucket, upload: Upload, timeoutMs: number): Promise<void> {
  try {
    await bucket.abortUpload(upload, AbortSignal.timeout(timeoutMs));
  } catch (error) {
    // joined or given up meanwhile
    if (!isAbsent(error)) throw error;
  }
}
