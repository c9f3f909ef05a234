import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { LarderError } from '../../../src/engine/errors.ts';
import type {
  PlannedContent,
  Purgeable,
  PurgePlan,
  PurgeScope,
} from '../../../src/engine/purge-plan.ts';
import { Purger } from '../../../src/references/purge.ts';
import { MemoryStore, never, sha256 } from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { expectLease } from '../../support/leases.ts';
import { eventually } from '../../support/tmp.ts';

/** A store, one purger or several on it, and what was announced. */
function setUp({ replicas = 1 } = {}) {
  const store = new MemoryStore();
  const lock = new LocalLock();
  const announced: PurgeScope[] = [];
  const announcements = {
    announce: (scope: PurgeScope) => {
      announced.push(scope);
      store.calls.push('announce');
      return Promise.resolve();
    },
    subscribe: () => undefined,
  };
  const purger = new Purger({ store, lock, announcements });
  const more = Array.from(
    { length: replicas - 1 },
    () => new Purger({ store, lock, announcements }),
  );
  return { store, lock, announced, purger, purgers: [purger, ...more] };
}

async function keep(store: MemoryStore, key: string, bytes: number): Promise<void> {
  const body = Buffer.alloc(bytes, key);
  const record = {
    size: bytes,
    sha256: sha256(body),
    time: '2026-01-02T03:04:05.000Z',
    source: 'http://upstream.test',
    extra: {},
  };
  await store.stash(key, { bytes: body }, record);
}

const gone = (key: string): PlannedContent => ({ key, mayGo: () => Promise.resolve(true) });

/** What is stored of two documents and two contents under one name. */
function image(store: MemoryStore, changes: Partial<PurgePlan> = {}): Purgeable {
  return {
    name: 'oci:main.test/app:v1',
    scope: { keys: ['tag'], folders: ['answers/app'] },
    plan: () => {
      store.calls.push('plan');
      return Promise.resolve({
        names: store.content.size > 0 ? ['oci:main.test/app:v1'] : [],
        documents: [['tag'], ['edge']],
        contents: ['one', 'two'].map(gone),
        ...changes,
      });
    },
  };
}

async function stored(store: MemoryStore): Promise<void> {
  for (const key of ['tag', 'edge']) await store.writeDocument(key, Buffer.from(key));
  await keep(store, 'one', 10);
  await keep(store, 'two', 5);
  store.calls.length = 0;
}

