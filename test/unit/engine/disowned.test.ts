// Fills of what is purged while they are under way.

import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import type { Lock } from '../../../src/engine/ports.ts';
import { expectLease } from '../../support/leases.ts';
import {
  bytesOf,
  content,
  engine,
  failure,
  Feed,
  MemoryStore,
  never,
  online,
  type Content,
} from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Buffer.alloc(200_000, 'old');
const fresh = Buffer.alloc(200_000, 'new');
const isKey = (one: string) => one === key;

/** What a client gets that asks now. */
async function got({ pull }: ReturnType<typeof engine>, request: Content): Promise<string> {
  const { body } = await pull.content(request, online);
  try {
    return (await bytesOf(body)).toString();
  } finally {
    body.close();
  }
}

const isFree = async (lock: Lock): Promise<boolean> => {
  const lease = expectLease(await lock.acquire({ key, scope: 'purge', signal: never }));
  await lease.release();
  return true;
};

describe('a fill in the making', () => {
  test('reaches its clients and is kept by nobody; the next request fetches anew at once', async () => {
    const one = engine();
    const ends: boolean[] = [];
    const feed = new Feed();
    const first = Object.assign(content(key, feed), {
      onEnd: (stored: boolean) => void ends.push(stored),
    });
    const waiting = got(one, first);
    feed.send(bytes.subarray(0, 100_000));
    await eventually('it fetches', () => first.fetches === 1);
    await one.pull.forget(isKey);
    expect(one.fills.get(key)).toBeUndefined();
    expect(one.fills.inFlight).toBe(1);
    // while the other is still under way
    const second = content(key, fresh);
    expect(await got(one, second)).toBe(fresh.toString());
    await eventually('it is stored', () => one.fills.inFlight === 1);
    feed.send(bytes.subarray(100_000));
    feed.end();
    expect(await waiting).toBe(bytes.toString());
    await one.fills.settled();
    expect(one.fills.inFlight).toBe(0);
    expect(one.store.content.get(key)?.bytes).toEqual(fresh);
    expect(ends).toEqual([false]);
    expect(one.events.filter(({ name }) => name === 'fillEnded')).toMatchObject([
      { outcome: 'stored' },
      { outcome: 'purged' },
    ]);
  });

  test('is not just stored, and its failure is not remembered', async () => {
    const { pull, fills, failures } = engine();
    const gates = [new Gate(), new Gate()] as const;
    fills.joinOrLead(content(key, bytes, { checkGate: gates[0] }));
    fills.joinOrLead(content('bad', bytes, { gate: gates[1], error: failure('not_found') }));
    await Promise.all(gates.map(({ reached }) => reached));
    await pull.forget(() => true);
    for (const gate of gates) gate.open();
    await fills.settled();
    expect(fills.wasJustStored(key)).toBe(false);
    expect(failures.get('bad')).toBeUndefined();
  });

  test('leaves all others alone', async () => {
    const { pull, fills, store } = engine();
    const gate = new Gate();
    const fill = fills.joinOrLead(content(key, bytes, { gate }));
    await gate.reached;
    await pull.forget((one) => one === `${key}x`);
    expect(fills.get(key)).toBe(fill);
    gate.open();
    await fills.settled();
    expect(store.content.has(key)).toBe(true);
  });

  test('is meant by the name that it is fetched in, too', async () => {
    const { pull, fills, store } = engine();
    const gate = new Gate();
    fills.joinOrLead({ ...content(key, bytes, { gate }), failureKey: 'repository/blob' });
    await gate.reached;
    await pull.forget((one) => one === 'repository/blob');
    gate.open();
    await fills.settled();
    expect(store.content.size).toBe(0);
  });

  test('gives its lease back at once', async () => {
    const lock = new LocalLock();
    const { pull, fills } = engine({ lock });
    const gate = new Gate();
    fills.joinOrLead(content(key, bytes, { gate }));
    await gate.reached;
    await pull.forget(isKey);
    expect(await isFree(lock)).toBe(true);
    gate.open();
    await fills.settled();
  });

  test('whose stash has begun is waited for, with its lease, and told to nobody', async () => {
    const lock = new LocalLock();
    const { pull, fills, store, events } = engine({ lock });
    const gate = store.hold('stash');
    fills.joinOrLead(content(key, bytes));
    await gate.reached;
    const order: string[] = [];
    const forgotten = pull.forget(isKey).then(() => order.push('forgotten'));
    // who announces it again waits as well
    const again = pull.forget(isKey).then(() => order.push('forgotten'));
    const freed = isFree(lock).then(() => order.push('free'));
    await pull.forget((one) => one === 'something else');
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    store.holdNoMore('stash');
    gate.open();
    await Promise.all([forgotten, again, freed]);
    await fills.settled();
    expect(order).toEqual(['forgotten', 'forgotten', 'free']);
    // there to be deleted, and counted until then
    expect(store.content.has(key)).toBe(true);
    expect(events).toContainEqual({ name: 'added', key, bytes: bytes.length });
    expect(fills.wasJustStored(key)).toBe(false);
    expect(events.filter(({ name }) => name === 'stored')).toEqual([]);
  });

  test('waits for no lease any more', async () => {
    const lock = new LocalLock();
    const one = engine({ lock });
    const elsewhere = expectLease(await lock.acquire({ key, scope: key, signal: never }));
    const waiting = got(one, content(key, bytes));
    await eventually('it waits', () => one.fills.get(key) !== undefined);
    await one.pull.forget(isKey);
    expect(await waiting).toBe(bytes.toString());
    await one.fills.settled();
    expect(one.store.content.size).toBe(0);
    await elsewhere.release();
    expect(await isFree(lock)).toBe(true);
  });
});

