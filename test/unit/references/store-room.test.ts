import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StoreRoom } from '../../../src/references/store-room.ts';
import { never } from '../../support/engine.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A store that may have 100 bytes, and fills of it. */
function room(bytes: number | undefined, reclaims = true) {
  const state = { bytes, reclaims };
  const one = new StoreRoom({
    size: {
      get now() {
        return state.bytes === undefined ? undefined : { bytes: state.bytes, objects: 1 };
      },
    },
    maxBytes: 100,
    reclaims: () => state.reclaims,
  });
  const told: string[] = [];
  const leaves = new Map<string, () => void>();
  const ask = async (name: string, size: number, signal = never) => {
    const leave = await one.take(size, signal);
    told.push(leave ? name : `not ${name}`);
    if (leave) leaves.set(name, leave);
  };
  return {
    state,
    told,
    ask: (...args: Parameters<typeof ask>) => void ask(...args),
    /** So much is in the store, or gone from it. */
    now: (size: number) => {
      state.bytes = size;
      one.look();
    },
    stored: (name: string, size: number) => {
      state.bytes = (state.bytes ?? 0) + size;
      leaves.get(name)?.();
    },
    failed: (name: string) => leaves.get(name)?.(),
    passed: (ms: number) => vi.advanceTimersByTimeAsync(ms),
  };
}

describe('below the limit', () => {
  test('nobody waits, however much one brings', async () => {
    const { ask, told, passed } = room(100);
    ask('huge', 1000);
    await passed(0);
    expect(told).toEqual(['huge']);
  });

  test('what may be stored counts until it is, or could not be', async () => {
    const { ask, told, passed, stored, failed } = room(80);
    ask('a', 15);
    ask('b', 10);
    ask('c', 10);
    ask('d', 10);
    await passed(0);
    // 80 + 15 leave room for one that begins, 80 + 25 do not
    expect(told).toEqual(['a', 'b']);
    stored('a', 15);
    await passed(0);
    expect(told).toEqual(['a', 'b']);
    failed('b');
    await passed(0);
    expect(told).toEqual(['a', 'b', 'c']);
  });
});

test('nobody waits while it is not known how large the store is', async () => {
  const { ask, told, passed } = room(undefined);
  ask('a', 10);
  await passed(0);
  expect(told).toEqual(['a']);
});

describe('above the limit', () => {
  test('they go one by one, in their order, as room comes', async () => {
    const { ask, told, passed, now, stored } = room(120);
    ask('a', 20);
    ask('b', 20);
    await passed(1000);
    expect(told).toEqual([]);
    now(101);
    await passed(0);
    expect(told).toEqual([]);
    now(95);
    // the last to come does not overtake
    ask('c', 1);
    await passed(0);
    expect(told).toEqual(['a']);
    stored('a', 20);
    await passed(0);
    expect(told).toEqual(['a']);
    now(90);
    await passed(0);
    expect(told).toEqual(['a', 'b']);
  });

  test('nobody waits where nothing can go', async () => {
    const { ask, told, passed } = room(500, false);
    ask('a', 20);
    ask('b', 20);
    await passed(0);
    expect(told).toEqual(['a', 'b']);
  });

  test('all go when the eviction has ended and found nothing more', async () => {
    const { state, ask, told, passed, now } = room(120);
    ask('a', 20);
    ask('b', 20);
    await passed(0);
    expect(told).toEqual([]);
    state.reclaims = false;
    now(120);
    await passed(0);
    expect(told).toEqual(['a', 'b']);
  });

  test('who has waited for long is kept, unless the store has grown far beyond', async () => {
    const { ask, told, passed, state } = room(105);
    ask('a', 20);
    ask('b', 20);
    await passed(4999);
    expect(told).toEqual([]);
    await passed(1);
    // with 20 of the first it would be 125
    expect(told).toEqual(['a', 'not b']);
    // no room: what was granted was not stored yet
    ask('c', 1);
    state.bytes = 130;
    await passed(5000);
    expect(told.slice(2)).toEqual(['not c']);
  });

  test('is what was much too large before, and shrinks, no reason to keep nothing', async () => {
    const { ask, told, passed, now } = room(1000);
    ask('a', 20);
    ask('b', 20);
    ask('c', 20);
    now(970);
    await passed(5000);
    expect(told).toEqual(['a', 'b', 'not c']);
  });

  test('only so many wait', async () => {
    const { ask, told, passed } = room(120);
    for (let i = 0; i < 64; i++) ask(String(i), 1);
    ask('one more', 1);
    await passed(0);
    expect(told).toEqual(['one more']);
    ask('another', 1);
    await passed(0);
    expect(told).toEqual(['one more', 'not another']);
  });

  test('who has to go does not wait, and is in nobody’s way', async () => {
    const { ask, told, passed, now } = room(105);
    const stopping = new AbortController();
    ask('a', 1, stopping.signal);
    ask('b', 1);
    stopping.abort();
    ask('c', 1, stopping.signal);
    await passed(0);
    expect(told).toEqual(['a', 'c']);
    now(50);
    await passed(0);
    expect(told).toEqual(['a', 'c', 'b']);
    expect(vi.getTimerCount()).toBe(0);
  });
});
