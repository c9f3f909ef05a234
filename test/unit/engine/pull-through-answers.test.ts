import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../../src/engine/errors.ts';
import { content, engine, failure, offline, online, Question, told } from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually } from '../../support/tmp.ts';

const minute = 60_000;

describe('an answer', () => {
  test('is a miss, then a hit that asks nothing, then revalidated', async () => {
    const { pull, clock, store } = engine();
    const list = new Question('list', 'one');
    expect(await told(pull.answer(list, online))).toEqual(['miss', 'one', minute]);
    const reads = store.calls.length;
    clock.advance(minute - 1);
    for (const ask of [online, offline]) {
      expect(await told(pull.answer(list, ask))).toEqual(['hit', 'one', 1]);
    }
    expect(store.calls).toHaveLength(reads);
    clock.advance(1);
    list.says = 'two';
    expect(await told(pull.answer(list, online))).toEqual(['revalidated', 'two', minute]);
    expect(list.asked).toBe(2);
  });

  test('outlives the process', async () => {
    const { pull, store, clock } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    const restarted = engine();
    for (const [name, document] of store.documents) restarted.store.documents.set(name, document);
    restarted.clock.advance(clock.now() - restarted.clock.now());
    expect(await told(restarted.pull.answer(list, online))).toEqual(['hit', 'one', minute]);
    expect(list.asked).toBe(1);
  });

  test('a hundred who ask at once cause one question, for the first time and later', async () => {
    const { pull, clock } = engine();
    const list = new Question('list', 'one');
    for (const count of [1, 2]) {
      const all = Array.from({ length: 100 }, () => told(pull.answer(list, online)));
      const outcome = count === 1 ? 'miss' : 'revalidated';
      for (const one of await Promise.all(all)) expect(one).toEqual([outcome, 'one', minute]);
      expect(list.asked).toBe(count);
      clock.advance(minute);
    }
  });

  test('who looked into the store just before it came does not ask again', async () => {
    const { pull, store, clock } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    clock.advance(minute);
    list.says = 'two';
    const gate = store.hold('readDocument');
    const slow = told(pull.answer(list, online));
    await gate.reached;
    store.holdNoMore('readDocument');
    expect(await told(pull.answer(list, online))).toEqual(['revalidated', 'two', minute]);
    gate.open();
    expect(await slow).toEqual(['hit', 'two', minute]);
    expect(list.asked).toBe(2);
  });

  test('is refreshed behind the one who is served, within its time', async () => {
    const { pull, clock, fills } = engine();
    const list = new Question('list', 'one', { staleWhileRevalidateMs: minute });
    await pull.answer(list, online);
    clock.advance(minute);
    list.says = 'two';
    expect(await told(pull.answer(list, online))).toEqual(['stale', 'one', 0]);
    await eventually(
      'the refresh',
      async () => (await told(pull.answer(list, online)))[0] === 'hit',
    );
    expect(await told(pull.answer(list, online))).toEqual(['hit', 'two', minute]);
    expect(list.asked).toBe(2);
    await fills.settled();
  });

  test('that is expired asks first, and is bridged all the same', async () => {
    const { pull, answers } = engine();
    const list = new Question('list', 'one', { staleWhileRevalidateMs: minute });
    await pull.answer(list, online);
    await answers.expire('list');
    list.says = 'two';
    expect(await told(pull.answer(list, online))).toEqual(['revalidated', 'two', minute]);
    await answers.expire('list');
    list.says = failure('upstream_failed');
    expect(await told(pull.answer(list, online))).toEqual(['stale', 'two', 0]);
  });

  test('without an upstream is what the store can say, else what is held', async () => {
    const { pull, clock } = engine();
    const list = new Question('list', 'one');
    await expect(pull.answer(list, offline)).rejects.toMatchObject({ code: 'not_cached' });
    await pull.answer(list, online);
    clock.advance(minute);
    expect(await told(pull.answer(list, offline))).toEqual(['stale', 'one', 0]);
    let composed: string | undefined = 'of the store';
    list.fallback = () =>
      Promise.resolve(
        composed === undefined ? undefined : { bytes: Buffer.from(composed), source: 'store' },
      );
    expect(await told(pull.answer(list, offline))).toEqual(['hit', 'of the store', 0]);
    composed = undefined;
    await expect(pull.answer(list, offline)).rejects.toMatchObject({ code: 'not_cached' });
    expect(list.asked).toBe(1);
  });
});

