import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { upgraderBy } from '../../../src/app/compose-upgrade.ts';
import { withFormat } from '../../../src/storage/format.ts';
import { dying } from '../../support/dying-store.ts';
import { MemoryStore, never } from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { HeldImages, image, index } from '../../support/held-images.ts';

const formatOf = (store: MemoryStore) =>
  Buffer.from(store.documents.get('format.json') ?? '').toString();

/** A store of format 0, and the edges that it would have. */
async function older() {
  const held = new HeldImages();
  await held.pull('a.test/app', 'v1', image('base', 'app'));
  await held.pull('a.test/app', 'v2', image('base', 'app2'));
  await held.pull('b.test/multi', 'latest', index({ amd64: ['base'], arm64: ['y'] }));
  await held.pull('b.test/used', undefined, image('used'));
  const { store } = held;
  const edges = held.documents('oci/references/');
  for (const key of edges) store.documents.delete(`oci/references/${key}`);
  store.documents.set('format.json', Buffer.from('{"format":0}\n'));
  return { held, store, edges };
}

describe('a store without edges', () => {
  test('gets them, and the number last', async () => {
    const { held, store, edges } = await older();
    const order: string[] = [];
    const upgrade = upgraderBy(new LocalLock(), never);
    store.calls.length = 0;
    expect(await upgrade(store)).toEqual([0, 1]);
    order.push(...store.calls.filter((call) => call.startsWith('writeDocument')));
    expect(order.at(-1)).toBe('writeDocument format.json');
    expect(order.filter((call) => call.endsWith('format.json')).length).toBe(1);
    expect(held.documents('oci/references/')).toEqual(edges);
    expect(formatOf(store)).toBe('{"format":1}\n');
    expect(await upgrade(store)).toEqual([]);
  });

  test('that is killed at any write is of the old format, and upgraded by the next start', async () => {
    for (let writes = 0; ; writes++) {
      const { held, store, edges } = await older();
      const upgrade = upgraderBy(new LocalLock(), never);
      const killed = await upgrade(dying(store, writes)).then(
        () => false,
        () => true,
      );
      if (!killed) {
        expect(writes).toBe(edges.length + 1);
        return;
      }
      expect(formatOf(store)).toBe('{"format":0}\n');
      await upgrade(store);
      expect(held.documents('oci/references/')).toEqual(edges);
      expect(formatOf(store)).toBe('{"format":1}\n');
    }
  });

  test('is upgraded once by two that start at once', async () => {
    const { store, edges } = await older();
    const upgrade = upgraderBy(new LocalLock(), never);
    store.calls.length = 0;
    const done = await Promise.all([upgrade(store), upgrade(store)]);
    expect(done).toEqual([[0, 1], []]);
    const writes = store.calls.filter((call) => call.startsWith('writeDocument'));
    expect(writes.length).toBe(edges.length + 1);
  });

  test('is refused where nothing is said, with the command that upgrades it, and left as it is', async () => {
    const { store } = await older();
    const before = new Map(store.documents);
    await expect(withFormat(store).ready()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/larder migrate.*LARDER_MIGRATE=auto/) as string,
    });
    expect(store.documents).toEqual(before);
  });

  test('answers nobody while it is upgraded, and everybody after', async () => {
    const { store } = await older();
    const gate = new Gate();
    const upgrade = upgraderBy(new LocalLock(), never);
    const formatted = withFormat(store, async (one) => {
      await gate.pass(never);
      return upgrade(one);
    });
    const ready = formatted.ready();
    await gate.reached;
    await expect(formatted.readDocument('x')).rejects.toMatchObject({ code: 'store_failed' });
    gate.open();
    await ready;
    expect(await formatted.readDocument('x')).toBeUndefined();
  });
});

test.each(['{"format":2}', '{"format":0.5}', '{"format":-1}', '{"format":"1"}', 'x', ''])(
  'a store whose format.json is %j is refused and left as it is',
  async (text) => {
    const store = new MemoryStore();
    store.documents.set('format.json', Buffer.from(text));
    const upgrade = upgraderBy(new LocalLock(), never);
    await expect(withFormat(store, upgrade).ready()).rejects.toMatchObject({ code: 'unsupported' });
    await expect(upgrade(store)).rejects.toMatchObject({ code: 'unsupported' });
    expect([...store.documents]).toEqual([['format.json', Buffer.from(text)]]);
  },
);
