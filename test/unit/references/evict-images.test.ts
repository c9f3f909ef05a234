// Evictions of images, whose units share what they hold.

import { expect, test } from 'vitest';
import { LocalAnnouncements } from '../../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { within } from '../../../src/engine/purge-plan.ts';
import { digestText } from '../../../src/oci/digest.ts';
import { OciHoldings, ociUsedAs } from '../../../src/oci/holdings.ts';
import { contentKey } from '../../../src/oci/keys.ts';
import { contentsOf, Evictor } from '../../../src/references/evict.ts';
import { LastUse } from '../../../src/references/last-use.ts';
import { Pins } from '../../../src/references/pins.ts';
import { Purger } from '../../../src/references/purge.ts';
import { StoreSize } from '../../../src/references/store-size.ts';
import { Tally } from '../../../src/references/tally.ts';
import { ManualClock, never, recorder } from '../../support/engine.ts';
import { allOf, HeldImages, image, index, type Node } from '../../support/held-images.ts';

/** One replica that evicts down to nothing: whatever may go, goes. */
function setUp() {
  const held = new HeldImages();
  const { store } = held;
  const clock = new ManualClock();
  // whatever is used is used after it was stored, which the clock of the machine tells
  clock.advance(Date.now() + 86_400_000 - clock.now());
  const lock = new LocalLock();
  const { listener, events } = recorder();
  const lastUse = new LastUse(clock, ociUsedAs);
  const size = new StoreSize();
  const pins = new Pins(store, clock.now);
  const failed = (error: unknown) => {
    throw error;
  };
  const tally = new Tally({ store, lock, clock, lastUse, size, failed });
  const announcements = new LocalAnnouncements();
  announcements.subscribe((scope) => held.links.forget(within(scope)));
  const removed = (key: string, bytes: number) => {
    size.removed(key, bytes);
  };
  const purger = new Purger({ store, lock, announcements, removed });
  const holdings = [new OciHoldings({ store, upstreams: { has: () => false } })];
  const isFilled = () => false;
  const parts = {
    store,
    holdings,
    lastUse,
    size,
    tally,
    pins,
    purger,
    isFilled,
    lock,
    clock,
    listener,
  };
  const evictor = new Evictor(parts, { maxBytes: 1, maxAgeMs: undefined, intervalMs: Infinity });
  const run = async () => {
    clock.advance(3_600_000);
    await tally.recount(contentsOf(holdings), never);
    evictor.poke();
    await evictor.settled();
    return events.splice(0).map(({ unit }) => unit);
  };
  const use = ({ digest }: Node) => {
    lastUse.used(contentKey(digest));
  };
  return { held, clock, pins, run, use, size };
}

const whole = (held: HeldImages, node: Node) =>
  held.stored(...allOf(node)).length === allOf(node).length;

test('a pinned digest keeps the tag that leads to it, and all of that', async () => {
  const { held, pins, run } = setUp();
  const multi = index({ 'linux/amd64': ['amd'], 'linux/arm64': ['arm'] });
  const [amd] = multi.children;
  const other = image('other');
  await held.pull('a.test/app', 'v1', multi);
  await held.pull('a.test/app', 'v2', other);
  const name = `oci:a.test/app@${digestText(amd?.digest ?? multi.digest)}`;
  await pins.add(name);
  expect(await run()).toEqual(['oci:a.test/app:v2']);
  expect([whole(held, multi), held.isStored(other.digest)]).toEqual([true, false]);
  await pins.remove(name);
  expect(await run()).toEqual(['oci:a.test/app:v1']);
  expect(held.store.content.size).toBe(0);
});

test('a pinned repository keeps its tags, and what they share with others', async () => {
  const { held, pins, run } = setUp();
  const [one, two] = [image('shared', 'one'), image('shared', 'two')];
  await held.pull('a.test/app', 'v1', one);
  await held.pull('b.test/app', 'v1', two);
  await pins.add('oci:a.test/app');
  expect(await run()).toEqual(['oci:b.test/app:v1']);
  expect([whole(held, one), held.isStored(two.digest)]).toEqual([true, false]);
});

test('a use of what a tag holds is a use of the tag', async () => {
  const { held, clock, run, use } = setUp();
  const [multi, other] = [index({ 'linux/amd64': ['amd'] }), image('other')];
  const [amd = multi] = multi.children;
  await held.pull('a.test/app', 'a-tag', multi);
  await held.pull('a.test/app', 'b-tag', other);
  use(other);
  clock.advance(1000);
  // by its digest alone, as some clients do
  use(amd);
  expect(await run()).toEqual(['oci:a.test/app:b-tag', 'oci:a.test/app:a-tag']);
});

test('bytes that no repository has go when nothing else is left', async () => {
  const { held, run } = setUp();
  const one = image('one');
  await held.pull('a.test/app', 'v1', one);
  for (const key of held.documents('')) if (key.startsWith('oci/')) await held.store.delete(key);
  const names = await run();
  expect(names).toEqual(expect.arrayContaining([`oci:@${digestText(one.digest)}`]));
  expect(held.store.content.size).toBe(0);
});
