import { truncateSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { StashSource } from '../../../src/engine/ports.ts';
import { SMALL_BODY, Spool } from '../../../src/engine/spool.ts';
import { Body } from '../../support/body.ts';
import { failure, never, openFilesBelow } from '../../support/engine.ts';
import { fullDisk } from '../../support/full-disk.ts';
import { eventually, filesBelow, tempDir } from '../../support/tmp.ts';

const MIB = 1024 * 1024;
const noise = (size: number) => Body.noise(size).bytes();

async function bytesOf(spool: Spool, start = 0, end?: number, signal = never): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of spool.read(start, end, signal)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function append(spool: Spool, bytes: Uint8Array, step = 50_000): Promise<void> {
  for (let at = 0; at < bytes.length; at += step) await spool.append(bytes.subarray(at, at + step));
  await spool.flushed();
}

/** All that is on the disk and in this process is gone. */
const expectNothingLeft = (dir: string) =>
  eventually('the spool holds no file', () => {
    expect(filesBelow(dir)).toEqual([]);
    expect(openFilesBelow(dir)).toEqual([]);
    return true;
  });

async function end(spool: Spool): Promise<void> {
  await spool.release();
  spool.close();
}

describe('what readers see', () => {
  test.each([0, 1, SMALL_BODY, SMALL_BODY + 1, 3 * SMALL_BODY])(
    'of %i bytes nothing of the last 64 KiB before the check has passed',
    async (size) => {
      const spool = new Spool(tempDir());
      const bytes = noise(size);
      const early = Math.max(0, size - SMALL_BODY);
      await append(spool, bytes);
      expect([spool.size, spool.visible]).toEqual([size, early]);
      expect((await bytesOf(spool, 0, early)).equals(bytes.subarray(0, early))).toBe(true);
      let over = false;
      const all = bytesOf(spool).finally(() => {
        over = true;
      });
      const readable = spool.readable(never);
      await new Promise(setImmediate);
      expect(over).toBe(false);
      spool.complete();
      await readable;
      expect(spool.visible).toBe(size);
      expect((await all).equals(bytes)).toBe(true);
      await end(spool);
    },
  );

  test('any chunks give the same bytes to any reader of any part', async () => {
    const bytes = noise(5 * SMALL_BODY);
    const place = fc.nat({ max: bytes.length });
    const dir = tempDir();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 3 * SMALL_BODY }), { maxLength: 8 }),
        fc.array(fc.tuple(place, fc.option(place, { nil: undefined })), { maxLength: 5 }),
        async (sizes, parts) => {
          const spool = new Spool(dir);
          const readers = parts.map(([start, stop]) => bytesOf(spool, start, stop));
          let at = 0;
          for (const size of sizes) {
            await spool.append(bytes.subarray(at, at + size));
            at = Math.min(at + size, bytes.length);
          }
          await spool.flushed();
          const sent = bytes.subarray(0, at);
          expect(spool.visible).toBe(Math.max(0, at - SMALL_BODY));
          spool.complete();
          for (const [i, [start, stop]] of parts.entries()) {
            const got = await readers[i];
            expect(got?.equals(sent.subarray(start, Math.max(start, stop ?? at)))).toBe(true);
          }
          const source: StashSource = spool.source();
          const kept = 'path' in source ? await readFile(source.path) : source.bytes;
          expect(Buffer.compare(kept, sent)).toBe(0);
          expect('path' in source).toBe(at > SMALL_BODY);
          await end(spool);
        },
      ),
      { numRuns: 60 },
    );
    await expectNothingLeft(dir);
  });

  test('an empty chunk is nothing', async () => {
    const spool = new Spool(tempDir());
    await spool.append(new Uint8Array());
    await spool.flushed();
    await spool.append(Buffer.from('x'));
    await spool.flushed();
    expect(spool.size).toBe(1);
    await end(spool);
  });

  test('a failure breaks who reads, who waits and who comes later with its very error', async () => {
    const dir = tempDir();
    const spool = new Spool(dir);
    const error = failure('checksum_mismatch');
    const waiting = Promise.allSettled([spool.readable(never), bytesOf(spool)]);
    await append(spool, noise(SMALL_BODY));
    spool.fail(error);
    const later = Promise.allSettled([spool.readable(never), bytesOf(spool), bytesOf(spool, 5, 9)]);
    for (const one of [...(await waiting), ...(await later)]) {
      expect(one).toEqual({ status: 'rejected', reason: error });
    }
    await end(spool);
  });

  test('a failure breaks a reader that has begun', async () => {
    const dir = tempDir();
    const spool = new Spool(dir);
    await append(spool, noise(2 * SMALL_BODY), SMALL_BODY);
    const chunks = spool.read(0, undefined, never);
    expect((await chunks.next()).value).toHaveLength(SMALL_BODY);
    const error = failure('upstream_failed');
    const next = Promise.allSettled([chunks.next()]);
    spool.fail(error);
    expect(await next).toEqual([{ status: 'rejected', reason: error }]);
    await end(spool);
    await expectNothingLeft(dir);
  });

  test('a reader that is aborted stops with the reason, and disturbs no other', async () => {
    const spool = new Spool(tempDir());
    const client = new AbortController();
    const [gone, stays] = [bytesOf(spool, 0, undefined, client.signal), bytesOf(spool)];
    const left = new Error('the client left');
    client.abort(left);
    await expect(gone).rejects.toBe(left);
    await expect(spool.readable(client.signal)).rejects.toBe(left);
    await append(spool, Buffer.from('all of it'));
    spool.complete();
    expect((await stays).toString()).toBe('all of it');
    await end(spool);
  });

  test('a file that somebody shortened is an error, not a wait', async () => {
    const dir = tempDir();
    const spool = new Spool(dir);
    await append(spool, noise(8 * SMALL_BODY));
    spool.complete();
    truncateSync(filesBelow(dir)[0] ?? '', 1000);
    await expect(bytesOf(spool)).rejects.toMatchObject({ code: 'store_failed' });
    await end(spool);
  });
});