describe('an upstream that fails', () => {
  const causes: readonly [ErrorCode, 'stale' | 'told'][] = [
    ['upstream_failed', 'stale'],
    ['upstream_timeout', 'stale'],
    ['rate_limited', 'stale'],
    ['overloaded', 'stale'],
    ['bad_content', 'stale'],
    ['upstream_forbidden', 'told'],
    ['upstream_unauthorized', 'told'],
    ['checksum_mismatch', 'told'],
    ['denied', 'told'],
    ['not_found', 'told'],
  ];

  test.each(causes)('%s is bridged by what is held, or not: %s', async (code, what) => {
    const { pull, clock, events } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    clock.advance(minute);
    list.says = failure(code);
    if (what === 'told') {
      await expect(pull.answer(list, online)).rejects.toBe(list.says);
      return;
    }
    expect(await told(pull.answer(list, online))).toEqual(['stale', 'one', 0]);
    const event = { name: 'staleServed', key: 'list', error: list.says };
    expect(events.filter(({ name }) => name === 'staleServed')).toEqual([event]);
  });

  test.each(causes.filter(([, what]) => what === 'stale'))(
    '%s is no longer bridged by what is too old',
    async (code) => {
      const { pull, clock } = engine();
      const list = new Question('list', 'one');
      await pull.answer(list, online);
      clock.advance(11 * minute);
      list.says = failure(code);
      await expect(pull.answer(list, online)).rejects.toBe(list.says);
    },
  );

  test('costs one question a TTL, however many ask', async () => {
    const { pull, clock } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    list.says = failure('upstream_timeout');
    clock.advance(minute);
    for (const count of [2, 3]) {
      for (const ms of [0, 1, minute - 2]) {
        clock.advance(ms);
        const all = [1, 2, 3].map(() => told(pull.answer(list, online)));
        for (const one of await Promise.all(all)) expect(one).toEqual(['stale', 'one', 0]);
      }
      expect(list.asked).toBe(count);
      clock.advance(1);
    }
  });

  test.each<[string, ErrorCode, number]>([
    ['nothing is held', 'upstream_timeout', 0],
    ['what is held is too old', 'upstream_timeout', 11 * minute],
    ['the cause may not be bridged', 'upstream_forbidden', minute],
  ])('costs one question a second when %s', async (_, code, age) => {
    const { pull, clock } = engine();
    const list = new Question('list', 'one');
    if (age > 0) await pull.answer(list, online);
    clock.advance(age);
    list.says = failure(code);
    const before = list.asked;
    for (const ms of [0, 999]) {
      clock.advance(ms);
      await expect(pull.answer(list, online)).rejects.toMatchObject({ code });
    }
    expect(list.asked).toBe(before + 1);
    clock.advance(1);
    await expect(pull.answer(list, online)).rejects.toMatchObject({ code });
    expect(list.asked).toBe(before + 2);
  });

  test('an overload of Larder itself moves no clock on', async () => {
    const { pull, clock } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    clock.advance(minute);
    list.says = failure('overloaded');
    expect(await told(pull.answer(list, online))).toEqual(['stale', 'one', 0]);
    list.says = 'two';
    expect(await told(pull.answer(list, online))).toEqual(['revalidated', 'two', minute]);
  });

  test('404: what was held is gone for good, and negative for its TTL', async () => {
    const { pull, clock, store } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    clock.advance(minute);
    list.says = failure('not_found');
    await expect(pull.answer(list, online)).rejects.toMatchObject({ outcome: 'miss' });
    await expect(pull.answer(list, online)).rejects.toMatchObject({ outcome: 'negative' });
    expect(store.documents.size).toBe(0);
    await expect(pull.answer(list, offline)).rejects.toMatchObject({ code: 'not_cached' });
    expect(list.asked).toBe(2);
  });

  test.each<ErrorCode>(['upstream_forbidden', 'upstream_unauthorized'])(
    '%s behind one who was served stale: the next asks first',
    async (code) => {
      const { pull, clock, store } = engine();
      const list = new Question('list', 'one', { staleWhileRevalidateMs: 10 * minute });
      await pull.answer(list, online);
      clock.advance(minute);
      list.says = failure(code);
      expect(await told(pull.answer(list, online))).toEqual(['stale', 'one', 0]);
      await eventually('the answer is forgotten', () => !store.documents.has('list'));
      for (const ms of [1, 2000]) {
        clock.advance(ms);
        await expect(pull.answer(list, online)).rejects.toMatchObject({ code });
      }
      expect(list.asked).toBe(3);
      // access may have been withdrawn: an upstream that is down afterwards brings nothing back
      clock.advance(2000);
      list.says = failure('upstream_failed');
      await expect(pull.answer(list, online)).rejects.toMatchObject({ code: 'upstream_failed' });
    },
  );

  test.each([failure('upstream_forbidden'), new TypeError('a mistake')])(
    'a refresh that fails behind with %s is told to nobody but the listener',
    async (says) => {
      const { pull, clock, events } = engine();
      const list = new Question('list', 'one', { staleWhileRevalidateMs: minute });
      await pull.answer(list, online);
      clock.advance(minute);
      list.says = says;
      expect(await told(pull.answer(list, online))).toEqual(['stale', 'one', 0]);
      await eventually('the listener is told', () => events.some(({ error }) => error === says));
    },
  );

  test('what the store can say stands in where nothing is held', async () => {
    const { pull, events } = engine();
    const list = new Question('list', failure('upstream_failed'));
    list.fallback = () => Promise.resolve({ bytes: Buffer.from('composed'), source: 'store' });
    expect(await told(pull.answer(list, online))).toEqual(['stale', 'composed', 0]);
    expect(events).toMatchObject([{ name: 'staleServed', key: 'list' }]);
    list.says = failure('upstream_forbidden');
    const other = Object.assign(new Question('other', list.says), { fallback: list.fallback });
    await expect(pull.answer(other, online)).rejects.toBe(list.says);
  });
});

