// Fills of a store that is kept below a size: what is kept waits for room, and nobody waits for that.

import { expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { Failures } from '../../../src/engine/failures.ts';
import { Fills } from '../../../src/engine/fills.ts';
import type { Room } from '../../../src/engine/ports.ts';
import {
  bytesOf,
  content,
  ManualClock,
  MemoryStore,
  never,
  recorder,
} from '../../support/engine.ts';
import { expectLease } from '../../support/leases.ts';
import { eventually, tempDir } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Buffer.alloc(200_000, 'z');

/** Gives room when a test says so, or when a signal ends the wait. */
class SlowRoom implements Room {
  /** Waits that have begun, with their bytes. */
  readonly asked: number[] = [];
  /** Whether the last one gave its room back. */
  hasLeft = false;
  readonly #answers: ((keeps: boolean) => void)[] = [];

  take(size: number, signal: AbortSignal): Promise<(() => void) | undefined> {
    this.asked.push(size);
    return new Promise((resolve) => {
      const answer = (keeps: boolean) => {
        resolve(keeps ? () => (this.hasLeft = true) : undefined);
      };
      this.#answers.push(answer);
      signal.addEventListener('abort', () => {
        answer(true);
      });
    });
  }

  answer(keeps: boolean): void {
    this.#answers.shift()?.(keeps);
  }
}

/** A fill that waits for room, and has given all its bytes to its client. */
async function waiting() {
  const [store, lock, room, clock] = [
    new MemoryStore(),
    new LocalLock(),
    new SlowRoom(),
    new ManualClock(),
  ];
  const { listener, events } = recorder();
  const spoolDir = tempDir();
  const parts = { store, lock, room, listener, spoolDir, fillTimeoutMs: 60_000, now: clock.now };
  const fills = new Fills(parts, new Failures(clock, 30_000));
  const fill = fills.joinOrLead(content(key, bytes));
  const { body } = await fills.join(fill, never);
  expect((await bytesOf(body)).equals(bytes)).toBe(true);
  body.close();
  expect(room.asked).toEqual([bytes.length]);
  expect(store.content.size).toBe(0);
  expect(fills.get(key)).toBe(fill);
  const ended = async () => {
    await fill.ended;
    const [end] = events.filter(({ name }) => name === 'fillEnded');
    return end;
  };
  return { store, lock, room, events, fills, fill, ended };
}

test('what has room is kept, and counted before the room is given back', async () => {
  const { store, room, events, ended } = await waiting();
  const gate = store.hold('stash');
  room.answer(true);
  await gate.reached;
  expect(room.hasLeft).toBe(false);
  gate.open();
  expect(await ended()).toMatchObject({ outcome: 'stored' });
  expect(store.content.has(key)).toBe(true);
  expect(room.hasLeft).toBe(true);
  expect(events.map(({ name }) => name)).toEqual(['added', 'stored', 'fillEnded']);
});

test('what gets none is not kept, and that is no failure of what it is', async () => {
  const { store, room, fills, fill, ended } = await waiting();
  room.answer(false);
  expect(await ended()).toMatchObject({ outcome: 'failed', code: 'overloaded' });
  expect(fill).toMatchObject({ error: undefined, stored: false });
  expect(store.content.size).toBe(0);
  // fetched anew
  const again = fills.joinOrLead(content(key, bytes));
  await eventually('it asks for room too', () => room.asked.length === 2);
  room.answer(true);
  await again.ended;
  expect(store.content.has(key)).toBe(true);
});

test('a store that fails gives the room back', async () => {
  const { store, room, ended } = await waiting();
  store.refuse('stash');
  room.answer(true);
  expect(await ended()).toMatchObject({ outcome: 'failed', code: 'store_failed' });
  expect(room.hasLeft).toBe(true);
});

test('who is purged meanwhile waits no longer, and keeps nothing', async () => {
  const { store, lock, room, fills, ended } = await waiting();
  await fills.disown((one) => one === key);
  const lease = await lock.acquire({ key, scope: 'purge', signal: never });
  await expectLease(lease).release();
  expect(await ended()).toMatchObject({ outcome: 'purged' });
  expect(store.content.size).toBe(0);
  expect(room.hasLeft).toBe(true);
});

test('a stop waits for no room', async () => {
  const { store, fills, ended } = await waiting();
  await fills.stop();
  expect(await ended()).toMatchObject({ outcome: 'stored' });
  expect(store.content.has(key)).toBe(true);
});