describe('a purge', () => {
  test('announces, plans, deletes documents in order, then contents, announces again, and mends', async () => {
    const { store, purger, announced } = setUp();
    await stored(store);
    const after = () => {
      store.calls.push('after');
      return Promise.resolve();
    };
    const done = await purger.run(image(store, { after, contents: [gone('one')] }));
    expect(done).toEqual({ purged: ['oci:main.test/app:v1'], freedBytes: 10 });
    expect(store.calls).toEqual([
      'announce',
      'plan',
      'announce',
      'delete tag',
      'delete edge',
      'record one',
      'delete one',
      'announce',
      'after',
    ]);
    expect(announced).toEqual([
      { keys: ['tag'], folders: ['answers/app'] },
      { keys: ['tag', 'edge', 'one'], folders: [] },
      { keys: ['tag', 'edge', 'one'], folders: ['answers/app'] },
    ]);
    expect([...store.content.keys()]).toEqual(['two']);
  });

  test('keeps content that is owned again when its turn comes', async () => {
    const { store, purger } = setUp();
    await stored(store);
    const contents = [gone('one'), { key: 'two', mayGo: () => Promise.resolve(false) }];
    expect(await purger.run(image(store, { contents }))).toMatchObject({ freedBytes: 10 });
    expect([...store.content.keys()]).toEqual(['two']);
  });

  test('asks whether content may go, and deletes it, under its lease', async () => {
    const { store, lock, purger } = setUp();
    await stored(store);
    const asked = new Gate();
    const contents = [{ key: 'one', mayGo: () => asked.pass(never).then(() => true) }];
    const purging = purger.run(image(store, { contents }));
    await asked.reached;
    let had = false;
    const other = lock.acquire({ key: 'one', scope: 'a fill', signal: never }).then((turn) => {
      had = true;
      return expectLease(turn);
    });
    asked.open();
    await purging;
    const lease = await other;
    expect([had, lease.waited, store.content.has('one')]).toEqual([true, true, false]);
  });

  test('waits for who holds the lease, whatever they tell', async () => {
    const { store, lock, purger } = setUp();
    await stored(store);
    const lease = expectLease(await lock.acquire({ key: 'one', scope: 'one', signal: never }));
    const purging = purger.run(image(store));
    await eventually('all else is deleted', () => !store.content.has('two'));
    expect(store.content.has('one')).toBe(true);
    await lease.release({ kind: 'stored' });
    expect(await purging).toMatchObject({ freedBytes: 15 });
    expect([...store.content.keys()]).toEqual([]);
  });

  test('goes on without a lease that its holder never gives back', async () => {
    const { store, lock, purger } = setUp();
    await stored(store);
    expectLease(await lock.acquire({ key: 'one', scope: 'one', signal: never }));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const purging = purger.run(image(store));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await purging).toMatchObject({ freedBytes: 15 });
    expect([...store.content.keys()]).toEqual([]);
  });

  test('of what is not there takes nothing, as often as it is asked for', async () => {
    const { store, purger } = setUp();
    await stored(store);
    await purger.run(image(store));
    expect(await purger.run(image(store))).toEqual({ purged: [], freedBytes: 0 });
  });

  test('counts bytes once, whoever purges at the same time', async () => {
    const { store, purgers } = setUp({ replicas: 8 });
    await stored(store);
    const all = await Promise.all(purgers.map((purger) => purger.run(image(store))));
    expect(all.reduce((sum, { freedBytes }) => sum + freedBytes, 0)).toBe(15);
  });

  test('takes a hundred layers, a bounded number at once', async () => {
    const { store, purger } = setUp();
    const keys = Array.from({ length: 100 }, (_, i) => `layer ${String(i)}`);
    for (const key of keys) await keep(store, key, 2);
    let now = 0;
    let most = 0;
    const contents = keys.map((key) => ({
      key,
      mayGo: async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
        return true;
      },
    }));
    expect(await purger.run(image(store, { contents }))).toMatchObject({ freedBytes: 200 });
    expect([store.content.size, most]).toEqual([0, 16]);
  });

  test.each(['record', 'delete'] as const)(
    'fails with the store (%s), gives its leases back, tells who may remember what went, and is ended by the next',
    async (operation) => {
      const { store, lock, announced, purger } = setUp();
      await stored(store);
      let mended = 0;
      const after = () => {
        mended++;
        return Promise.resolve();
      };
      const contents = [
        {
          key: 'one',
          mayGo: () => {
            store.refuse(operation);
            return Promise.resolve(true);
          },
        },
      ];
      const failing = purger.run(image(store, { contents, after }));
      await expect(failing).rejects.toThrow(LarderError);
      expect([store.documents.size, store.content.size, mended]).toEqual([0, 2, 0]);
      expect(announced.at(-1)?.keys).toEqual(['tag', 'edge', 'one']);
      store.recover();
      expectLease(await lock.acquire({ key: 'one', scope: 'one', signal: never }));
      const next = purger.run(image(store, { contents: [gone('two')], after }));
      expect(await next).toMatchObject({ freedBytes: 5 });
      expect(mended).toBe(1);
    },
  );

  test('that fails begins no more, and has ended before it says so', async () => {
    const { store, purger } = setUp();
    const keys = Array.from({ length: 40 }, (_, i) => `layer ${String(i)}`);
    for (const key of keys) await keep(store, key, 1);
    const slow = new Gate();
    let failed = false;
    const contents = keys.map((key, i) => ({
      key,
      mayGo: () =>
        i === 0
          ? Promise.reject(new LarderError('store_failed', 'no'))
          : slow.pass(never).then(() => true),
    }));
    const failing = purger.run(image(store, { contents })).catch(() => (failed = true));
    await eventually('the others are under way', () => slow.arrivals === 15);
    expect(failed).toBe(false);
    slow.open();
    await failing;
    expect(store.content.size).toBe(25);
  });

  test('is waited for at a stop', async () => {
    const { store, purger } = setUp();
    await stored(store);
    const gate = store.hold('delete');
    const purging = purger.run(image(store));
    let settled = false;
    const settling = purger.settled().then(() => (settled = true));
    await gate.reached;
    expect(settled).toBe(false);
    gate.open();
    await purging;
    expect(await settling).toBe(true);
  });
});

test('a preview says what would go, and changes nothing', async () => {
  const { store, announced, purger } = setUp();
  await stored(store);
  const after = () => Promise.reject(new Error('nothing to mend'));
  const would = await purger.preview(image(store, { after }));
  expect(would).toEqual({ purged: ['oci:main.test/app:v1'], freedBytes: 15 });
  expect([store.documents.size, store.content.size, announced]).toEqual([2, 2, []]);
  expect(await purger.run(image(store))).toEqual(would);
});
