import { expect, test } from 'vitest';
import { LocalAnnouncements } from '../../../src/coordination/local-announcements.ts';

const scope = { keys: ['a'], folders: ['b'] };

test('handlers are called in their order, and waited for', async () => {
  const announcements = new LocalAnnouncements();
  const order: string[] = [];
  announcements.subscribe(async () => {
    order.push('first');
    await new Promise(setImmediate);
    order.push('first is done');
  });
  announcements.subscribe((told) => {
    expect(told).toBe(scope);
    order.push('second');
  });
  await announcements.announce(scope);
  expect(order).toEqual(['first', 'second', 'first is done']);
});

test('what one throws is told when all are over', async () => {
  const announcements = new LocalAnnouncements();
  const error = new Error('the handler fails');
  let isOver = false;
  announcements.subscribe(() => {
    throw error;
  });
  announcements.subscribe(async () => {
    await new Promise(setImmediate);
    isOver = true;
  });
  await expect(announcements.announce(scope)).rejects.toBe(error);
  expect(isOver).toBe(true);
});
