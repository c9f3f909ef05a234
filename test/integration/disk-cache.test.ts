import { readdirSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { Store } from '../../src/engine/ports.ts';
import { diskCached } from '../../src/storage/disk-cache.ts';
import { FileStore } from '../../src/storage/file.ts';
import { storeContract } from '../contract/store.ts';
import { recordOf } from '../support/records.ts';
import { bytesOf, never } from '../support/engine.ts';
import { fullDisk } from '../support/full-disk.ts';
import { eventually, filesBelow, tempDir } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const contentOf = (letter: string, size = MIB) => Buffer.alloc(size, letter);
/** A store that counts what is opened, and how often bytes are read. */
function counting(store: Store) {
  const counts = { opened: 0, read: 0 };
  const counted: Store = {
    async open(key) {
      counts.opened++;
      const stored = await store.open(key);
      if (stored === undefined) return undefined;
      const { body } = stored;
      const read: typeof body.read = (...range) => {
        counts.read++;
        return body.read(...range);
      };
      const close = () => {
        body.close();
      };
      return { ...stored, url: () => Promise.resolve('http://x'), body: { ...body, read, close } };
    },
    record: (key) => store.record(key),
    stash: (key, source, record) => store.stash(key, source, record),
    readDocument: (key) => store.readDocument(key),
    writeDocument: (key, bytes) => store.writeDocument(key, bytes),
    spoil: (key) => store.spoil(key),
    isSpoiled: (key) => store.isSpoiled(key),
    delete: (key) => store.delete(key),
    list: (folder) => store.list(folder),
    check: () => store.check(),
  };
  return { counts, counted };
}

async function cached({ folder = tempDir(), maxBytes = 10 * MIB } = {}) {
  const files = new FileStore(tempDir(), (key, error) => {
    throw new Error(`${key} was not synced`, { cause: error });
  });
  await files.sweep();
  const { counts, counted } = counting(files);
  const errors: unknown[] = [];
  const store = diskCached(counted, { folder, maxBytes, failed: (error) => errors.push(error) });
  return { files, counts, store, errors, folder };
}

async function read(store: Store, key: string): Promise<Buffer | undefined> {
  const stored = await store.open(key);
  const bytes = stored && (await bytesOf(stored.body));
  stored?.body.close();
  return bytes;
}

/** Puts it behind the cache. */
async function stashed(store: Store, key: string, bytes: Buffer): Promise<void> {
  await store.stash(key, { bytes }, recordOf(bytes));
}

storeContract('with large content on the disk', async () => {
  const { files, store } = await cached();
  const failed = (error: unknown) => {
    throw error;
  };
  const reopened = () => diskCached(files, { folder: tempDir(), maxBytes: 10 * MIB, failed });
  return { store, reopen: () => Promise.resolve(reopened()) };
});

it('reads large content once, for readers of the whole and of ranges', async () => {
  const { store, files, counts, errors } = await cached();
  const bytes = contentOf('a');
  await stashed(files, 'a', bytes);
  for (let i = 0; i < 3; i++) expect((await read(store, 'a'))?.equals(bytes)).toBe(true);
  const stored = await store.open('a');
  expect(stored && (await bytesOf(stored.body, 5, 9)).toString()).toBe('aaaa');
  expect(stored?.url).toBeUndefined();
  stored?.body.close();
  expect(await store.record('a')).toEqual(recordOf(bytes));
  expect(counts).toEqual({ opened: 1, read: 1 });
  expect(errors).toEqual([]);
});

it('keeps nothing of small content, of ranges, and of readers who leave', async () => {
  const { store, files, counts, folder } = await cached();
  await stashed(files, 'small', contentOf('s', 1000));
  await stashed(files, 'large', contentOf('l'));
  await read(store, 'small');
  const stored = await store.open('large');
  expect(await stored?.url?.()).toBe('http://x');
  if (stored) {
    await bytesOf(stored.body, 0, 100_000);
    for await (const chunk of stored.body.read(0, undefined, never)) if (chunk.length > 0) break;
    const aborted = bytesOf(stored.body, 0, undefined, AbortSignal.abort(new Error('left')));
    await expect(aborted).rejects.toThrow('left');
  }
  stored?.body.close();
  await eventually('the folder is empty', () => readdirSync(folder).length === 0);
  await read(store, 'large');
  await read(store, 'large');
  expect(counts.opened).toBe(3);
});

it('lets readers that come meanwhile read the store', async () => {
  const { store, files, counts } = await cached();
  const bytes = contentOf('a');
  await stashed(files, 'a', bytes);
  const all = await Promise.all(Array.from({ length: 8 }, () => read(store, 'a')));
  for (const one of all) expect(one?.equals(bytes)).toBe(true);
  const { read: reads } = counts;
  expect(reads).toBeGreaterThan(0);
  await read(store, 'a');
  expect(counts.read).toBe(reads);
});

it('keeps a file that was stored', async () => {
  const { store, counts } = await cached();
  const bytes = contentOf('a');
  const spool = path.join(tempDir(), 'spool');
  await writeFile(spool, bytes);
  await store.stash('a', { path: spool }, recordOf(bytes));
  expect((await read(store, 'a'))?.equals(bytes)).toBe(true);
  expect(counts.opened).toBe(0);
});

it('drops the least recently used past its size, and takes nothing larger', async () => {
  const { store, files, counts, folder } = await cached({ maxBytes: 3 * MIB });
  for (const key of ['a', 'b', 'c', 'd']) await stashed(files, key, contentOf(key));
  await stashed(files, 'e', contentOf('e', 4 * MIB));
  for (const key of ['a', 'b', 'c', 'a', 'd', 'e']) await read(store, key);
  await eventually('one is gone', () => readdirSync(folder).length === 3);
  const { opened } = counts;
  for (const key of ['a', 'c', 'd']) await read(store, key);
  expect(counts.opened).toBe(opened);
  await read(store, 'b');
  await read(store, 'e');
  expect(counts.opened).toBe(opened + 2);
});

it.each(['deleted', 'purged elsewhere'])(
  'gives up what is %s, for those who have it open too',
  async (how) => {
    const { store, files, folder } = await cached();
    const remove = async () => {
      if (how === 'deleted') return store.delete('a');
      await files.delete('a');
      store.forgetAll((key) => key === 'a');
    };
    const bytes = contentOf('a');
    await stashed(files, 'a', bytes);
    await read(store, 'a');
    const onDisk = await store.open('a');
    await remove();
    expect(await store.open('a')).toBeUndefined();
    expect(await store.record('a')).toBeUndefined();
    expect(onDisk && (await bytesOf(onDisk.body)).equals(bytes)).toBe(true);
    onDisk?.body.close();

    await stashed(files, 'a', bytes);
    const early = await store.open('a');
    await remove();
    expect(early && (await bytesOf(early.body)).equals(bytes)).toBe(true);
    early?.body.close();
    expect(await store.open('a')).toBeUndefined();

    await stashed(files, 'a', bytes);
    const under = await store.open('a');
    let count = 0;
    for await (const chunk of under?.body.read(0, undefined, never) ?? []) {
      if (count === 0) await remove();
      count += chunk.length;
    }
    under?.body.close();
    expect(count).toBe(bytes.length);
    expect(await store.open('a')).toBeUndefined();
    await eventually('the folder is empty', () => readdirSync(folder).length === 0);
  },
);

it('keeps what is not purged', async () => {
  const { store, files, counts } = await cached();
  for (const key of ['a', 'b']) await stashed(files, key, contentOf(key));
  for (const key of ['a', 'b']) await read(store, key);
  store.forgetAll((key) => key === 'a');
  for (const key of ['a', 'b']) await read(store, key);
  expect(counts.opened).toBe(3);
});

it('keeps nothing that is not as its record says', async () => {
  const { store, files, counts, errors } = await cached();
  const bytes = contentOf('a');
  await files.stash('a', { bytes }, { ...recordOf(bytes), sha256: '0'.repeat(64) });
  await read(store, 'a');
  await read(store, 'a');
  expect(counts.read).toBe(2);
  expect(errors).toHaveLength(2);
});

it('spoils no read when the disk is full', async () => {
  const { dir, room } = fullDisk();
  const folder = room === 0 ? tempDir() : dir;
  const { store, files, errors } = await cached({ folder, maxBytes: 100 * MIB });
  const bytes = contentOf('a', 3 * MIB);
  await stashed(files, 'a', bytes);
  if (room === 0) await writeFile(path.join(folder, 'x'), '');
  expect((await read(store, 'a'))?.equals(bytes)).toBe(true);
  if (room > 0) {
    expect(errors).toMatchObject([{ code: 'ENOSPC' }]);
    await eventually('the folder is empty', () => readdirSync(folder).length === 0);
  }
  expect((await read(store, 'a'))?.equals(bytes)).toBe(true);
});

it('reads the store when its file is spoiled', async () => {
  const { store, files, counts, errors, folder } = await cached();
  const bytes = contentOf('a');
  await stashed(files, 'a', bytes);
  await read(store, 'a');
  for (const file of filesBelow(folder)) await truncate(file, 10);
  expect((await read(store, 'a'))?.equals(bytes)).toBe(true);
  expect(counts.opened).toBe(2);
  expect(errors).toHaveLength(1);
});

it('removes what an earlier process left, and nothing else', async () => {
  const folder = tempDir();
  await writeFile(path.join(folder, `${'0a'.repeat(32)}.7`), 'left');
  await writeFile(path.join(folder, 'notes.txt'), 'mine');
  await cached({ folder });
  expect(readdirSync(folder)).toEqual(['notes.txt']);
});
