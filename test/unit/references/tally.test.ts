import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { LastUse } from '../../../src/references/last-use.ts';
import { StoreSize } from '../../../src/references/store-size.ts';
import { Tally } from '../../../src/references/tally.ts';
import { ManualClock, MemoryStore, never } from '../../support/engine.ts';
import { recordOf } from '../../support/records.ts';

/** Replicas that share a store. */
function setUp() {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const lock = new LocalLock();
  const failures: unknown[] = [];
  const failed = (error: unknown) => void failures.push(error);
  const replica = () => {
    const lastUse = new LastUse(clock, (key) => (key.startsWith('c/') ? key : undefined));
    const size = new StoreSize();
    const tally = new Tally({ store, lock, clock, lastUse, size, failed });
    return {
      lastUse,
      size,
      tally,
      count: () => tally.recount(folders(store), never),
    };
  };
  const keep = async (key: string, bytes: number) => {
    const body = Buffer.alloc(bytes);
    await store.stash(key, { bytes: body }, recordOf(body));
  };
  return { store, clock, failures, replica, keep };
}

async function* folders(store: MemoryStore) {
  for (const folder of ['a', 'b'])
    yield {
      end: `c/${folder}/\uffff`,
      keys: (await store.list(`c/${folder}`)).map((name) => `c/${folder}/${name}`),
    };
}

describe('what one replica saw', () => {
  test('the others learn, the sizes and the last uses', async () => {
    const { clock, replica, keep } = setUp();
    await keep('c/a/1', 100);
    const [one, two] = [replica(), replica()];
    await one.count();
    await two.tally.exchange();
    expect(two.size.now).toEqual({ bytes: 100, objects: 1 });
    two.lastUse.used('c/a/1');
    two.lastUse.used('answers/list');
    two.size.stored('c/b/2', 20);
    const usedAt = clock.now();
    expect(two.size.now).toEqual({ bytes: 120, objects: 2 });
    clock.advance(1000);
    await two.tally.exchange();
    await one.tally.exchange();
    expect(one.size.now).toEqual({ bytes: 120, objects: 2 });
    expect(one.lastUse.of(['c/a/1'])).toBe(usedAt);
    expect(one.lastUse.of(['answers/list', 'c/b/2'])).toBeUndefined();
    // the later one counts, whoever tells last
    one.lastUse.used('c/a/1');
    await one.tally.exchange();
    await two.tally.exchange();
    expect(two.lastUse.of(['c/a/1'])).toBe(clock.now());
  });

  test('outlives it, and what was not told is lost with it', async () => {
    const { clock, replica } = setUp();
    const one = replica();
    await one.count();
    one.size.stored('c/a/1', 10);
    one.lastUse.used('c/a/1');
    const usedAt = clock.now();
    await one.tally.close();
    one.size.stored('c/a/2', 10);
    const later = replica();
    await later.tally.exchange();
    expect([later.size.now?.bytes, later.lastUse.of(['c/a/1'])]).toEqual([10, usedAt]);
  });

  test('that nobody saw anything is not written', async () => {
    const { store, replica } = setUp();
    const one = replica();
    await one.count();
    store.calls.length = 0;
    await one.tally.exchange();
    expect(store.calls.filter((call) => call.startsWith('writeDocument'))).toEqual([]);
  });

  test('is told later where the store refuses it now', async () => {
    const { store, clock, failures, replica } = setUp();
    const [one, two] = [replica(), replica()];
    await one.count();
    one.size.stored('c/a/1', 10);
    one.lastUse.used('c/a/1');
    const usedAt = clock.now();
    store.refuse('writeDocument');
    await one.tally.exchange();
    expect(failures).toHaveLength(1);
    store.recover();
    clock.advance(1000);
    await one.tally.exchange();
    await two.tally.exchange();
    expect([two.size.now?.bytes, two.lastUse.of(['c/a/1'])]).toEqual([10, usedAt]);
  });
});

test('many documents are made into few, and nothing is lost or counted twice', async () => {
  const { store, clock, replica } = setUp();
  const [one, two] = [replica(), replica()];
  await one.count();
  const times = new Map<string, number>();
  for (let i = 0; i < 60; i++) {
    const from = i % 2 === 0 ? one : two;
    const key = `c/a/${String(i % 40)}`;
    from.size.stored(key, 10);
    from.lastUse.used(key);
    times.set(key, clock.now());
    await from.tally.exchange();
    clock.advance(60_000);
  }
  expect(store.documents.size).toBeLessThan(16 + 1 + 26);
  const later = replica();
  await later.tally.exchange();
  expect(later.size.now).toEqual({ bytes: 600, objects: 60 });
  for (const [key, time] of times) expect([key, later.lastUse.of([key])]).toEqual([key, time]);
});

test('100,000 units cost few documents', async () => {
  const { store, replica, clock } = setUp();
  const one = replica();
  await one.count();
  for (let i = 0; i < 100_000; i++) one.lastUse.used(`c/a/${String(i)}`);
  for (let i = 0; i < 30; i++) {
    one.lastUse.used(`c/a/${String(i)}`);
    clock.advance(60_000);
    await one.tally.exchange();
  }
  expect(store.documents.size).toBeLessThan(16 + 1 + 26);
  const bytes = [...store.documents.values()].reduce((sum, { length }) => sum + length, 0);
  expect(bytes).toBeLessThan(3_000_000);
  const later = replica();
  await later.tally.exchange();
  expect(later.lastUse.of(['c/a/99999'])).toBeDefined();
});

describe('a count', () => {
  test('has in it what this process stores and removes meanwhile, behind it and before it', async () => {
    const { store, replica, keep } = setUp();
    for (const key of ['c/a/1', 'c/a/2', 'c/b/1', 'c/b/2']) await keep(key, 100);
    const { size, tally } = replica();
    const change = async function* () {
      for await (const folder of folders(store)) {
        yield folder;
        if (!folder.end.startsWith('c/a')) continue;
        await keep('c/a/3', 10);
        size.stored('c/a/3', 10);
        await store.delete('c/a/1');
        size.removed('c/a/1', 100);
        await keep('c/b/3', 5);
        size.stored('c/b/3', 5);
        await store.delete('c/b/1');
        size.removed('c/b/1', 100);
      }
    };
    await tally.recount(change(), never);
    expect(size.now).toEqual({ bytes: 215, objects: 4 });
  });

  test('sets right what was not told', async () => {
    const { replica, keep } = setUp();
    const one = replica();
    await one.count();
    await keep('c/a/1', 7);
    expect(one.size.now?.bytes).toBe(0);
    await one.count();
    expect(one.size.now).toEqual({ bytes: 7, objects: 1 });
    const two = replica();
    await two.tally.exchange();
    expect(two.size.now).toEqual({ bytes: 7, objects: 1 });
  });

  test('ends when it is told to', async () => {
    const { store, replica } = setUp();
    const over = AbortSignal.abort(new Error('stopped'));
    await expect(replica().tally.recount(folders(store), over)).rejects.toThrow('stopped');
  });
});

test('documents that cannot be read say nothing', async () => {
  const { store, replica, failures } = setUp();
  await store.writeDocument('usage/log/x', Buffer.from('{"bytes":'));
  await store.writeDocument('usage/size', Buffer.from('[]'));
  await store.writeDocument('usage/units/3', Buffer.from('nonsense'));
  const one = replica();
  await one.tally.exchange();
  expect([failures, one.size.now]).toEqual([[], undefined]);
});
