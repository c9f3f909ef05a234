import { expect, test } from 'vitest';
import { Pace } from '../../../src/cli/pace.ts';

function paceAt() {
  const clock = { ms: 0 };
  return { clock, pace: new Pace(() => clock.ms) };
}

test('counts, rate, and the time that is left', () => {
  const { clock, pace } = paceAt();
  pace.see({ done: 0, total: 10_000 });
  expect(pace.text()).toBe('0 of 10000');
  clock.ms = 4000;
  pace.see({ done: 2000, total: 10_000, failed: 3 });
  expect(pace.text()).toBe('2000 of 10000, 3 failed, 500/s, 16s left');
});

test('how many there are is not known', () => {
  const { clock, pace } = paceAt();
  pace.see({ done: 0 });
  clock.ms = 2000;
  pace.see({ done: 3 });
  expect(pace.text()).toBe('3, 1.5/s');
});

test('what was done before it began counts for no rate', () => {
  const { clock, pace } = paceAt();
  pace.see({ done: 900, total: 1000 });
  clock.ms = 10_000;
  pace.see({ done: 910, total: 1000 });
  expect(pace.text()).toBe('910 of 1000, 1.0/s, 1m 30s left');
  clock.ms = 20_000;
  pace.see({ done: 920, total: 20_000 });
  expect(pace.text()).toBe('920 of 20000, 1.0/s, 5h 18m left');
});
