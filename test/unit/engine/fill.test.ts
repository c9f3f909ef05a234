import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Fill, type FillPorts } from '../../../src/engine/fill.ts';
import type { Lease, Lock } from '../../../src/engine/ports.ts';
import { SMALL_BODY } from '../../../src/engine/spool.ts';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { Body } from '../../support/body.ts';
import {
  bytesOf,
  content,
  failure,
  Feed,
  ManualClock,
  MemoryStore,
  never,
  openFilesBelow,
  recorder,
  sha256,
  type Content,
} from '../../support/engine.ts';
import { Gate } from '../../support/faults.ts';
import { eventually, filesBelow, tempDir } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Body.noise(5 * SMALL_BODY).bytes();

function start(request: Content, ports: Partial<FillPorts> = {}) {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const { listener, events } = recorder();
  const spoolDir = tempDir();
  let places = 0;
  const admit = () => {
    places++;
    return Promise.resolve(() => {
      places--;
    });
  };
  const all = {
    store,
    lock: new LocalLock(),
    listener,
    admit,
    spoolDir,
    fillTimeoutMs: 60_000,
    now: clock.now,
    ...ports,
  };
  const fill = new Fill(all, request);
  /** It is over and has left nothing. */
  const over = async () => {
    await fill.ended;
    fill.forget();
    expect(places).toBe(0);
    await eventually('the fill holds no file', () => {
      expect([...filesBelow(spoolDir), ...openFilesBelow(spoolDir)]).toEqual([]);
      return true;
    });
    return events.filter(({ name }) => name === 'fillEnded');
  };
  return { fill, store, events, over, spoolDir };
}

const join = (fill: Fill) => fill.join(never);

describe('a fill that goes well', () => {
  test('is stored with what was checked, and told', async () => {
    const { fill, store, events, over } = start(content(key, bytes));
    const { body } = await join(fill);
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    const record = {
      size: bytes.length,
      sha256: sha256(bytes),
      time: '2026-01-02T03:04:05.000Z',
      source: 'http://upstream.test',
      extra: { checked: 'yes' },
    };
    expect(await over()).toMatchObject([{ key, outcome: 'stored', bytes: bytes.length }]);
    expect(store.content.get(key)?.record).toEqual(record);
    expect(sha256(store.content.get(key)?.bytes ?? Buffer.of())).toBe(record.sha256);
    expect(events).toContainEqual({ name: 'stored', key, record });
    expect(events).toContainEqual({ name: 'added', key, bytes: record.size });
    expect(fill).toMatchObject({ record, error: undefined, stored: true });
  });

  test('hands on while it grows, and all but the last 64 KiB before the check', async () => {
    const feed = new Feed();
    const checkGate = new Gate();
    const { fill, over } = start(content(key, feed, { size: bytes.length, checkGate }));
    feed.send(bytes.subarray(0, 3 * SMALL_BODY));
    const { body, record } = await join(fill);
    expect(body.size).toBe(bytes.length);
    expect(record).toBeUndefined();
    const early = 2 * SMALL_BODY;
    expect((await bytesOf(body, 0, early)).equals(bytes.subarray(0, early))).toBe(true);
    feed.send(bytes.subarray(3 * SMALL_BODY));
    feed.end();
    await checkGate.reached;
    let got = 0;
    const all = (async () => {
      for await (const chunk of body.read(0, undefined, never)) got += chunk.length;
    })();
    await eventually('the early bytes', () => got === 4 * SMALL_BODY);
    await sleep(20);
    expect(got).toBe(4 * SMALL_BODY);
    expect(fill.record).toBeUndefined();
    checkGate.open();
    await all;
    expect(got).toBe(bytes.length);
    body.close();
    expect(await over()).toMatchObject([{ outcome: 'stored' }]);
  });

  test('lets no client wait for a store that is slow', async () => {
    const { fill, store, over } = start(content(key, bytes), {});
    const gate = store.hold('stash');
    const { body } = await join(fill);
    expect((await bytesOf(body)).length).toBe(bytes.length);
    body.close();
    expect(fill).toMatchObject({ stored: false, record: { size: bytes.length } });
    gate.open();
    await over();
    expect(fill.stored).toBe(true);
  });

  test('serves who joins between its end and being forgotten', async () => {
    const { fill, over } = start(content(key, Buffer.from('small')));
    await fill.ended;
    const { body, record } = await join(fill);
    expect((await bytesOf(body)).toString()).toBe('small');
    expect(record?.size).toBe(5);
    body.close();
    await over();
  });

  test('neither slows nor stops when its clients leave', async () => {
    const feed = new Feed();
    const { fill, store, over } = start(content(key, feed));
    const client = new AbortController();
    const waiting = fill.join(client.signal);
    const gone = expect(waiting).rejects.toThrow('the client left');
    client.abort(new Error('the client left'));
    await gone;
    feed.send(bytes.subarray(0, 2 * SMALL_BODY));
    const { body } = await join(fill);
    // reads one chunk, then nothing more, and does not close before the end
    const chunks = body.read(0, undefined, never)[Symbol.asyncIterator]();
    await chunks.next();
    feed.send(bytes.subarray(2 * SMALL_BODY));
    feed.end();
    await fill.ended;
    expect(store.content.get(key)?.record.sha256).toBe(sha256(bytes));
    await chunks.return?.();
    body.close();
    expect(await over()).toMatchObject([{ outcome: 'stored' }]);
  });
});

