// Bits flipped in a store on a disk: verification finds exactly these, and repair leaves nothing of them.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { within } from '../../src/engine/purge-plan.ts';
import type { Store } from '../../src/engine/ports.ts';
import { FileStore } from '../../src/storage/file.ts';
import { hot } from '../../src/storage/hot.ts';
import { never, sha256, bytesOf } from '../support/engine.ts';
import { keepImage, keepModule, seeded, type Kept } from '../support/filled-store.ts';
import { filesBelow, tempDir } from '../support/tmp.ts';
import { verifierOf } from '../support/verifiers.ts';

async function fileStore() {
  const root = tempDir();
  const store = new FileStore(root, (key, error) => {
    throw new Error(`${key} was not synced`, { cause: error });
  });
  await store.sweep();
  return { root, store };
}

async function fill(store: Store): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (let i = 0; i < 15; i++) {
    kept.push(...(await keepModule(store, `example.com/m${String(i)}`, 4)));
    const repository = { upstream: { name: 'reg.test:5000' }, path: `team/app${String(i)}` };
    const layers = Array.from({ length: 5 }, (_, n) => `${String(i)}-${String(n)}`.repeat(100));
    kept.push(...(await keepImage(store, repository, 'v1', [...layers, 'shared'])));
  }
  const large = await keepModule(store, 'example.com/large', 2, 2_000_000);
  const repository = { upstream: { name: 'reg.test:5000' }, path: 'large' };
  const layers = ['x'.repeat(100_000), 'y'.repeat(3_000_000)];
  return [...kept, ...large, ...(await keepImage(store, repository, 'v1', layers))];
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  const bit = Math.floor(at * bytes.length * 8);
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  writeFileSync(file, bytes);
}

const keyIn = (root: string, file: string) => path.relative(root, file).replace(/\.record$/, '');

test('flipped bits in any files are found, and no others', async () => {
  const { root, store } = await fileStore();
  const kept = await fill(store);
  await store.close();
  const names = new Map(kept.map(({ key, name }) => [key, name]));
  const random = seeded(7);
  const files = filesBelow(root).filter((file) => !file.endsWith('format.json'));
  expect(files.length).toBeGreaterThan(800);
  const chosen = files
    .map((file) => ({ file, order: random() }))
    .sort((a, b) => a.order - b.order)
    .slice(0, 40)
    .map(({ file }) => file);
  // one of each kind at least
  const kinds = [/\.info$/, /\.mod$/, /large.*\.zip$/, /\.record$/, /@v\/list$/, /_links/, /_tags/];
  for (const kind of [...kinds, /references/])
    chosen.push(files.find((file) => kind.test(file) && !chosen.includes(file)) ?? '');
  for (const file of chosen) flip(file, random());
  const wrong = [...new Set(chosen.map((file) => keyIn(root, file)))].sort();
  const expected = new Set(wrong.map((key) => names.get(key) ?? `document:${key}`));

  // whoever reads it meanwhile through the memory gets right bytes or none, if it is small
  const memory = hot(store);
  for (const key of wrong) {
    const stored = await memory.open(key);
    if (stored?.body.bytes) expect(sha256(stored.body.bytes)).toBe(stored.record.sha256);
    stored?.body.close();
  }
  const { verifier, announcements } = verifierOf(store);
  announcements.subscribe((scope) => {
    memory.forgetAll(within(scope));
  });
  // what is shared goes by any of its repositories, and by none where its edge is one of the flipped
  const sorted = (some: Iterable<string>) =>
    [...some].map((name) => name.replace(/^oci:.*@/, 'oci:@')).sort();
  for (let i = 0; i < 2; i++) {
    const found = await verifier.run({ repair: false }, never);
    expect(sorted(found.corrupt)).toEqual(sorted(expected));
    expect(found.repaired).toBe(0);
  }
  for (const key of wrong) if (names.has(key)) expect(await memory.open(key)).toBeUndefined();
  const mended = await verifier.run({ repair: true }, never);
  expect(sorted(mended.corrupt)).toEqual(sorted(expected));
  expect(mended.repaired).toBe(expected.size);
  const after = await verifier.run({ repair: false }, never);
  expect(after).toMatchObject({ corrupt: [], repaired: 0 });
  // nothing else went
  for (const { key } of kept)
    expect([key, (await store.record(key)) === undefined]).toEqual([key, wrong.includes(key)]);
});

test.each([
  [/\/v1\.0\.0\.info$/, 'content'],
  [/\/v1\.0\.0\.mod$/, 'content'],
  [/\/v1\.0\.0\.zip$/, 'content'],
  [/\.zip\.record$/, 'content'],
  [/blobs\/.*[0-9a-f]{60}$/, 'content'],
  [/blobs.*\.record$/, 'content'],
  [/@v\/list$/, 'document'],
  [/_links/, 'document'],
  [/_tags/, 'document'],
  [/references/, 'document'],
])('any bit of %s that is flipped is found as one thing', async (kind, what) => {
  const { root, store } = await fileStore();
  await keepModule(store, 'example.com/m', 1);
  await keepImage(store, { upstream: { name: 'reg.test' }, path: 'app' }, 'v1', ['layer']);
  await store.close();
  const file = filesBelow(root).find((one) => kind.test(one)) ?? '';
  const before = readFileSync(file);
  const { verifier } = verifierOf(store);
  const random = seeded(3);
  for (let i = 0; i < 6; i++) {
    flip(file, random());
    const { corrupt } = await verifier.run({ repair: false }, never);
    expect(corrupt.map((name) => (name.startsWith('document:') ? 'document' : 'content'))).toEqual([
      what,
    ]);
    writeFileSync(file, before);
    if (what === 'content') await restoreRecord(root, store, file);
  }
});

/** Verification has marked it: it is put back as an upstream would bring it. */
async function restoreRecord(root: string, store: Store, file: string): Promise<void> {
  if (file.endsWith('.record')) return;
  const bytes = readFileSync(file);
  const key = keyIn(root, file);
  const record = { size: bytes.length, sha256: sha256(bytes), time: '', source: 'test', extra: {} };
  const extra: Record<string, string> = bytes.includes('manifest')
    ? { mediaType: 'application/vnd.oci.image.manifest.v1+json' }
    : {};
  const goMod = readFileSync(path.join(root, 'go/example.com/m/@v/v1.0.0.mod'));
  if (key.endsWith('.zip')) extra['goMod'] = sha256(goMod);
  await store.stash(key, { bytes }, { ...record, extra });
}

test('large content is checked as a whole, zips from a file', async () => {
  const { root, store } = await fileStore();
  const [, , zip] = await keepModule(store, 'example.com/m', 1, 3_000_000);
  await store.close();
  const { verifier } = verifierOf(store);
  expect((await verifier.run({ repair: false }, never)).corrupt).toEqual([]);
  flip(path.join(root, zip?.key ?? ''), 0.99);
  const stored = await store.open(zip?.key ?? '');
  if (stored === undefined) throw new Error('large content is not hashed when it is read');
  await bytesOf(stored.body);
  stored.body.close();
  expect((await verifier.run({ repair: true }, never)).corrupt).toEqual([zip?.name]);
  expect(await store.open(zip?.key ?? '')).toBeUndefined();
  expect(await store.list('go/example.com/m/@v')).toEqual(['v1.0.0.info', 'v1.0.0.mod']);
});
