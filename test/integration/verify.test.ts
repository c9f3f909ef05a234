// Bits flipped in a store on a disk: verification finds exactly these, and repair leaves nothing of them.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LocalAnnouncements } from '../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { StoreAnnouncements } from '../../src/coordination/store-announcements.ts';
import { Answers, confirmed } from '../../src/engine/answers.ts';
import { systemClock, type Store } from '../../src/engine/ports.ts';
import { within } from '../../src/engine/purge-plan.ts';
import { sealBytes } from '../../src/engine/seal.ts';
import { OrphanMarks } from '../../src/oci/orphan-marks.ts';
import { Collector } from '../../src/references/collect.ts';
import { contentsOf } from '../../src/references/evict.ts';
import { LastUse } from '../../src/references/last-use.ts';
import { Pins } from '../../src/references/pins.ts';
import { StoreSize } from '../../src/references/store-size.ts';
import { Tally } from '../../src/references/tally.ts';
import { FileStore } from '../../src/storage/file.ts';
import { FORMAT, readFormat, writeFormat } from '../../src/storage/format.ts';
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

/** One of each document that Larder writes beside content, as it writes them. */
async function keepDocuments(store: Store): Promise<void> {
  await keepModule(store, 'example.com/m', 3);
  await keepImage(store, { upstream: { name: 'reg.test' }, path: 'app' }, 'v1', ['layer']);
  await new Pins(store, Date.now).add('go:example.com/m');
  const clock = systemClock;
  const lastUse = new LastUse(clock, (key) => key);
  const size = new StoreSize();
  const parts = { store, clock, lastUse, size, lock: new LocalLock(), failed: fail };
  const tally = new Tally(parts);
  for (let i = 0; i <= 25; i++) {
    lastUse.used(`go/example.com/m/@v/v1.${String(i)}.0.zip`);
    size.stored('go/example.com/m/@v/v1.0.0.zip', 1);
    await tally.exchange();
  }
  await tally.recount(contentsOf([]), never);
  lastUse.used('go/example.com/m/@v/v1.0.0.zip');
  await tally.close();
  const marks = new OrphanMarks(store);
  await marks.write('0'.repeat(32), new Map([[`sha256:${'0'.repeat(64)}`, Date.now()]]));
  const lock = new LocalLock();
  const purger = { run: () => Promise.reject(new Error('nothing is found')) };
  const collecting = { graceMs: 0, keepsAll: false, now: Date.now };
  const collector = new Collector({ store, lock, purger, sweepers: [], ...collecting });
  await collector.run({ dryRun: false }, never);
  const told = await StoreAnnouncements.open({
    store,
    local: new LocalAnnouncements(),
    carrier: new LocalAnnouncements(),
    now: Date.now,
    failed: fail,
  });
  await told.announce({ keys: ['a', 'b'], folders: ['c'] });
  await told.close();
  const answers = new Answers(store);
  for (const key of ['answers/go/example.com/m/@v/list', 'answers/oci/repos/reg.test/app/x'])
    await answers.keep(key, confirmed({ bytes: Buffer.from('v1\n'), source: 'x' }, undefined, 0));
  await store.writeDocument('answers/sumdb/x/latest', sealBytes(Buffer.from('tree')));
  await writeFormat(store, FORMAT);
}

function fail(error: unknown): never {
  throw error;
}

test('any bit of any document is found, and repair leaves nothing wrong and what is pinned as it was', async () => {
  const { root, store } = await fileStore();
  await keepDocuments(store);
  await store.close();
  const files = filesBelow(root).filter((file) => !/\.(record|info|mod|zip)$|blobs/.test(file));
  const keys = files.map((file) => path.relative(root, file));
  const folders = new Set(keys.map((key) => key.split('/').slice(0, 2).join('/')));
  for (const folder of ['usage/log', 'usage/size', 'usage/units', 'references/collected'])
    expect(folders).toContain(folder);
  for (const folder of ['answers/purges', 'oci/orphans', 'oci/references', 'format.json'])
    expect(folders).toContain(folder);
  const before = files.map((file) => readFileSync(file));
  const random = seeded(11);
  const { verifier } = verifierOf(store);
  expect((await verifier.run({ repair: false }, never)).corrupt).toEqual([]);
  for (let round = 0; round < 2; round++) {
    for (const file of files) flip(file, random());
    const { corrupt } = await verifier.run({ repair: false }, never);
    expect([...corrupt].sort()).toEqual(keys.map((key) => `document:${key}`).sort());
    if (round < 1) for (const [i, file] of files.entries()) writeFileSync(file, before[i] ?? '');
  }
  await verifier.run({ repair: true }, never);
  expect((await verifier.run({ repair: false }, never)).corrupt).toEqual([]);
  const pinned = await new Pins(store, Date.now).pinned();
  expect([pinned.has('go:example.com/m'), pinned.has('go:example.com/n')]).toEqual([true, false]);
  expect(await readFormat(store)).toBe(FORMAT);
});

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