describe('what it holds', () => {
  test('a file only for what outgrows memory, until the last reader has closed', async () => {
    const dir = tempDir();
    const spool = new Spool(dir);
    const bytes = noise(4 * SMALL_BODY);
    await append(spool, bytes.subarray(0, SMALL_BODY));
    expect(filesBelow(dir)).toEqual([]);
    await append(spool, bytes.subarray(SMALL_BODY));
    expect(filesBelow(dir)).toHaveLength(1);
    spool.join();
    spool.join();
    spool.complete();
    await end(spool);
    expect(filesBelow(dir)).toEqual([]);
    spool.close();
    expect(openFilesBelow(dir)).toHaveLength(1);
    expect((await bytesOf(spool)).equals(bytes)).toBe(true);
    spool.close();
    await expectNothingLeft(dir);
  });

  test.each([SMALL_BODY, 8 * SMALL_BODY, 3 * MIB])(
    'nothing when it fails while %i bytes are being written',
    async (size) => {
      const dir = tempDir();
      const spool = new Spool(dir);
      const written = spool.append(noise(size));
      spool.fail(failure('upstream_failed'));
      await end(spool);
      await written;
      await expectNothingLeft(dir);
    },
  );

  test('nothing after every reader has left in the middle', async () => {
    const dir = tempDir();
    const spool = new Spool(dir);
    await append(spool, noise(MIB));
    const readers = [0, 1, 2].map(async () => {
      spool.join();
      for await (const chunk of spool.read(0, undefined, never)) {
        if (chunk.length > 0) break;
      }
      spool.close();
    });
    await Promise.all(readers);
    await append(spool, noise(MIB));
    spool.complete();
    await end(spool);
    await expectNothingLeft(dir);
  });
});

describe('a disk that takes no more', () => {
  test('spoils no transfer: the spool moves to memory under its readers', async () => {
    const { dir, room } = fullDisk();
    const spool = new Spool(dir);
    const bytes = noise(room + 3 * MIB);
    await append(spool, bytes.subarray(0, room >> 1));
    const early = Math.max(0, (room >> 1) - SMALL_BODY);
    const chunks = spool.read(0, undefined, never);
    const begun = early > 0 ? await chunks.next() : undefined;
    const rest = begun?.done === false ? [Buffer.from(begun.value)] : [];
    await append(spool, bytes.subarray(room >> 1));
    spool.complete();
    expect((await bytesOf(spool)).equals(bytes)).toBe(true);
    for await (const chunk of chunks) rest.push(Buffer.from(chunk));
    expect(Buffer.concat(rest).equals(bytes)).toBe(true);
    const source = spool.source();
    expect('bytes' in source && Buffer.compare(source.bytes, bytes)).toBe(0);
    expect(openFilesBelow(dir)).toHaveLength(room === 0 ? 0 : 1);
    await end(spool);
    await expectNothingLeft(dir);
  });

  test('costs at most 64 MiB of memory, which come back', async () => {
    const { dir } = fullDisk();
    const chunk = Buffer.alloc(8 * MIB);
    const fill = async (count: number) => {
      const spool = new Spool(dir);
      for (let i = 0; i < count; i++) await append(spool, chunk, chunk.length);
      return spool;
    };
    const [large, other] = [await fill(5), await fill(2)];
    const late = new Spool(dir);
    await late.append(chunk);
    await late.flushed();
    const refused = { code: 'store_failed' };
    await expect(late.append(chunk.subarray(0, 1))).rejects.toMatchObject(refused);
    late.fail(failure('store_failed'));
    await end(late);
    // its eight are back; a reader keeps the forty of the large one
    const again = await fill(1);
    large.join();
    large.complete();
    await end(large);
    const tooMuch = new Spool(dir);
    await tooMuch.append(Buffer.concat([chunk, chunk]));
    await expect(tooMuch.flushed()).rejects.toMatchObject(refused);
    await expect(tooMuch.append(Buffer.alloc(2 * MIB))).rejects.toMatchObject(refused);
    await end(tooMuch);
    large.close();
    for (const spool of [other, again]) await end(spool);
    await end(await fill(8));
    await expectNothingLeft(dir);
  });

  test('small bodies need neither', async () => {
    const { dir } = fullDisk();
    const spool = new Spool(dir);
    await append(spool, noise(SMALL_BODY));
    spool.complete();
    expect((await bytesOf(spool)).length).toBe(SMALL_BODY);
    await end(spool);
  });
});
