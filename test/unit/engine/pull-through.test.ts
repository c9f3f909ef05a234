import { describe, expect, test } from 'vitest';
import { SMALL_BODY } from '../../../src/engine/spool.ts';
import { Body } from '../../support/body.ts';
import {
  bytesOf,
  content,
  engine,
  failure,
  Feed,
  offline,
  online,
  openFilesBelow,
  sha256,
} from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually, filesBelow } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Body.noise(3 * SMALL_BODY).bytes();

async function served(promise: ReturnType<ReturnType<typeof engine>['pull']['content']>) {
  const { outcome, body, record } = await promise;
  try {
    return { outcome, record, sha256: sha256(await bytesOf(body)), size: body.size };
  } finally {
    body.close();
  }
}

const whole = { sha256: sha256(bytes), size: bytes.length };

describe('content', () => {
  test('is a miss once, then a hit that asks nothing', async () => {
    const { pull, fills } = engine();
    const one = content(key, bytes);
    expect(await served(pull.content(one, online))).toMatchObject({ outcome: 'miss', ...whole });
    await fills.settled();
    for (const ask of [online, offline]) {
      const hit = await served(pull.content(one, ask));
      expect(hit).toMatchObject({ outcome: 'hit', ...whole, record: { sha256: whole.sha256 } });
    }
    expect(one.fetches).toBe(1);
  });

  test('a hundred who ask at once cause one fetch, and each gets all', async () => {
    const { pull, spoolDir } = engine();
    const one = content(key, bytes);
    const all = await Promise.all(
      Array.from({ length: 100 }, () => served(pull.content(one, online))),
    );
    for (const reply of all) expect(reply).toMatchObject({ outcome: 'miss', ...whole });
    expect(one.fetches).toBe(1);
    await eventually('no file is left', () => {
      expect([...filesBelow(spoolDir), ...openFilesBelow(spoolDir)]).toEqual([]);
      return true;
    });
  });

  test('a hundred who ask at once share the failure, who asks within a second too', async () => {
    const { pull, clock, fills } = engine();
    const one = content(key, bytes, { error: failure('upstream_failed') });
    const ask = () => pull.content(one, online);
    const all = await Promise.allSettled(Array.from({ length: 100 }, ask));
    const reason = expect.objectContaining({ code: 'upstream_failed' }) as unknown;
    expect(all).toEqual(all.map(() => ({ status: 'rejected', reason })));
    await fills.settled();
    clock.advance(999);
    await expect(ask()).rejects.toMatchObject({ code: 'upstream_failed' });
    expect(one.fetches).toBe(1);
    clock.advance(1);
    await expect(ask()).rejects.toMatchObject({ code: 'upstream_failed' });
    expect(one.fetches).toBe(2);
  });

  test('what is not there is negative for its TTL', async () => {
    const { pull, clock, fills } = engine({ negativeTtlMs: 5000 });
    const one = content(key, bytes, { error: failure('not_found') });
    const outcomes: string[] = [];
    for (const ms of [0, 4999, 1]) {
      clock.advance(ms);
      await pull.content(one, online).catch((error: unknown) => {
        outcomes.push((error as { outcome: string }).outcome);
      });
      await fills.settled();
    }
    expect(outcomes).toEqual(['miss', 'negative', 'miss']);
    expect(one.fetches).toBe(2);
  });

  test('an overload is not remembered', async () => {
    const { pull, fills } = engine();
    const one = content(key, bytes, { error: failure('overloaded') });
    for (const count of [1, 2]) {
      await expect(pull.content(one, online)).rejects.toMatchObject({ code: 'overloaded' });
      await fills.settled();
      expect(one.fetches).toBe(count);
    }
  });

  test.each([1, 5])(
    '%i who looked into the store just before the fill ended never lead another',
    async (count) => {
      const { pull, store, fills } = engine();
      const one = content(key, bytes);
      const gate = store.hold('open');
      // these have looked, and found nothing
      const slow = Array.from({ length: count }, () => served(pull.content(one, online)));
      await eventually('all have looked', () => gate.arrivals === count);
      fills.joinOrLead(one);
      await fills.settled();
      gate.open();
      for (const reply of await Promise.all(slow)) {
        expect(reply).toMatchObject({ outcome: 'hit', ...whole });
      }
      expect(one.fetches).toBe(1);
    },
  );

  test('two whose look-ups end together lead one fill', async () => {
    const { pull, store } = engine();
    const gate = store.hold('open');
    const one = content(key, bytes);
    const both = [1, 2].map(() => served(pull.content(one, online)));
    await eventually('both have looked', () => gate.arrivals === 2);
    gate.open();
    await Promise.all(both);
    expect(one.fetches).toBe(1);
  });

  test('nothing is fetched for who may not, but a fill under way is joined', async () => {
    const { pull } = engine();
    const feed = new Feed();
    const one = content(key, feed);
    await expect(pull.content(one, offline)).rejects.toMatchObject({ code: 'not_cached' });
    expect(one.fetches).toBe(0);
    const leader = served(pull.content(one, online));
    await eventually('the fetch', () => one.fetches === 1);
    const follower = served(pull.content(one, offline));
    feed.send(bytes);
    feed.end();
    expect(await follower).toEqual(await leader);
  });

  test('a client that leaves cancels nothing', async () => {
    const { pull, store, fills } = engine();
    const feed = new Feed();
    const one = content(key, feed);
    const client = new AbortController();
    const gone = pull.content(one, { mode: 'sync', signal: client.signal });
    const left = expect(gone).rejects.toThrow('the client left');
    await eventually('the fetch', () => one.fetches === 1);
    client.abort(new Error('the client left'));
    await left;
    feed.send(bytes);
    feed.end();
    await fills.settled();
    expect(store.content.get(key)?.record.sha256).toBe(whole.sha256);
  });

  test('reaches its clients when the store cannot keep it, and is fetched again', async () => {
    const { pull, store, events, fills } = engine();
    const one = content(key, bytes);
    store.refuse('stash');
    for (const count of [1, 2]) {
      expect(await served(pull.content(one, online))).toMatchObject({ outcome: 'miss', ...whole });
      await fills.settled();
      expect(one.fetches).toBe(count);
    }
    expect(events.filter(({ name }) => name === 'storeFailed')).toHaveLength(2);
  });

  test('a store that is down is an answer, and heals by itself', async () => {
    const { pull, store } = engine();
    const one = content(key, bytes);
    store.refuse('open', 'record');
    for (const ask of [online, offline]) {
      await expect(pull.content(one, ask)).rejects.toMatchObject({ code: 'store_failed' });
      await expect(pull.head(one, ask)).rejects.toMatchObject({ code: 'store_failed' });
    }
    await expect(pull.record(key)).rejects.toMatchObject({ code: 'store_failed' });
    store.recover();
    expect(await served(pull.content(one, online))).toMatchObject(whole);
    expect(one.fetches).toBe(1);
  });

  test('its record is known as soon as it is checked', async () => {
    const { pull, store, fills } = engine();
    const gate = store.hold('stash');
    expect(await pull.record(key)).toBeUndefined();
    await served(pull.content(content(key, bytes), online));
    expect(await pull.record(key)).toMatchObject({ sha256: whole.sha256 });
    gate.open();
    await fills.settled();
    expect(await pull.record(key)).toMatchObject({ sha256: whole.sha256 });
  });
});

