import { expect, test } from 'vitest';
import { fanOut } from '../../../src/engine/listeners.ts';
import type { Listener } from '../../../src/engine/ports.ts';
import { recorder } from '../../support/engine.ts';

const event = { key: 'k', operation: 'stash', error: new Error('x') };

test('tells every listener every event', () => {
  const [one, two] = [recorder(), recorder()];
  const all = fanOut([one.listener, two.listener], () => expect.unreachable());
  const names = Object.keys(one.listener) as (keyof Listener)[];
  for (const name of names) (all[name] as (event: object) => void)({ of: name });
  expect(one.events).toEqual(names.map((name) => ({ name, of: name })));
  expect(two.events).toEqual(one.events);
});

test('one that throws is reported and disturbs nobody', () => {
  const { listener, events } = recorder();
  const mistake = new Error('a mistake of a listener');
  const reported: unknown[] = [];
  const throwing: Listener = {
    storeFailed: () => {
      throw mistake;
    },
  };
  fanOut([throwing, listener], (error) => reported.push(error)).storeFailed(event);
  expect(events).toEqual([{ ...event, name: 'storeFailed' }]);
  expect(reported).toEqual([mistake]);
});

test('a listener keeps its own this, and need not listen to everything', () => {
  class Counter {
    count = 0;
    storeFailed() {
      this.count++;
    }
  }
  const counter = new Counter();
  const all = fanOut([counter], () => expect.unreachable());
  all.storeFailed(event);
  all.unverified({ key: 'k', reason: 'r' });
  expect(counter.count).toBe(1);
});
