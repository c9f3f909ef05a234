// Engines that share a store and a lock service, as replicas do.

import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import {
  bytesOf,
  content,
  engine,
  failure,
  MemoryStore,
  online,
  Question,
  told,
} from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Buffer.alloc(200_000, 'zip');

function replicas() {
  const shared = { store: new MemoryStore(), lock: new LocalLock() };
  return [engine(shared), engine(shared), engine(shared)] as const;
}

describe('content', () => {
  test('is fetched once, whichever replica is asked', async () => {
    const all = replicas();
    const gate = new Gate();
    const requests = all.map(() => content(key, bytes, { gate }));
    const served = all.map(async ({ pull }, i) => {
      const request = requests[i];
      if (request === undefined) throw new Error('one request each');
      const { body, outcome } = await pull.content(request, online);
      const got = await bytesOf(body);
      body.close();
      return [outcome, got.equals(bytes)];
    });
    await gate.reached;
    gate.open();
    expect(await Promise.all(served)).toEqual(all.map(() => ['miss', true]));
    expect(requests.map((one) => one.fetches).reduce((sum, n) => sum + n)).toBe(1);
  });

  test('fails alike everywhere, by one fetch', async () => {
    const all = replicas();
    const gate = new Gate();
    const requests = all.map(() => content(key, bytes, { gate, error: failure('bad_content') }));
    const served = Promise.allSettled(
      all.map(({ pull }, i) => {
        const request = requests[i];
        if (request === undefined) throw new Error('one request each');
        return pull.content(request, online);
      }),
    );
    await gate.reached;
    gate.open();
    for (const one of await served) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'bad_content' } });
    }
    expect(requests.map((one) => one.fetches).reduce((sum, n) => sum + n)).toBe(1);
  });

  test('goes on elsewhere when the replica that fetches it stops, and nobody there hears of that', async () => {
    const [leader, follower] = replicas();
    const [held, free] = [new Gate(), new Gate()];
    const cut = leader.pull.content(content(key, bytes, { gate: held }), online);
    await held.reached;
    const request = content(key, bytes, { gate: free });
    const served = follower.pull.content(request, online);
    const waits = expect(cut).rejects.toMatchObject({ code: 'overloaded' });
    await leader.fills.stop();
    await waits;
    await free.reached;
    free.open();
    const { body } = await served;
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    expect(request.fetches).toBe(1);
  });

  test('a replica that only waits for another one stops at once', async () => {
    const [leader, follower] = replicas();
    const gate = new Gate();
    const served = leader.pull.content(content(key, bytes, { gate }), online);
    await gate.reached;
    const waiting = follower.pull.content(content(key, bytes), online);
    const fails = expect(waiting).rejects.toMatchObject({ code: 'overloaded' });
    await eventually('it waits', () => follower.fills.inFlight === 1);
    await follower.fills.stop();
    await fails;
    await expect(follower.pull.content(content(key, bytes), online)).rejects.toThrow(/stopping/);
    gate.open();
    (await served).body.close();
  });

  test('that another replica stored is no word on what this one fetched', async () => {
    const [one, two] = replicas();
    const gate = new Gate();
    const ends: [string, boolean][] = [];
    const request = (name: string) =>
      Object.assign(content(key, bytes, { gate }), {
        onEnd: (stored: boolean) => void ends.push([name, stored]),
      });
    const served = [one.pull.content(request('one'), online)];
    await gate.reached;
    served.push(two.pull.content(request('two'), online));
    gate.open();
    for (const { body } of await Promise.all(served)) body.close();
    await eventually('both are over', () => {
      expect(Object.fromEntries(ends)).toEqual({ one: true, two: false });
      return Promise.resolve(true);
    });
  });
});

describe('an answer', () => {
  const ask = (all: ReturnType<typeof replicas>, questions: Question[]) =>
    all.map(({ pull }, i) => {
      const question = questions[i];
      if (question === undefined) throw new Error('one question each');
      return told(pull.answer(question, online));
    });

  test('is asked for once, at first and when it is out of date, also when it is never fresh', async () => {
    for (const ttlMs of [60_000, 0]) {
      const all = replicas();
      const questions = all.map(() => new Question('answers/x', 'one', { ttlMs }));
      for (const [outcome, says] of [
        ['miss', 'one'],
        ['revalidated', 'two'],
      ] as const) {
        const gate = new Gate();
        for (const question of questions) Object.assign(question, { gate, says });
        const answers = ask(all, questions);
        await gate.reached;
        gate.open();
        for (const one of await Promise.all(answers)) {
          expect(one.slice(0, 2)).toEqual([outcome, says]);
        }
        for (const { clock } of all) clock.advance(60_001);
      }
      expect(questions.reduce((sum, { asked }) => sum + asked, 0)).toBe(2);
    }
  });

  test('that fails stands in stale everywhere, by one question', async () => {
    const all = replicas();
    const questions = all.map(() => new Question('answers/x', 'one'));
    await Promise.all(ask(all, questions));
    for (const { clock } of all) clock.advance(60_001);
    const gate = new Gate();
    for (const question of questions)
      Object.assign(question, { gate, says: failure('upstream_failed') });
    const answers = ask(all, questions);
    await gate.reached;
    gate.open();
    for (const one of await Promise.all(answers)) expect(one).toEqual(['stale', 'one', 0]);
    expect(questions.reduce((sum, { asked }) => sum + asked, 0)).toBe(2);
  });
});
