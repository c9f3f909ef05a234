import { expect, test, vi, afterEach } from 'vitest';
import { Slots } from '../../../src/engine/limits.ts';

afterEach(() => {
  vi.useRealTimers();
});

const slots = (places: number, maxWaiting = 10, maxWaitMs = 1000) =>
  new Slots({ places, maxWaiting, maxWaitMs });

test('gives as many places as there are, then first come, first served', async () => {
  const some = slots(2);
  const [first, second] = await Promise.all([some.take(), some.take()]);
  const order: string[] = [];
  const third = some.take().then((leave) => {
    order.push('third');
    return leave;
  });
  const fourth = some.take().then((leave) => {
    order.push('fourth');
    return leave;
  });
  expect(some).toMatchObject({ taken: 2, waiting: 2 });
  await Promise.resolve();
  expect(order).toEqual([]);
  first();
  (await third)();
  (await fourth)();
  expect(order).toEqual(['third', 'fourth']);
  second();
  expect(some).toMatchObject({ taken: 0, waiting: 0 });
});

test('refuses whoever comes when the queue is full, and takes the next again', async () => {
  const some = slots(1, 1);
  const leave = await some.take();
  const waiting = some.take();
  await expect(some.take()).rejects.toMatchObject({ code: 'overloaded', retryAfterMs: 2000 });
  leave();
  (await waiting)();
  (await some.take())();
  expect(some).toMatchObject({ taken: 0, waiting: 0 });
});

test('refuses who has waited too long, and gives the place to the one behind', async () => {
  vi.useFakeTimers();
  const some = slots(1);
  const leave = await some.take();
  const impatient = some.take();
  const refused = expect(impatient).rejects.toMatchObject({ code: 'overloaded' });
  await vi.advanceTimersByTimeAsync(600);
  const behind = some.take();
  await vi.advanceTimersByTimeAsync(600);
  await refused;
  expect(some.waiting).toBe(1);
  leave();
  (await behind)();
  expect(some.taken).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});
