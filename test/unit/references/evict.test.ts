import { LRUCache } from 'lru-cache';
import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { HeldUnits } from '../../support/held-units.ts';

const MINUTE = 60_000;

async function filled(
  names: readonly string[],
  options: ConstructorParameters<typeof HeldUnits>[0],
) {
  const units = await new HeldUnits(options).begin();
  for (const name of names) {
    await units.keep(name, 10);
    units.clock.advance(MINUTE);
  }
  return units;
}

describe('a store that grows past its limit', () => {
  test('loses what was used longest ago, down to the low-water mark', async () => {
    const units = await filled(['a', 'b', 'c', 'd', 'e'], { limits: { maxBytes: 50 } });
    expect(units.held).toEqual(['a', 'b', 'c', 'd', 'e']);
    units.use('a');
    units.clock.advance(1);
    await units.keep('f', 10);
    // 95 % of 50 are 47: two of ten go
    expect(units.held).toEqual(['a', 'd', 'e', 'f']);
    expect(units.size.now).toEqual({ bytes: 40, objects: 4 });
    expect(units.events.map(({ unit, bytes }) => [unit, bytes])).toEqual([
      ['b', 10],
      ['c', 10],
    ]);
  });

  test('loses nothing while it is not known who owns what', async () => {
    const units = await filled(['a', 'b', 'c'], { limits: { maxBytes: 20 } });
    expect(units.held).toEqual(['c']);
    await units.store.writeDocument('references/rebuilding', Buffer.from('{}'));
    await units.keep('d', 10);
    await units.keep('e', 10);
    expect(units.held).toEqual(['c', 'd', 'e']);
    await units.store.delete('references/rebuilding');
    units.clock.advance(MINUTE);
    await units.keep('f', 10);
    expect(units.held).toEqual(['f']);
  });

  test('is not walked for each eviction', async () => {
    const units = await filled(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'], {
      limits: { maxBytes: 100 },
    });
    for (let i = 0; i < 9; i++) await units.keep(`more${String(i)}`, 10);
    expect(units.held).toHaveLength(9);
    expect(units.keys.walks).toBe(1);
  });

  test('keeps what is pinned, what is read, and what is being filled', async () => {
    const units = await filled(['a', 'b', 'c', 'd'], { limits: { maxBytes: 40 } });
    await units.pins.add('a');
    const end = units.lastUse.reading('c/b');
    units.filled.add('c/c');
    await units.keep('e', 10);
    expect(units.held).toEqual(['a', 'b', 'c']);
    end();
    units.filled.clear();
    await units.pins.remove('a');
    units.clock.advance(MINUTE);
    units.use('b');
    await units.keep('g', 10);
    await units.keep('h', 10);
    // 38 at most, of what was used last
    expect(units.held).toEqual(['b', 'g', 'h']);
  });

  test('serves what alone is larger than it may be, and then lets it go', async () => {
    const units = await filled(['a'], { limits: { maxBytes: 40 } });
    const end = units.lastUse.reading('c/huge');
    await units.keep('huge', 100);
    expect(units.held).toEqual(['huge']);
    const { walks } = units.keys;
    // nothing can be done about it at the moment: it is not looked for all the time
    for (let i = 0; i < 10; i++) units.evictor.poke();
    await units.evictor.settled();
    expect(units.keys.walks).toBe(walks);
    end();
    units.clock.advance(MINUTE);
    units.evictor.poke();
    await units.evictor.settled();
    expect([units.held, units.size.now?.bytes]).toEqual([[], 0]);
  });

  test('is looked at again soon, where it was in use what kept it large', async () => {
    const units = await filled(['a'], { limits: { maxBytes: 20 } });
    units.filled.add('c/a').add('c/b').add('c/c');
    await units.keep('b', 10);
    units.clock.advance(MINUTE);
    await units.keep('c', 10);
    expect(units.held).toEqual(['a', 'b', 'c']);
    // nothing can go: nobody waits for it
    expect(units.evictor.reclaims()).toBe(false);
    units.filled.clear();
    units.clock.advance(999);
    expect(units.evictor.reclaims()).toBe(false);
    units.clock.advance(1);
    expect(units.evictor.reclaims()).toBe(true);
    await units.evictor.settled();
    expect(units.held).toEqual(['c']);
    expect(units.evictor.reclaims()).toBe(false);
  });

  test('tells those who fetch what stays nothing of what went', async () => {
    const units = await filled(['a', 'b', 'c'], { limits: { maxBytes: 35 } });
    const told: string[][] = [];
    units.announcements.subscribe(({ keys }) => {
      told.push([...keys]);
      return Promise.resolve();
    });
    await units.keep('d', 10);
    expect(units.held).toEqual(['b', 'c', 'd']);
    expect(told).toEqual([['c/a', 'c/b', 'c/c', 'c/d'], ['c/a']]);
  });

  test('that the store cannot serve is looked at again later', async () => {
    const units = await filled(['a', 'b'], { limits: { maxBytes: 20 } });
    units.store.refuse('delete');
    await units.keep('c', 10);
    expect(units.held).toHaveLength(3);
    expect(units.events.map(({ operation }) => operation)).toEqual(['evict']);
    units.store.recover();
    units.clock.advance(MINUTE);
    units.evictor.poke();
    await units.evictor.settled();
    expect(units.held).toEqual(['c']);
  });
});

