import { createHash } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
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
    const store = new FileStore(root);
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

const key = 'go/example.com/m/@v/v1.0.0.mod';
const bytes = Buffer.from('module example.com/m\n');
const record = {
  size: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  time: '2026-01-02T03:04:05.000Z',
  source: 'http://upstream.test',
  extra: {},
};

it('does not know bytes without a record, with a broken one, or of another size', async () => {
  const { root, store } = await fileStore();
  await store.stash(key, { bytes }, record);
  await writeFile(path.join(root, key), 'short');
  expect(await store.open(key)).toBeUndefined();
  await writeFile(path.join(root, key), bytes);
  await writeFile(path.join(root, `${key}.record`), '{"size":');
  expect(await store.open(key)).toBeUndefined();
  expect(await store.stash(key, { bytes }, record)).toBe('stored');
});

it('hashes what a power cut may have spoiled before it knows it', async () => {
  const { root, store } = await fileStore();
  await store.stash(key, { bytes }, record);
  const mark = path.join(root, `${key}.record`);
  await writeFile(mark, JSON.stringify({ ...record, synced: false }));
  expect(await store.record(key)).toEqual(record);
  expect(JSON.parse(await readFile(mark, 'utf8'))).toEqual(record);
  await writeFile(mark, JSON.stringify({ ...record, synced: false }));
  await writeFile(path.join(root, key), Buffer.alloc(bytes.length));
  expect(await store.record(key)).toBeUndefined();
});

it('sweeps what a killed process left', async () => {
  const { root, reopen } = await fileStore();
  const left = path.join(root, '.tmp', 'left');
  await writeFile(left, 'x');
  await reopen();
  await expect(stat(left)).rejects.toMatchObject({ code: 'ENOENT' });
});

it('does not take back into memory what is deleted while it is being read', async () => {
  const { store } = await fileStore();
  await store.stash(key, { bytes }, record);
  const slow = Promise.withResolvers<undefined>();
  const memory = hot({
    ...hot(store),
    open: async (name) => {
      const stored = await store.open(name);
      await slow.promise;
      return stored;
    },
  });
  const reading = memory.open(key);
  await memory.delete(key);
  slow.resolve(undefined);
  expect((await reading)?.record).toEqual(record);
  expect(await memory.open(key)).toBeUndefined();
});