describe('head', () => {
  test('is answered from the store', async () => {
    const { pull, fills } = engine();
    const one = content(key, bytes);
    await served(pull.content(one, online));
    await fills.settled();
    expect(await pull.head(one, offline)).toMatchObject({
      outcome: 'hit',
      body: { size: whole.size },
    });
    expect(one.sizeFetches).toBe(0);
  });

  test('is answered from a fill under way', async () => {
    const { pull } = engine();
    const feed = new Feed();
    const one = content(key, feed, { size: bytes.length });
    const leader = served(pull.content(one, online));
    await eventually('the fetch', () => one.fetches === 1);
    const head = pull.head(one, online);
    feed.send(bytes);
    const { outcome, body } = await head;
    expect({ outcome, size: body.size }).toEqual({ outcome: 'miss', size: bytes.length });
    body.close();
    feed.end();
    await leader;
    expect(one.sizeFetches).toBe(0);
  });

  test('else is one question, which never fills', async () => {
    const { pull, fills } = engine();
    const gate = new Gate();
    const one = content(key, bytes, { gate });
    const all = [1, 2, 3].map(() => pull.head(one, online));
    await gate.reached;
    gate.open();
    for (const head of await Promise.all(all)) {
      expect(head).toMatchObject({ outcome: 'miss', body: { size: bytes.length } });
      expect((await bytesOf(head.body)).length).toBe(0);
    }
    expect(one).toMatchObject({ sizeFetches: 1, fetches: 0 });
    expect(fills.inFlight).toBe(0);
    await pull.head(one, online);
    expect(one.sizeFetches).toBe(2);
    await expect(pull.head(one, offline)).rejects.toMatchObject({ code: 'not_cached' });
  });

  test('shares what it learns of an absence with everybody', async () => {
    const { pull } = engine();
    const one = content(key, bytes, { error: failure('not_found') });
    await expect(pull.head(one, online)).rejects.toMatchObject({ outcome: 'miss' });
    await expect(pull.head(one, online)).rejects.toMatchObject({ outcome: 'negative' });
    await expect(pull.content(one, online)).rejects.toMatchObject({ outcome: 'negative' });
    expect(one).toMatchObject({ sizeFetches: 1, fetches: 0 });
  });
});
