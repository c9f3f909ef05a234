import { createHash } from 'node:crypto';
import { readFile, stat, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { FileStore } from '../../src/storage/file.ts';
import { hot } from '../../src/storage/hot.ts';
import { withTimeout } from '../../src/storage/timeout.ts';
import { storeContract } from '../contract/store.ts';
import { tempDir } from '../support/tmp.ts';

async function fileStore() {
  const root = tempDir();
  const opened = async () => {
    const store = new FileStore(root, (name, error) => {
      throw new Error(`${name} was not synced`, { cause: error });
    });
    await store.sweep();
    return store;
  };
  return { root, store: await opened(), reopen: opened };
}

storeContract('file', fileStore);
storeContract('file, small content in memory', async () => {
  const { store, reopen } = await fileStore();
  return { store: hot(store), reopen: async () => hot(await reopen()) };
});

storeContract('file, with deadlines', async () => {
  const { store, reopen } = await fileStore();
  const timely = (one: FileStore) => withTimeout(one, { call: 10_000, stash: 10_000 });
  return { store: timely(store), reopen: async () => timely(await reopen()) };
});

it('fails when a store makes no progress', async () => {
  const { store } = await fileStore();
  const hanging = Object.assign(store, { open: () => new Promise<never>(() => undefined) });
  await expect(withTimeout(hanging, { call: 20, stash: 20 }).open('x')).rejects.toMatchObject({
    code: 'store_failed',
  });
});

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

const key = 'go/example.com/m/@v/v1.0.0.mod';
const bytes = Buffer.from('module example.com/m\n');
const record = {
  size: bytes.length,
  sha256: sha256(bytes),
  time: '2026-01-02T03:04:05.000Z',
  source: 'http://upstream.test',
  extra: {},
};

it('does not know bytes with a broken record, and stores them anew', async () => {
  const { root, store } = await fileStore();
  await store.stash(key, { bytes }, record);
  await writeFile(path.join(root, `${key}.record`), '{"size":');
  expect(await store.open(key)).toBeUndefined();
  expect(await store.stash(key, { bytes }, record)).toBe('stored');
});

/** As on the disk, without its checksum. */
async function markOf(file: string): Promise<object> {
  const { sum, ...record } = JSON.parse(await readFile(file, 'utf8')) as { sum: string };
  expect(sum).toMatch(/^[0-9a-f]{16}$/);
  return record;
}

const largeBytes = Buffer.alloc(100_000, 'module');
const largeRecord = { ...record, size: largeBytes.length, sha256: sha256(largeBytes) };

it('marks large content until it is synced', async () => {
  const { root, store } = await fileStore();
  await store.stash(key, { bytes: largeBytes }, largeRecord);
  const mark = path.join(root, `${key}.record`);
  expect(await markOf(mark)).toEqual({ ...largeRecord, synced: false });
  await store.close();
  expect(await markOf(mark)).toEqual(largeRecord);
});

it('hashes large content that may not have been synced before it knows it', async () => {
  const { root, store, reopen } = await fileStore();
  await store.stash(key, { bytes: largeBytes }, largeRecord);
  const [file, mark] = [path.join(root, key), path.join(root, `${key}.record`)];
  const later = await reopen();
  expect(await later.record(key)).toEqual(largeRecord);
  expect(await markOf(mark)).toEqual(largeRecord);
  await writeFile(mark, JSON.stringify({ ...largeRecord, synced: false }));
  await writeFile(file, Buffer.alloc(largeBytes.length));
  expect(await later.open(key)).toBeUndefined();
  expect(await later.stash(key, { bytes: largeBytes }, largeRecord)).toBe('stored');
});

it.each([
  ['other bytes', (file: string) => writeFile(file, Buffer.alloc(bytes.length))],
  ['too few bytes', (file: string) => writeFile(file, 'short')],
  ['no bytes', (file: string) => unlink(file)],
])('does not know content that has become %s, and stores it anew', async (_, spoil) => {
  for (const [content, known] of [
    [bytes, record],
    [largeBytes, largeRecord],
  ] as const) {
    const { root, store } = await fileStore();
    await store.stash(key, { bytes: content }, known);
    await store.close();
    await spoil(path.join(root, key));
    expect(await store.open(key)).toBeUndefined();
    expect(await store.stash(key, { bytes: content }, known)).toBe('stored');
    const stored = await store.open(key);
    stored?.body.close();
    expect(stored?.record).toEqual(known);
  }
});

it.each([
  ['bytes of small content', bytes, record, ''],
  ['bytes of large content', largeBytes, largeRecord, ''],
  ['a record', bytes, record, '.record'],
])('never gives out content of which a bit in %s is flipped', async (what, content, known, end) => {
  const { root, store, reopen } = await fileStore();
  await store.stash(key, { bytes: content }, known);
  await store.close();
  const file = path.join(root, key + end);
  const before = await readFile(file);
  // of large content whoever reads it is given what is there: it is verification that hashes it
  const isLarge = what.includes('large');
  for (let bit = 0; bit < (isLarge ? 8 : before.length * 8); bit++) {
    const flipped = Buffer.from(before);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await writeFile(file, flipped);
    const later = await reopen();
    const stored = await later.open(key);
    stored?.body.close();
    expect([bit, stored !== undefined]).toEqual([bit, isLarge]);
    expect([bit, await later.isSpoiled(key)]).toEqual([bit, !isLarge]);
    if (isLarge) continue;
    expect(await later.stash(key, { bytes: content }, known)).toBe('stored');
    expect(await later.isSpoiled(key)).toBe(false);
    await later.close();
  }
});

it.each(['', undefined])('takes what a kill cut off for nothing: record %j', async (left) => {
  const { root, store, reopen } = await fileStore();
  await store.stash(key, { bytes }, record);
  if (left === undefined) await unlink(path.join(root, `${key}.record`));
  else await writeFile(path.join(root, `${key}.record`), left);
  const later = await reopen();
  expect(await later.open(key)).toBeUndefined();
  expect(await later.isSpoiled(key)).toBe(false);
});

it('does not bring back what is deleted before it is synced', async () => {
  const { root, store } = await fileStore();
  await store.stash(key, { bytes: largeBytes }, largeRecord);
  await store.delete(key);
  await store.close();
  await expect(stat(path.join(root, `${key}.record`))).rejects.toMatchObject({ code: 'ENOENT' });
});

it('sweeps what a killed process left', async () => {
  const { root, reopen } = await fileStore();
  const left = path.join(root, '.tmp', 'left');
  await writeFile(left, 'x');
  await reopen();
  await expect(stat(left)).rejects.toMatchObject({ code: 'ENOENT' });
});

it.each(['deleted', 'purged elsewhere'])(
  'does not take back into memory what is %s while it is being read',
  async (how) => {
    const { store } = await fileStore();
    await store.stash(key, { bytes }, record);
    const opened = Promise.withResolvers<undefined>();
    const slow = Promise.withResolvers<undefined>();
    const memory = hot({
      ...hot(store),
      open: async (name) => {
        const stored = await store.open(name);
        opened.resolve(undefined);
        await slow.promise;
        return stored;
      },
    });
    const reading = memory.open(key);
    await opened.promise;
    if (how === 'deleted') await memory.delete(key);
    else {
      await store.delete(key);
      memory.forgetAll((one) => one === key);
    }
    slow.resolve(undefined);
    expect((await reading)?.record).toEqual(record);
    expect(await memory.open(key)).toBeUndefined();
  },
);

it('has no more in memory what is purged elsewhere, and nothing else less', async () => {
  const { store } = await fileStore();
  const memory = hot(store);
  for (const one of ['a', 'b']) {
    await memory.stash(one, { bytes }, record);
    await memory.open(one);
    await store.delete(one);
  }
  memory.forgetAll((one) => one === 'a');
  expect(await memory.open('a')).toBeUndefined();
  expect(await memory.record('a')).toBeUndefined();
  expect((await memory.open('b'))?.record).toEqual(record);
});
