// What every store promises, run against each of them.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { StashSource, Store } from '../../src/engine/ports.ts';
import { recordOf } from '../support/records.ts';
import { tempDir } from '../support/tmp.ts';

async function read(
  store: Store,
  key: string,
  start = 0,
  end?: number,
): Promise<Buffer | undefined> {
  const stored = await store.open(key);
  if (stored === undefined) return undefined;
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of stored.body.read(start, end, AbortSignal.timeout(10_000))) {
      chunks.push(Buffer.from(chunk));
    }
    return Buffer.concat(chunks);
  } finally {
    stored.body.close();
  }
}

/** `open` gives a new, empty store; `reopen` the same one as another process would see it. */
export function storeContract(
  name: string,
  make: () => Promise<{ store: Store; reopen: () => Promise<Store> }>,
): void {
  describe(`store: ${name}`, () => {
    const small = Buffer.from('small content');
    const large = Buffer.alloc(3 * 1024 * 1024 + 7, 'abcdefg');
    const key = 'go/example.com/m/@v/v1.0.0.zip';

    it.each([
      ['small', small],
      ['empty', Buffer.alloc(0)],
      ['large', large],
    ])('gives %s content back, whole and in parts, with its record', async (_, bytes) => {
      const { store, reopen } = await make();
      const record = recordOf(bytes, { h1: 'h1:x' });
      expect(await store.stash(key, { bytes }, record)).toBe('stored');
      for (const one of [store, await reopen()]) {
        expect((await read(one, key))?.equals(bytes)).toBe(true);
        expect((await read(one, key, 2, 5))?.equals(bytes.subarray(2, 5))).toBe(true);
        expect(await one.record(key)).toEqual(record);
      }
    });

    it('takes a file over without changing it', async () => {
      const { store } = await make();
      const spool = path.join(tempDir(), 'spool');
      await writeFile(spool, large);
      const source: StashSource = { path: spool };
      await store.stash(key, source, recordOf(large));
      expect((await read(store, key))?.equals(large)).toBe(true);
    });

    it('keeps what is there first', async () => {
      const { store } = await make();
      await store.stash(key, { bytes: small }, recordOf(small));
      expect(await store.stash(key, { bytes: large }, recordOf(large))).toBe('present');
      expect((await read(store, key))?.equals(small)).toBe(true);
    });

    it('knows nothing of what was never stored, or is deleted', async () => {
      const { store, reopen } = await make();
      expect(await store.open(key)).toBeUndefined();
      expect(await store.record(key)).toBeUndefined();
      expect(await store.readDocument('answers/x')).toBeUndefined();
      await store.delete(key);
      await store.stash(key, { bytes: small }, recordOf(small));
      await read(store, key);
      await store.delete(key);
      for (const one of [store, await reopen()]) expect(await one.open(key)).toBeUndefined();
    });

    it('replaces documents as a whole', async () => {
      const { store } = await make();
      await store.writeDocument('answers/x', large);
      await store.writeDocument('answers/x', small);
      expect(Buffer.from((await store.readDocument('answers/x')) ?? []).equals(small)).toBe(true);
    });

    it('lists names below a folder, in order, without records', async () => {
      const { store } = await make();
      for (const one of ['b.zip', 'a.zip', 'c/d.zip']) {
        await store.stash(`go/m/@v/${one}`, { bytes: small }, recordOf(small));
      }
      expect(await store.list('go/m/@v')).toEqual(['a.zip', 'b.zip', 'c/']);
      expect(await store.list('go/nothing')).toEqual([]);
    });

    it('keeps documents that are called like records apart from what they are called after', async () => {
      const { store, reopen } = await make();
      const names = ['v1', 'v1.record', 'v1.record.record', 'v1.record~'];
      for (const name of names) await store.writeDocument(`tags/${name}`, Buffer.from(name));
      for (const one of [store, await reopen()]) {
        expect(await one.list('tags')).toEqual(names);
        for (const name of names) {
          const document = await one.readDocument(`tags/${name}`);
          expect(Buffer.from(document ?? []).toString()).toBe(name);
        }
      }
    });

    it.each(['v1', 'v1.record', 'v1.record.record', 'v1.record~'])(
      'deletes %s and nothing else',
      async (name) => {
        const { store } = await make();
        const names = ['v1', 'v1.record', 'v1.record.record', 'v1.record~', 'v10'];
        for (const one of names) await store.writeDocument(`tags/${one}`, Buffer.from(one));
        await store.delete(`tags/${name}`);
        expect(await store.list('tags')).toEqual(names.filter((one) => one !== name));
      },
    );

    it('keeps content, what is called like its record, and a folder of that name', async () => {
      const { store } = await make();
      await store.stash('m/x', { bytes: small }, recordOf(small));
      await store.stash('m/x.record', { bytes: large }, recordOf(large));
      await store.writeDocument('m/y.record/z', small);
      expect(await store.list('m')).toEqual(['x', 'x.record', 'y.record/']);
      expect(await store.list('m/y.record')).toEqual(['z']);
      await store.delete('m/x');
      expect(await store.open('m/x')).toBeUndefined();
      expect((await read(store, 'm/x.record'))?.equals(large)).toBe(true);
      await store.writeDocument('m/x', small);
      await store.delete('m/x.record');
      expect(await store.list('m')).toEqual(['x', 'y.record/']);
    });

    it('finishes for a reader what is deleted under it', async () => {
      const { store } = await make();
      await store.stash(key, { bytes: large }, recordOf(large));
      const stored = await store.open(key);
      await store.delete(key);
      let bytes = 0;
      for await (const chunk of stored?.body.read(0, undefined, AbortSignal.timeout(10_000)) ??
        []) {
        bytes += chunk.length;
      }
      stored?.body.close();
      expect(bytes).toBe(large.length);
    });

    it.each([
      ['small', small],
      ['large', large],
    ])(
      'has %s content no more that is spoiled, tells of it, and stores it anew',
      async (_, bytes) => {
        const { store, reopen } = await make();
        expect(await store.isSpoiled(key)).toBe(false);
        await store.stash(key, { bytes }, recordOf(bytes));
        (await store.open(key))?.body.close();
        expect(await store.isSpoiled(key)).toBe(false);
        await store.spoil(key);
        for (const one of [store, await reopen()]) {
          expect(await one.open(key)).toBeUndefined();
          expect(await one.record(key)).toBeUndefined();
          expect(await one.isSpoiled(key)).toBe(true);
          expect(await one.list('go/example.com/m/@v')).toEqual(['v1.0.0.zip']);
        }
        expect(await store.stash(key, { bytes }, recordOf(bytes))).toBe('stored');
        expect((await read(store, key))?.equals(bytes)).toBe(true);
        expect(await store.isSpoiled(key)).toBe(false);
        await store.spoil(key);
        await store.delete(key);
        expect(await store.list('go/example.com/m/@v')).toEqual([]);
        expect(await store.isSpoiled(key)).toBe(false);
      },
    );

    it('refuses names that leave it', async () => {
      const { store } = await make();
      await expect(store.open('../x')).rejects.toMatchObject({ code: 'invalid' });
      await expect(store.writeDocument('../x', small)).rejects.toMatchObject({ code: 'invalid' });
    });

    it('answers a check', async () => {
      const { store } = await make();
      await expect(store.check()).resolves.toBeUndefined();
    });
  });
}