describe('a store that fails', () => {
  test('what came is served, kept in memory, and told to the listener', async () => {
    const { pull, store, events } = engine();
    store.refuse('writeDocument');
    const list = new Question('list', 'one');
    expect(await told(pull.answer(list, online))).toEqual(['miss', 'one', minute]);
    expect(await told(pull.answer(list, online))).toEqual(['hit', 'one', minute]);
    expect(list.asked).toBe(1);
    expect(events).toMatchObject([{ name: 'storeFailed', key: 'list', operation: 'answer' }]);
  });

  test('a stale answer that it cannot rewrite is still served', async () => {
    const { pull, store, clock, events } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    clock.advance(minute);
    store.refuse('writeDocument');
    list.says = failure('upstream_failed');
    for (const ms of [0, 999]) {
      clock.advance(ms);
      expect(await told(pull.answer(list, online))).toEqual(['stale', 'one', 0]);
    }
    // the store has forgotten the failure, the memory of failures has not
    expect(list.asked).toBe(2);
    expect(events).toContainEqual(expect.objectContaining({ name: 'storeFailed' }));
  });

  test('a 404 is a 404 when what is held cannot be deleted', async () => {
    const { pull, store, clock } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    clock.advance(minute);
    store.refuse('delete');
    list.says = failure('not_found');
    await expect(pull.answer(list, online)).rejects.toMatchObject({ outcome: 'miss' });
    await expect(pull.answer(list, online)).rejects.toMatchObject({ outcome: 'negative' });
    expect(list.asked).toBe(2);
  });

  test('that cannot be read is an answer for what is not in memory', async () => {
    const { pull, store } = engine();
    const list = new Question('list', 'one');
    await pull.answer(list, online);
    store.refuse('readDocument');
    expect(await told(pull.answer(list, online))).toEqual(['hit', 'one', minute]);
    const other = new Question('other', 'one');
    await expect(pull.answer(other, online)).rejects.toMatchObject({ code: 'store_failed' });
    expect(other.asked).toBe(0);
  });
});

describe('questions', () => {
  test('are bounded; past their queue, 503, or what is held; every place comes back', async () => {
    const { pull, clock } = engine();
    const held = new Question('held', 'one');
    await pull.answer(held, online);
    clock.advance(minute);
    const gate = new Gate();
    const all = Array.from({ length: 256 + 4096 }, (_, i) =>
      Object.assign(new Question(String(i), 'one'), { gate }),
    );
    const waiting = Promise.allSettled(all.map((one) => pull.answer(one, online)));
    await eventually('the places are taken', () => gate.arrivals === 256);
    const late = new Question('late', 'one');
    await expect(pull.answer(late, online)).rejects.toMatchObject({ code: 'overloaded' });
    await expect(pull.head(content('zip', Buffer.of()), online)).rejects.toMatchObject({
      code: 'overloaded',
    });
    expect(await told(pull.answer(held, online))).toEqual(['stale', 'one', 0]);
    expect([late.asked, held.asked]).toEqual([0, 1]);
    for (const one of all.slice(0, 100)) one.says = failure('not_found');
    gate.open();
    await waiting;
    expect(all.filter(({ asked }) => asked === 1)).toHaveLength(all.length);
    expect(await told(pull.answer(late, online))).toEqual(['miss', 'one', minute]);
  });

  test('end when the server stops', async () => {
    const { pull } = engine();
    const list = Object.assign(new Question('list', 'one'), { gate: new Gate() });
    const waiting = pull.answer(list, online);
    await list.gate.reached;
    pull.close();
    await expect(waiting).rejects.toMatchObject({ code: 'overloaded' });
  });
});
