import { expect, test } from 'vitest';
import { edgeKey, repositoryHash } from '../../../src/oci/edges.ts';
import { contentKey } from '../../../src/oci/keys.ts';
import { ociVerifiable } from '../../../src/oci/verify.ts';
import { CANCELLED } from '../../../src/references/jobs.ts';
import { REBUILDING, restoreEdges } from '../../../src/references/verify.ts';
import { beforeWrites } from '../../support/dying-store.ts';
import { ManualClock, MemoryStore, never, sha256 } from '../../support/engine.ts';
import { keepModule, seeded } from '../../support/filled-store.ts';
import { HeldImages, image, index, repositoryOf } from '../../support/held-images.ts';
import { verifierOf } from '../../support/verifiers.ts';

async function heldImages() {
  const held = new HeldImages();
  await held.pull('a.test/app', 'v1', image('base', 'app'));
  await held.pull('a.test/app', 'v2', image('base', 'app2'));
  await held.pull('a.test/app/0', 'v1', image('base', 'below'));
  await held.pull('b.test/multi', 'latest', index({ amd64: ['base', 'x'], arm64: ['base', 'y'] }));
  await held.pull('b.test/used', undefined, image('used'));
  return held;
}

function loseEdges({ store, documents }: { store: MemoryStore; documents: string[] }) {
  for (const key of documents) store.documents.delete(`oci/references/${key}`);
}

test('edges that are gone as a whole are made of manifests, tags and links', async () => {
  const held = await heldImages();
  const { store } = held;
  const before = held.documents('oci/references/');
  expect(before.length).toBeGreaterThan(15);
  loseEdges({ store, documents: before });
  const { verifier } = verifierOf(store);
  expect(await verifier.run({ repair: false }, never)).toMatchObject({
    corrupt: [],
    edgesRestored: 0,
  });
  expect(held.documents('oci/references/')).toEqual([]);
  const done = await verifier.run({ repair: true }, never);
  expect(done).toMatchObject({ corrupt: [], edgesRestored: before.length });
  expect(held.documents('oci/references/')).toEqual(before);
  expect((await verifier.run({ repair: true }, never)).edgesRestored).toBe(0);
  // and they are worth what they were: a purge takes what nobody else owns
  const { purged } = await held.purge('a.test/app:v1');
  expect(purged.length).toBeGreaterThan(1);
  expect(held.stored(image('base', 'app'))).toEqual([]);
  expect(held.stored(image('base', 'app2')).length).toBe(1);
});

test('any edges that are lost come back, and nothing that was not there', async () => {
  const held = await heldImages();
  const { store } = held;
  const before = held.documents('oci/references/');
  const random = seeded(5);
  for (let round = 0; round < 20; round++) {
    const lost = before.filter(() => random() < 0.4);
    loseEdges({ store, documents: lost });
    await restoreEdges({ store, rooms: [ociVerifiable(store)] }, never);
    expect(held.documents('oci/references/')).toEqual(before);
  }
});

test('while edges are made nothing may be collected, also when it is killed or given up', async () => {
  const held = await heldImages();
  const { store } = held;
  const before = held.documents('oci/references/');
  loseEdges({ store, documents: before });
  const isMarked = () => store.documents.has(REBUILDING);
  const cancel = new AbortController();
  let edges = 0;
  const watched = beforeWrites(store, (key) => {
    if (!key.startsWith('oci/references/')) return;
    expect(isMarked()).toBe(true);
    if (++edges === 3) cancel.abort();
  });
  const cancelled = verifierOf(watched).verifier.run({ repair: true }, cancel.signal);
  await expect(cancelled).rejects.toThrow();
  expect(held.documents('oci/references/').length).toBeLessThan(before.length);
  expect(isMarked()).toBe(true);
  const { verifier } = verifierOf(store);
  store.refuse('writeDocument');
  await expect(verifier.run({ repair: true }, never)).rejects.toMatchObject({
    code: 'store_failed',
  });
  store.recover();
  expect(isMarked()).toBe(true);
  await verifier.run({ repair: true }, never);
  expect(isMarked()).toBe(false);
  expect(held.documents('oci/references/')).toEqual(before);
});

test('what is given up where nothing is missing leaves no mark', async () => {
  const { store } = await heldImages();
  const { verifier } = verifierOf(store);
  const cancel = new AbortController();
  const cancelled = verifier.run({ repair: true }, cancel.signal, () => {
    cancel.abort(CANCELLED);
  });
  await expect(cancelled).rejects.toThrow();
  expect([...store.documents.keys()].filter((key) => key.startsWith('references/'))).toEqual([]);
});

