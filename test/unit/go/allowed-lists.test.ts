import { expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { AllowedLists } from '../../../src/go/allowed-lists.ts';
import type { Allowed, GoGate } from '../../../src/go/gate.ts';

const list = Buffer.from('v1.0.0\nv1.1.0\n');
const ask = { mode: 'sync', signal: new AbortController().signal } as const;

/** A gate whose answers are given by hand, in the order of the questions. */
function lists(patienceMs = 60_000) {
  const gate = {
    rules: {} as object,
    time: 0,
    answers: [] as PromiseWithResolvers<Allowed>[],
    now: () => gate.time,
    allowed: () => {
      const answer = Promise.withResolvers<Allowed>();
      gate.answers.push(answer);
      return answer.promise;
    },
  };
  const tested = new AllowedLists({ gate: gate as unknown as GoGate, patienceMs });
  const of = () => tested.of('example.com/m', list, ask);
  return { gate, tested, of };
}

test('all who ask share one search, and what it found is remembered until a version opens', async () => {
  const { gate, of } = lists();
  const both = Promise.all([of(), of()]);
  gate.answers[0]?.resolve({ versions: ['v1.0.0'], until: 1000 });
  const [one, other] = await both;
  expect(Buffer.from(one.bytes).toString()).toBe('v1.0.0\n');
  expect(other).toBe(one);
  gate.time = 999;
  expect(await of()).toBe(one);
  expect(gate.answers).toHaveLength(1);
  gate.time = 1000;
  const later = of();
  gate.answers[1]?.resolve({ versions: ['v1.0.0', 'v1.1.0'], until: Infinity });
  expect((await later).versions).toEqual(['v1.0.0', 'v1.1.0']);
});

test.each<[string, (of: ReturnType<typeof lists>) => void]>([
  ['other rules', ({ gate }) => (gate.rules = {})],
  [
    'a purge',
    ({ tested }) => {
      tested.forget();
    },
  ],
])('after %s it is found out anew', async (_, happens) => {
  const all = lists();
  const { gate, of } = all;
  const before = of();
  gate.answers[0]?.resolve({ versions: ['v1.0.0'], until: Infinity });
  await before;
  happens(all);
  const after = of();
  gate.answers[1]?.resolve({ versions: ['v1.1.0'], until: Infinity });
  expect((await after).versions).toEqual(['v1.1.0']);
});

test('where the age of one could not be found out, the next one asks again', async () => {
  const { gate, of } = lists();
  const first = of();
  gate.answers[0]?.resolve({ versions: ['v1.0.0'], until: -Infinity });
  expect((await first).versions).toEqual(['v1.0.0']);
  void of();
  expect(gate.answers).toHaveLength(2);
});

test('who has waited long enough is told, and the search goes on for the next one', async () => {
  const { gate, of } = lists(1);
  await expect(of()).rejects.toMatchObject({ code: 'upstream_timeout' });
  await expect(of()).rejects.toThrow(/^fetch timed out: .*example\.com\/m/);
  expect(gate.answers).toHaveLength(1);
  gate.answers[0]?.resolve({ versions: ['v1.0.0'], until: Infinity });
  await expect(of()).resolves.toMatchObject({ versions: ['v1.0.0'] });
});

test('a failure is shared, and not remembered', async () => {
  const { gate, of } = lists();
  const both = Promise.allSettled([of(), of()]);
  gate.answers[0]?.reject(new LarderError('store_failed', 'no disk'));
  for (const { status } of await both) expect(status).toBe('rejected');
  void of();
  expect(gate.answers).toHaveLength(2);
});
