import { describe, expect, test, vi } from 'vitest';
import {
  bytesOf,
  content,
  engine,
  failure,
  Feed,
  never,
  openFilesBelow,
  type Content,
} from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually, filesBelow } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Buffer.alloc(200_000, 'x');

describe('single flight', () => {
  test('one fill a key, joined by whoever asks meanwhile, and a new one afterwards', async () => {
    const { fills } = engine();
    const feed = new Feed();
    const one = content(key, feed);
    const fill = fills.joinOrLead(one);
    expect(fills.joinOrLead(content(key, bytes))).toBe(fill);
    expect(fills.get(key)).toBe(fill);
    expect(fills.inFlight).toBe(1);
    feed.end();
    await fills.settled();
    expect(fills.get(key)).toBeUndefined();
    expect(fills.inFlight).toBe(0);
    expect(one.fetches).toBe(1);
    expect(fills.joinOrLead(one)).not.toBe(fill);
    await fills.settled();
  });

  test('tells the leader alone that it leads', async () => {
    const { fills } = engine();
    const onFill = vi.fn();
    const one: Content = { ...content(key, bytes), onFill };
    fills.joinOrLead(one);
    fills.joinOrLead(one);
    expect(onFill).toHaveBeenCalledOnce();
    await fills.settled();
  });

  test('what went well was just stored, for everybody who looked before', async () => {
    const { fills } = engine();
    fills.joinOrLead(content(key, bytes));
    fills.joinOrLead(content('bad', bytes, { bad: failure('bad_content') }));
    expect(fills.wasJustStored(key)).toBe(false);
    await fills.settled();
    expect(fills.wasJustStored(key)).toBe(true);
    expect(fills.wasJustStored(key)).toBe(true);
    expect(fills.wasJustStored('bad')).toBe(false);
  });

  test('what could not be kept was not stored', async () => {
    const { fills, store } = engine();
    store.refuse('stash');
    fills.joinOrLead(content(key, bytes));
    await fills.settled();
    expect(fills.wasJustStored(key)).toBe(false);
  });

  test('what failed is remembered', async () => {
    const { fills, failures } = engine();
    fills.joinOrLead(content(key, bytes, { error: failure('not_found') }));
    await fills.settled();
    expect(failures.get(key)).toMatchObject({ code: 'not_found', outcome: 'negative' });
  });
});

describe('caps', () => {
  const running = 64;
  const waiting = 2048;
  const crowd = (count: number, gate: Gate, upstream?: string) =>
    Array.from({ length: count }, (_, i) =>
      content(`${upstream ?? ''}${String(i)}`, bytes.subarray(0, 10), {
        gate,
        ...(upstream === undefined ? {} : { upstream }),
      }),
    );
  const fetching = (all: readonly Content[]) => all.filter(({ fetches }) => fetches > 0).length;

  test('an upstream has 64 fills at once; past its queue, 503; every place comes back', async () => {
    const { fills, failures } = engine();
    const gate = new Gate();
    const all = crowd(running + waiting + 10, gate);
    const led = all.map((one) => fills.joinOrLead(one));
    await eventually('the places are taken', () => fetching(all) === running);
    const refused = led.slice(running + waiting);
    for (const fill of refused) {
      await expect(fills.join(fill, never)).rejects.toMatchObject({ code: 'overloaded' });
    }
    expect(failures.get(all.at(-1)?.key ?? '')).toBeUndefined();
    expect(fills.inFlight).toBe(running + waiting);
    // another upstream has places of its own
    fills.joinOrLead(content('elsewhere', bytes, { upstream: 'http://other.test' }));
    await eventually('elsewhere is stored', () => fills.wasJustStored('elsewhere'));
    gate.open();
    await fills.settled();
    expect(fetching(all)).toBe(running + waiting);
    expect(fills).toMatchObject({ inFlight: 0, queued: 0 });
  });

  test('all upstreams together have 256, and what fails or is aborted gives its place back', async () => {
    const { fills } = engine({ fillTimeoutMs: 200 });
    const gate = new Gate();
    const all = [1, 2, 3, 4, 5].flatMap((n) => crowd(running, gate, `http://${String(n)}.test/`));
    for (const one of all) fills.joinOrLead(one);
    await eventually('the places are taken', () => fetching(all) === 256);
    expect(fills.queued).toBe(64);
    // the gate stays shut: all 256 run into their deadline
    await fills.settled();
    expect(fills).toMatchObject({ inFlight: 0, queued: 0 });
    const failing = all.map((one) => ({
      ...one,
      fetch: () => Promise.reject(failure('not_found')),
    }));
    for (const one of failing) fills.joinOrLead(one);
    await fills.settled();
    const good = content(key, bytes);
    fills.joinOrLead(good);
    await fills.settled();
    expect(good.fetches).toBe(1);
  });

  test('requests that wait are bounded, and leave their place whatever comes', async () => {
    const { fills } = engine();
    const gate = new Gate();
    const fill = fills.joinOrLead(content(key, bytes, { gate }));
    const client = new AbortController();
    const left = new Error('the client left');
    const waits = Array.from({ length: 8192 }, () => fills.join(fill, client.signal));
    const gone = Promise.allSettled(waits);
    await expect(fills.join(fill, never)).rejects.toMatchObject({ code: 'overloaded' });
    client.abort(left);
    const refused = (await gone).filter((one) => one.status === 'rejected' && one.reason === left);
    expect(refused).toHaveLength(8192);
    const stays = fills.join(fill, never);
    gate.open();
    const joined = await stays;
    expect((await bytesOf(joined.body)).length).toBe(bytes.length);
    joined.body.close();
    await fills.settled();
  });
});

test('neither a file nor a descriptor is left of fills that went well, failed or were left', async () => {
  const { fills, spoolDir } = engine();
  const feed = new Feed();
  const all = [
    content('well', bytes),
    content('failed', bytes, { bad: failure('bad_content') }),
    content('broken', feed),
  ];
  const led = all.map((one) => fills.joinOrLead(one));
  feed.send(bytes);
  const bodies = await Promise.allSettled(led.map((fill) => fills.join(fill, never)));
  feed.fail(failure('upstream_failed'));
  await fills.settled();
  expect(filesBelow(spoolDir)).toEqual([]);
  for (const one of bodies) if (one.status === 'fulfilled') one.value.body.close();
  await eventually('every descriptor is closed', () => openFilesBelow(spoolDir).length === 0);
});
