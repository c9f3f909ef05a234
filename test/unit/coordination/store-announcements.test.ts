import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { LocalAnnouncements } from '../../../src/coordination/local-announcements.ts';
import { StoreAnnouncements } from '../../../src/coordination/store-announcements.ts';
import { EVERYTHING, within, type PurgeScope } from '../../../src/engine/purge-plan.ts';
import { failure, ManualClock, MemoryStore } from '../../support/engine.ts';

const folder = 'answers/purges';
const scope: PurgeScope = { keys: ['a', 'b'], folders: ['c'] };
/** As it is heard: in messages. */
const heardScope = [
  { keys: ['a', 'b'], folders: [] },
  { keys: [], folders: ['c'] },
];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** Time comes for a look. */
const look = () => vi.advanceTimersByTimeAsync(5000);

async function replica(store: MemoryStore, redis?: { hearing: number | undefined }) {
  const local = new LocalAnnouncements();
  const clock = new ManualClock();
  const heard: unknown[] = [];
  const errors: unknown[] = [];
  const announcements = await StoreAnnouncements.open({
    store,
    local,
    carrier: local,
    redis,
    now: clock.now,
    failed: (error) => errors.push(error),
  });
  announcements.subscribe(({ keys, folders }) => void heard.push({ keys, folders }));
  return { announcements, heard, errors, clock, local };
}

const lists = ({ calls }: MemoryStore) => calls.filter((call) => call === `list ${folder}`).length;

describe('without Redis', () => {
  test('what one announces the others find, once', async () => {
    const store = new MemoryStore();
    const [one, two] = [await replica(store), await replica(store)];
    await one.announcements.announce(scope);
    expect(one.heard).toEqual([scope]);
    expect(two.heard).toEqual([]);
    for (let i = 0; i < 3; i++) await look();
    expect(two.heard).toEqual(heardScope);
    expect(one.heard).toEqual([scope]);
    expect([...one.errors, ...two.errors]).toEqual([]);
    await one.announcements.close();
    await two.announcements.close();
    await two.local.announce(scope);
    await look();
    expect(lists(store)).toBe(2 + 1 + 6);
  });

  test('what is there at the start is no news, whatever the clocks say', async () => {
    const store = new MemoryStore();
    const [early, late] = [await replica(store), await replica(store)];
    early.clock.advance(-3_600_000);
    late.clock.advance(3_600_000);
    await late.announcements.announce(scope);
    const two = await replica(store);
    await early.announcements.announce({ keys: ['later'], folders: [] });
    await look();
    expect(two.heard).toEqual([{ keys: ['later'], folders: [] }]);
    expect(early.heard).toHaveLength(3);
    expect(late.heard).toHaveLength(2);
  });

  test('what is spoiled is told, may have been of anything, and hides nothing else', async () => {
    const store = new MemoryStore();
    const [one, two] = [await replica(store), await replica(store)];
    store.documents.set(`${folder}/0000`, Buffer.from('{"keys":'));
    await one.announcements.announce(scope);
    for (let i = 0; i < 2; i++) await look();
    expect(two.heard).toEqual([EVERYTHING, ...heardScope]);
    expect(within(EVERYTHING)('oci/blobs/sha256/00/00')).toBe(true);
    expect(two.errors).toHaveLength(1);
  });

  test('a handler that fails keeps no announcement from the others, nor from being over', async () => {
    const store = new MemoryStore();
    const [one, two] = [await replica(store), await replica(store)];
    const error = failure('store_failed');
    two.announcements.subscribe(() => Promise.reject(error));
    await one.announcements.announce(scope);
    for (let i = 0; i < 2; i++) await look();
    expect(two.heard).toEqual(heardScope);
    expect(two.errors).toEqual([error, error]);
  });

  test('the store that fails is told, and looked into again', async () => {
    const store = new MemoryStore();
    const [one, two] = [await replica(store), await replica(store)];
    store.refuse('writeDocument');
    await one.announcements.announce(scope);
    expect(one.errors).toMatchObject([{ code: 'store_failed' }]);
    store.recover();
    await one.announcements.announce(scope);
    store.refuse('readDocument');
    await look();
    expect(two.heard).toEqual([]);
    expect(two.errors).toMatchObject([{ code: 'store_failed' }]);
    store.recover();
    await look();
    expect(two.heard).toEqual(heardScope);
  });

  test('a store that is away at the start is looked into as soon as it is there', async () => {
    const store = new MemoryStore();
    await (await replica(store)).announcements.announce(scope);
    vi.spyOn(store, 'list').mockRejectedValueOnce(failure('store_failed'));
    const two = await replica(store);
    expect(two.errors).toHaveLength(1);
    await look();
    expect(two.heard).toEqual(heardScope);
  });

  test('a store that hangs at the start is not waited for, and looked into when it answers', async () => {
    const store = new MemoryStore();
    await (await replica(store)).announcements.announce(scope);
    vi.spyOn(store, 'list').mockReturnValueOnce(new Promise(() => undefined));
    const two = await replica(store);
    await look();
    expect(two.heard).toEqual(heardScope);
  });

  test('what was seen ten minutes ago is removed by whoever announces next', async () => {
    const store = new MemoryStore();
    const [one, two] = [await replica(store), await replica(store)];
    const names = () => store.documents.size;
    await one.announcements.announce(scope);
    await look();
    two.clock.advance(10 * 60_000 - 1);
    await two.announcements.announce(scope);
    expect(names()).toBe(2);
    two.clock.advance(1);
    await two.announcements.announce(scope);
    expect(names()).toBe(2);
    await look();
    expect(one.heard).toHaveLength(1 + 2 * heardScope.length);
  });

  test('nothing is nothing to tell', async () => {
    const store = new MemoryStore();
    await (await replica(store)).announcements.announce({ keys: [], folders: [] });
    expect(store.documents.size).toBe(0);
  });
});

describe('with Redis', () => {
  test('nobody looks while it is heard; once after it was not, and all the time while it is not', async () => {
    const store = new MemoryStore();
    const redis: { hearing: number | undefined } = { hearing: 1 };
    const [one, two] = [await replica(store, redis), await replica(store, redis)];
    await one.announcements.announce(scope);
    const before = lists(store);
    for (let i = 0; i < 3; i++) await look();
    expect(lists(store)).toBe(before);
    // another subscription than before
    redis.hearing = 2;
    for (let i = 0; i < 3; i++) await look();
    expect(lists(store)).toBe(before + 2);
    expect(two.heard).toEqual(heardScope);
    redis.hearing = undefined;
    for (let i = 0; i < 3; i++) await look();
    expect(lists(store)).toBe(before + 8);
    // the same one, which a look in between did not see
    redis.hearing = 2;
    for (let i = 0; i < 3; i++) await look();
    expect(lists(store)).toBe(before + 10);
  });
});