describe('on another replica', () => {
  function replicas() {
    const shared = { store: new MemoryStore(), lock: new LocalLock() };
    return [engine(shared), engine(shared), shared] as const;
  }

  test('a fill that waits for the one that is purged fetches by itself, and keeps nothing', async () => {
    const [one, two, { store }] = replicas();
    const gate = new Gate();
    const leading = got(one, content(key, bytes, { gate }));
    await gate.reached;
    const follower = content(key, bytes);
    const following = got(two, follower);
    await eventually('it waits', () => two.fills.get(key) !== undefined);
    await Promise.all([one.pull.forget(isKey), two.pull.forget(isKey)]);
    expect(await following).toBe(bytes.toString());
    gate.open();
    expect(await leading).toBe(bytes.toString());
    await Promise.all([one.fills.settled(), two.fills.settled()]);
    expect(follower.fetches).toBe(1);
    expect(store.content.size).toBe(0);
  });

  test('a fill whose content is deleted before it could read it fetches it', async () => {
    const [one, two, { store }] = replicas();
    const gate = new Gate();
    const leading = got(one, content(key, bytes, { gate }));
    await gate.reached;
    const follower = content(key, fresh);
    const following = got(two, follower);
    await eventually('it waits', () => two.fills.get(key) !== undefined);
    const seen = store.hold('record');
    gate.open();
    await leading;
    await seen.reached;
    store.holdNoMore('record');
    await one.pull.forget(isKey);
    await store.delete(key);
    seen.open();
    expect(await following).toBe(fresh.toString());
    await two.fills.settled();
    expect(store.content.get(key)?.bytes).toEqual(fresh);
  });

  test('a fill that reads what is stored meanwhile gets all of it, and nobody joins it', async () => {
    const [one, two, { store }] = replicas();
    const gate = new Gate();
    const leading = got(one, content(key, bytes, { gate }));
    await gate.reached;
    const following = got(two, content(key, fresh));
    await eventually('it waits', () => two.fills.get(key) !== undefined);
    const opening = store.hold('open');
    gate.open();
    await leading;
    await opening.reached;
    store.holdNoMore('open');
    await Promise.all([one.pull.forget(isKey), two.pull.forget(isKey)]);
    await store.delete(key);
    const anew = got(two, content(key, fresh));
    opening.open();
    expect(await following).toBe(bytes.toString());
    expect(await anew).toBe(fresh.toString());
  });
});