describe('a fill that fails', () => {
  const cases: [string, Content, string][] = [
    [
      'when the upstream refuses',
      content(key, bytes, { error: failure('not_found') }),
      'not_found',
    ],
    [
      'when the check fails',
      content(key, bytes, { bad: failure('checksum_mismatch') }),
      'checksum_mismatch',
    ],
    ['when more comes than may', content(key, bytes, { maxBytes: 1000 }), 'bad_content'],
    [
      'when more comes than may, unannounced',
      content(key, bytes, { maxBytes: bytes.length - 1, size: undefined }),
      'bad_content',
    ],
    [
      'when less comes than was announced',
      content(key, bytes, { size: bytes.length + 1 }),
      'upstream_failed',
    ],
    [
      'when more comes than was announced',
      content(key, bytes, { size: bytes.length - 1 }),
      'upstream_failed',
    ],
  ];
  test.each(cases)('%s: everybody gets the same error, nothing is kept', async (_, one, code) => {
    const { fill, store, over } = start(one);
    const clients = await Promise.allSettled([1, 2, 3].map(() => join(fill)));
    const ends = await Promise.allSettled(
      clients.map(async (client) => {
        if (client.status === 'rejected') throw client.reason;
        const { body } = client.value;
        await bytesOf(body).finally(() => {
          body.close();
        });
      }),
    );
    expect(fill.error).toMatchObject({ code });
    expect(ends).toEqual(ends.map(() => ({ status: 'rejected', reason: fill.error })));
    await expect(fill.join(never)).rejects.toBe(fill.error);
    expect(await over()).toMatchObject([{ outcome: 'failed', code }]);
    expect(store.content.size).toBe(0);
  });

  test('in the middle breaks its readers, and leaves the upstream', async () => {
    const feed = new Feed();
    const { fill, over } = start(content(key, feed, { maxBytes: 3 * SMALL_BODY }));
    feed.send(bytes.subarray(0, 2 * SMALL_BODY));
    const { body } = await join(fill);
    const all = Promise.allSettled([bytesOf(body)]);
    feed.send(bytes.subarray(2 * SMALL_BODY));
    expect(await all).toMatchObject([{ reason: { code: 'bad_content' } }]);
    body.close();
    await over();
    expect(feed.left).toBe(true);
  });

  test('never hands on more than was announced', async () => {
    const feed = new Feed();
    const { fill, over } = start(content(key, feed, { size: SMALL_BODY }));
    feed.send(bytes.subarray(0, SMALL_BODY));
    const joined = fill.join(never);
    feed.send(bytes);
    await expect(joined).rejects.toMatchObject({ code: 'upstream_failed' });
    await over();
  });

  test('at its deadline, whatever it waits for', async () => {
    const waits = [
      content(key, bytes, { gate: new Gate() }),
      content(key, new Feed()),
      content(key, bytes, { checkGate: new Gate() }),
    ];
    for (const one of waits) {
      const { over } = start(one, { fillTimeoutMs: 20 });
      expect(await over()).toMatchObject([{ outcome: 'failed', code: 'upstream_timeout' }]);
    }
  });

  test('by a mistake that is no error of the domain, without an unhandled rejection', async () => {
    const one = content(key, bytes);
    one.beginCheck = () => {
      throw new TypeError('a mistake');
    };
    const { fill, over } = start(one);
    await expect(fill.join(never)).rejects.toThrow('a mistake');
    expect(await over()).toMatchObject([{ outcome: 'failed', code: 'a mistake' }]);
  });

  test('by bytes that do not go with what is stored', async () => {
    const one = content(key, bytes);
    one.beginCheck = () => ({
      verify: () => Promise.resolve({}),
      compare: () => Promise.reject(failure('bad_content')),
    });
    const { fill, store, over } = start(one);
    const joined = await Promise.allSettled([join(fill)]);
    for (const each of joined) {
      if (each.status === 'rejected') continue;
      await expect(bytesOf(each.value.body)).rejects.toMatchObject({ code: 'bad_content' });
      each.value.body.close();
    }
    expect(await over()).toMatchObject([{ outcome: 'failed', code: 'bad_content' }]);
    expect(store.content.size).toBe(0);
  });

  test('when there is no place for it', async () => {
    const admit = () => Promise.reject(failure('overloaded'));
    const one = content(key, bytes);
    const { fill, over } = start(one, { admit });
    await expect(fill.join(never)).rejects.toMatchObject({ code: 'overloaded' });
    await over();
    expect(one.fetches).toBe(0);
  });
});