test('what nobody used for too long goes, when it is looked for', async () => {
  const limits = { maxAgeMs: 10 * MINUTE, intervalMs: 5 * MINUTE };
  const units = await filled(['a', 'b', 'c'], { limits });
  units.clock.advance(6 * MINUTE);
  units.use('a');
  await units.keep('d', 10);
  expect(units.held).toEqual(['a', 'b', 'c', 'd']);
  units.clock.advance(5 * MINUTE);
  units.evictor.poke();
  await units.evictor.settled();
  expect(units.held).toEqual(['a', 'd']);
});

test('what another replica used is not taken for unused', async () => {
  const lock = new LocalLock();
  const one = await filled(['a', 'b', 'c'], { lock, limits: { maxBytes: 30 } });
  const { store, clock } = one;
  const two = await new HeldUnits({ store, clock, lock, limits: { maxBytes: 30 } }).begin();
  two.use('a');
  await two.tally.exchange();
  clock.advance(MINUTE);
  await one.keep('d', 10);
  expect(one.held).toEqual(['a', 'd']);
  // and what one took the other knows
  await one.tally.exchange();
  await two.tally.exchange();
  expect(two.size.now).toEqual({ bytes: 20, objects: 2 });
});

/** The same numbers every time, in [0, 1). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('the hit rate of a load by Zipf is within 5 % of that of an exact LRU', async () => {
  const [objects, requests, maxBytes] = [2000, 20_000, 200 * 1000];
  const random = seeded(7);
  const sizes = Array.from({ length: objects }, () => 500 + Math.floor(random() * 1000));
  const weights = sizes.map((_, i) => 1 / (i + 1) ** 0.9);
  let sum = 0;
  const ends = weights.map((weight) => (sum += weight));
  const exact = new LRUCache<number, number>({
    maxSize: maxBytes,
    sizeCalculation: (size) => size,
  });
  const units = await new HeldUnits({ limits: { maxBytes } }).begin();
  let [hits, exactHits, largest] = [0, 0, 0];
  for (let i = 0; i < requests; i++) {
    const at = random() * sum;
    const object = ends.findIndex((end) => end >= at);
    const size = sizes[object] ?? 0;
    units.clock.advance(100);
    if (exact.get(object) === undefined) exact.set(object, size);
    else exactHits++;
    if (units.use(String(object))) hits++;
    else await units.keep(String(object), size);
    largest = Math.max(largest, units.size.now?.bytes ?? Infinity);
  }
  expect(exactHits / requests).toBeGreaterThan(0.3);
  expect(hits / exactHits).toBeGreaterThan(0.95);
  expect(largest).toBeLessThanOrEqual(maxBytes);
});