test('a link that a purge takes away meanwhile does not come back by its tag', async () => {
  const held = new HeldImages();
  const node = image('one');
  await held.pull('a.test/app', 'v1', node);
  const { store } = held;
  const of = repositoryOf('a.test/app');
  const link = `oci/repos/a.test/app/_links/sha256/${node.digest.hex}`;
  store.documents.delete(link);
  store.documents.delete(edgeKey(node.digest, repositoryHash(of), { kind: 'tag', tag: 'v1' }));
  const writeDocument = store.writeDocument.bind(store);
  store.writeDocument = async (key, bytes) => {
    await writeDocument(key, bytes);
    if (key === link) store.documents.delete('oci/repos/a.test/app/_tags/v1');
  };
  await restoreEdges({ store, rooms: [ociVerifiable(store)] }, never);
  expect(store.documents.has(link)).toBe(false);
  expect(held.documents('oci/references/').filter((key) => key.includes('tag-'))).toEqual([]);
});

/** So many blobs that nobody owns. */
async function blobs(store: MemoryStore, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const bytes = Buffer.from(`blob ${String(i)}`);
    const record = { size: bytes.length, sha256: sha256(bytes), time: '', source: 't', extra: {} };
    const key = contentKey({ algorithm: 'sha256', hex: sha256(bytes) });
    await store.stash(key, { bytes }, record);
  }
}

const opened = (store: MemoryStore) =>
  store.calls.filter((call) => call.startsWith('open ')).length;

test.each(['interrupted', 'given up'])('what is %s goes on where it was, or not', async (how) => {
  const store = new MemoryStore();
  await blobs(store, 1000);
  const key = [...store.content.keys()].sort()[3] ?? '';
  const bad = store.content.get(key);
  if (bad) store.content.set(key, { ...bad, bytes: Buffer.from('other') });
  const clock = new ManualClock();
  const { verifier } = verifierOf(store, clock);
  const stop = new AbortController();
  const stopped = verifier.run({ repair: false }, stop.signal, ({ done, total }) => {
    expect(total).toBe(1000);
    clock.advance(6000);
    if (done >= 512) stop.abort(how === 'interrupted' ? undefined : CANCELLED);
  });
  await expect(stopped).rejects.toThrow();
  store.calls.length = 0;
  const seen: number[] = [];
  const done = await verifier.run({ repair: false }, never, (now) => {
    seen.push(now.done);
    expect(now.total).toBe(1000);
  });
  expect(done).toMatchObject({ checked: 1000, corrupt: [`oci:@sha256:${key.slice(-64)}`] });
  expect(opened(store)).toBeLessThan(how === 'interrupted' ? 500 : 1010);
  expect(opened(store)).toBeGreaterThan(how === 'interrupted' ? 400 : 990);
  expect(seen.at(-1)).toBe(1000);
  expect([...store.documents.keys()]).toEqual([]);
});

test('a note of another day, or of another kind of run, is of no use', async () => {
  const store = new MemoryStore();
  await blobs(store, 600);
  const clock = new ManualClock();
  const { verifier } = verifierOf(store, clock);
  const interrupt = async () => {
    const stop = new AbortController();
    const stopped = verifier.run({ repair: false }, stop.signal, ({ done }) => {
      clock.advance(6000);
      if (done >= 256) stop.abort();
    });
    await expect(stopped).rejects.toThrow();
    store.calls.length = 0;
  };
  await interrupt();
  await verifier.run({ repair: true }, never);
  expect(opened(store)).toBe(600);
  await interrupt();
  clock.advance(25 * 3_600_000);
  await verifier.run({ repair: false }, never);
  expect(opened(store)).toBe(600);
});

test('a sample is so many pieces of content, each once', async () => {
  const store = new MemoryStore();
  await blobs(store, 100);
  await keepModule(store, 'example.com/m', 10);
  const { verifier } = verifierOf(store);
  store.calls.length = 0;
  const some = await verifier.run({ repair: false, sample: 20 }, never);
  expect(some.checked).toBe(20);
  expect(new Set(store.calls.filter((call) => call.startsWith('open '))).size).toBe(20);
  expect((await verifier.run({ repair: false, sample: 1000 }, never)).checked).toBe(130);
});

test('wrong content that is filled anew meanwhile stays', async () => {
  const store = new MemoryStore();
  await blobs(store, 1);
  const [key = ''] = store.content.keys();
  const good = store.content.get(key);
  if (!good) throw new Error('nothing was stored');
  store.content.set(key, { ...good, bytes: Buffer.from('other') });
  const { verifier, announcements } = verifierOf(store);
  announcements.subscribe(() => void store.content.set(key, good));
  expect(await verifier.run({ repair: true }, never)).toMatchObject({ checked: 1, corrupt: [] });
  expect(store.content.get(key)).toBe(good);
});

test('a store that fails ends it with its sentence', async () => {
  const store = new MemoryStore();
  await blobs(store, 10);
  store.refuse('open');
  const { verifier } = verifierOf(store);
  await expect(verifier.run({ repair: true }, never)).rejects.toMatchObject({
    code: 'store_failed',
  });
});