describe('a store that fails', () => {
  test('to say what is there already: the bytes reach their clients and are not kept', async () => {
    const one = content(key, bytes);
    one.beginCheck = () => ({
      verify: () => Promise.resolve({}),
      compare: () => Promise.reject(failure('store_failed')),
    });
    const { fill, store, events, over } = start(one);
    const { body } = await join(fill);
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    expect(await over()).toMatchObject([{ outcome: 'failed', code: 'store_failed' }]);
    expect(store.content.size).toBe(0);
    expect(events).toContainEqual(
      expect.objectContaining({ name: 'storeFailed', key, operation: 'check' }),
    );
  });

  test('spoils no transfer', async () => {
    const { fill, store, events, over } = start(content(key, bytes));
    store.refuse('stash');
    const { body } = await join(fill);
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    expect(await over()).toMatchObject([{ outcome: 'failed', code: 'store_failed' }]);
    expect(events).toContainEqual(
      expect.objectContaining({ name: 'storeFailed', key, operation: 'stash' }),
    );
    expect(fill).toMatchObject({ error: undefined, stored: false });
  });
});

describe('the lease', () => {
  class OneLease implements Lock {
    released = 0;
    readonly losing = new AbortController();
    readonly waited: boolean;

    constructor(waited = false) {
      this.waited = waited;
    }

    acquire(): Promise<Lease> {
      const release = () => {
        this.released++;
        return Promise.resolve();
      };
      return Promise.resolve({ waited: this.waited, lost: this.losing.signal, release });
    }
  }

  test('is held for the whole fill and released once, on every path', async () => {
    for (const one of [content(key, bytes), content(key, bytes, { error: failure('not_found') })]) {
      const lock = new OneLease();
      await start(one, { lock }).over();
      expect(lock.released).toBe(1);
    }
  });

  const stored = (of: Uint8Array) => {
    const { length: size } = of;
    return { size, sha256: sha256(of), time: '', source: '', extra: {} };
  };

  test('whoever waited for it looks into the store before it fetches', async () => {
    const one = content(key, bytes);
    const store = new MemoryStore();
    await store.stash(key, { bytes }, stored(bytes));
    const { fill, over } = start(one, { lock: new OneLease(true), store });
    const { body } = await fill.join(never);
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    await over();
    expect(one.fetches).toBe(0);
    expect(fill).toMatchObject({ stored: true, fetched: false });
    expect(store.calls.filter((call) => call.startsWith('open'))).toHaveLength(1);
  });

  test('what was stored meanwhile with other bytes than its record says is completed by nobody', async () => {
    const store = new MemoryStore();
    await store.stash(key, { bytes }, stored(Buffer.alloc(bytes.length)));
    const { fill, over } = start(content(key, bytes), { lock: new OneLease(true), store });
    const joined = await Promise.allSettled([fill.join(never)]);
    for (const one of joined) {
      const read =
        one.status === 'fulfilled' ? bytesOf(one.value.body) : Promise.reject(one.reason as Error);
      await expect(read).rejects.toMatchObject({ code: 'store_failed' });
      if (one.status === 'fulfilled') one.value.body.close();
    }
    await over();
  });

  test('whoever waited in vain fetches', async () => {
    const one = content(key, bytes);
    const { fill, over } = start(one, { lock: new OneLease(true) });
    (await join(fill)).body.close();
    await over();
    expect(one.fetches).toBe(1);
  });

  test('that is lost while the bytes come: they reach their clients and are not kept', async () => {
    const lock = new OneLease();
    const feed = new Feed();
    const store = new MemoryStore();
    const { fill, over } = start(content(key, feed), { lock, store });
    const joined = fill.join(never);
    feed.send(bytes.subarray(0, 10));
    await sleep(1);
    lock.losing.abort();
    feed.send(bytes.subarray(10));
    feed.end();
    const { body } = await joined;
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    await over();
    expect(store.content.size).toBe(0);
    expect(lock.released).toBe(1);
  });

  test('that is lost after the check: the bytes reach their clients and are not kept', async () => {
    const lock = new OneLease();
    const one = content(key, bytes);
    one.beginCheck = () => ({
      verify() {
        queueMicrotask(() => {
          lock.losing.abort();
        });
        return Promise.resolve({});
      },
    });
    const { fill, store, over } = start(one, { lock });
    const { body } = await join(fill);
    expect((await bytesOf(body)).length).toBe(bytes.length);
    body.close();
    expect(await over()).toMatchObject([{ outcome: 'failed', code: 'store_failed' }]);
    expect(store.content.size).toBe(0);
  });
});
