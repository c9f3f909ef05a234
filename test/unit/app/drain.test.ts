import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';

import { Traffic } from '../../../src/app/drain.ts';

const answer = () => new ServerResponse(new IncomingMessage(new Socket()));
const HOUR = 3_600_000;

test('no request in flight: drained at once', async () => {
  const traffic = new Traffic();
  expect(traffic.draining).toBe(false);
  const done = traffic.drain(HOUR);
  expect(traffic.draining).toBe(true);
  expect(await done).toBe(true);
});

test('a drain ends with the last request, also one that came during it', async () => {
  const traffic = new Traffic();
  const [first, second] = [answer(), answer()];
  let drained = false;
  traffic.started(first);
  const done = traffic.drain(HOUR).then(() => {
    drained = true;
  });
  traffic.started(second);
  traffic.ended(first);
  await new Promise(setImmediate);
  expect(drained).toBe(false);
  traffic.ended(second);
  await done;
});

test('a drain that takes too long says so', async () => {
  const traffic = new Traffic();
  traffic.started(answer());
  expect(await traffic.drain(1)).toBe(false);
});
