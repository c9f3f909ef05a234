// What a collection is, whatever it finds: one at a time, cancelled, due, and answers past any use.

import { beforeEach, describe, expect, test } from 'vitest';
import { LocalAnnouncements } from '../../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { OldAnnouncements } from '../../../src/coordination/old-announcements.ts';
import { Answers, confirmed } from '../../../src/engine/answers.ts';
import type { Sweeper } from '../../../src/engine/collection.ts';
import { Collector } from '../../../src/references/collect.ts';
import { ExpiredAnswers } from '../../../src/references/expired-answers.ts';
import { Purger } from '../../../src/references/purge.ts';
import { ManualClock, MemoryStore } from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';

const never = new AbortController().signal;
const nothing = { count: 0, freedBytes: 0, collected: [] };
const DAY = 86_400_000;

let store: MemoryStore;
let clock: ManualClock;
let lock: LocalLock;
beforeEach(() => {
  store = new MemoryStore();
  clock = new ManualClock();
  lock = new LocalLock();
});

function collectorOf(sweepers: readonly Sweeper[], keepsAll = false): Collector {
  const purger = new Purger({ store, lock, announcements: new LocalAnnouncements() });
  const { now } = clock;
  return new Collector({ store, lock, purger, sweepers, graceMs: 0, keepsAll, now });
}

/** Finds so many names, of no bytes, each at its gate. */
const finding = (names: readonly string[], gate?: Gate): Sweeper => ({
  async *orphans(search) {
    search.expect(names.length);
    for (const name of names) {
      await gate?.pass(search.signal);
      yield {
        found: { names: [name], freedBytes: 1 },
        scope: { keys: [], folders: [] },
        plan: () => Promise.resolve({ names: [name], documents: [], contents: [] }),
      };
      search.step();
    }
  },
});

test('tells how far it is, and a thousand names at most', async () => {
  const names = Array.from({ length: 1001 }, (_, at) => `oci:${String(at)}`);
  const told: unknown[] = [];
  const { count, collected } = await collectorOf([finding(names), finding(['more'])]).run(
    { dryRun: false },
    never,
    (now) => told.push(now),
  );
  expect([count, collected]).toEqual([1002, names.slice(0, 1000)]);
  expect(told.at(0)).toEqual({ done: 0, total: 1001 });
  expect(told.at(-1)).toEqual({ done: 1002, total: 1002 });
});

test('keeps all where it is told to', async () => {
  const { skipped, ...counts } = await collectorOf([finding(['x'])], true).run(
    { dryRun: false },
    never,
  );
  expect([counts, skipped]).toEqual([nothing, expect.stringContaining('LARDER_KEEP')]);
});

test('ends when it is cancelled, and lets the next one begin', async () => {
  const gate = new Gate();
  const cancelling = new AbortController();
  const collector = collectorOf([finding(['x'], gate)]);
  const running = collector.run({ dryRun: false }, cancelling.signal);
  await gate.reached;
  const next = collector.run({ dryRun: true }, never);
  cancelling.abort(new Error('cancelled'));
  await expect(running).rejects.toThrow('cancelled');
  gate.open();
  expect((await next).count).toBe(1);
});

test('is due when the last one ended long enough ago, whoever made it; a dry run is none', async () => {
  const collector = collectorOf([finding(['x'])]);
  expect(await collector.isDue(DAY)).toBe(true);
  await collector.run({ dryRun: true }, never);
  expect(await collector.isDue(DAY)).toBe(true);
  await collector.run({ dryRun: false, dueMs: DAY }, never);
  const another = collectorOf([finding(['y'])]);
  expect(await another.isDue(DAY)).toBe(false);
  expect(await another.run({ dryRun: false, dueMs: DAY }, never)).toMatchObject(nothing);
  clock.advance(DAY);
  expect((await another.run({ dryRun: false, dueMs: DAY }, never)).count).toBe(1);
});

describe('answers', () => {
  const sweeper = () => new ExpiredAnswers(store, [{ folder: 'answers/go', usableMs: DAY }]);
  const keep = (key: string) =>
    new Answers(store).keep(
      key,
      confirmed({ bytes: Buffer.from(key), source: 'test' }, undefined, clock.now()),
    );
  const run = (dryRun = false) => collectorOf([sweeper()]).run({ dryRun }, never);
  const answers = () => [...store.documents.keys()].filter((key) => key.startsWith('answers/'));

  test('go when nothing can be given of them any more, and do not count', async () => {
    await keep('answers/go/a.test/m/@v/list');
    await keep('answers/index/2026-01-02/x');
    clock.advance(DAY);
    await keep('answers/go/a.test/m/@latest');
    expect(await run(true)).toEqual(nothing);
    expect(answers()).toHaveLength(3);
    expect(await run()).toEqual(nothing);
    expect(answers()).toEqual(['answers/index/2026-01-02/x', 'answers/go/a.test/m/@latest']);
  });

  test('stay where they cannot be read, and where they were confirmed meanwhile', async () => {
    await store.writeDocument('answers/go/a.test/m/@latest', Buffer.from('{"newer":1}\nx'));
    await keep('answers/go/a.test/m/@v/list');
    clock.advance(DAY);
    for await (const found of sweeper().orphans({
      now: clock.now(),
      graceMs: 0,
      dryRun: false,
      signal: never,
      expect: () => undefined,
      step: () => undefined,
    })) {
      expect(found.scope.keys).toEqual(['answers/go/a.test/m/@v/list']);
      await keep('answers/go/a.test/m/@v/list');
      expect((await found.plan()).documents).toEqual([[]]);
    }
    expect(answers()).toHaveLength(2);
  });

  test('are many', async () => {
    for (let number = 0; number < 600; number++)
      await keep(`answers/go/a.test/m${String(number)}/@v/list`);
    clock.advance(DAY);
    await run();
    expect(answers()).toEqual([]);
  });
});

test('announcements of an hour ago go', async () => {
  const at = (ms: number) => `answers/purges/${new Date(clock.now() - ms).toISOString()}-x`;
  for (const key of [at(DAY), at(1000), 'answers/purges/other'])
    await store.writeDocument(key, Buffer.from('{}'));
  await collectorOf([new OldAnnouncements(store)]).run({ dryRun: false }, never);
  expect([...store.documents.keys()].filter((key) => key.startsWith('answers/'))).toEqual([
    at(1000),
    'answers/purges/other',
  ]);
});
