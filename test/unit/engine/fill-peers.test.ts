// A fill whose bytes another replica is fetching.

import { describe, expect, test } from 'vitest';
import { Fill } from '../../../src/engine/fill.ts';
import type { ContentRecord, Lease, Lock, Outcome, Peers } from '../../../src/engine/ports.ts';
import {
  bytesOf,
  content,
  Feed,
  MemoryStore,
  never,
  recorder,
  sha256,
  type ContentOptions,
} from '../../support/engine.ts';
import { tempDir } from '../../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const bytes = Buffer.alloc(300_000, 'zip of a module ');
const half = 150_001;
const record: ContentRecord = {
  size: bytes.length,
  sha256: sha256(bytes),
  time: '2026-01-02T03:04:05.000Z',
  source: 'http://upstream.test',
  extra: { h1: 'h1:x' },
};

/** A fill that waits for the lease of another replica, whose bytes are `leader`. */
function follow(upstream: Uint8Array = bytes, options: ContentOptions = {}) {
  const turn = Promise.withResolvers<Lease | Outcome>();
  const told: (Outcome | undefined)[] = [];
  const lock: Lock = {
    acquire: ({ onHeld, signal }) => {
      onHeld?.('http://leader.test');
      signal.addEventListener('abort', () => {
        turn.reject(signal.reason);
      });
      return turn.promise;
    },
  };
  const leader = new Feed();
  const opened: string[] = [];
  const peers: Peers = {
    open: (address, of, signal) => {
      opened.push(`${address} ${of}`);
      return Promise.resolve({
        size: bytes.length,
        body: leader.body(signal),
        record: () => record,
      });
    },
  };
  const store = new MemoryStore();
  const request = content(key, upstream, options);
  const { listener } = recorder();
  const ports = {
    store,
    lock,
    peers,
    listener,
    admit: () => Promise.resolve(() => undefined),
    spoolDir: tempDir(),
    fillTimeoutMs: 60_000,
    now: Date.now,
  };
  const fill = new Fill(ports, request);
  void fill.ended.then(() => {
    fill.forget();
  });
  /** What a client has got when it has ended. */
  const got = fill.join(never).then(async ({ body }) => {
    try {
      return (await bytesOf(body)).equals(bytes);
    } finally {
      body.close();
    }
  });
  got.catch(() => undefined);
  const lease: Lease = {
    waited: true,
    lost: never,
    release: (outcome) => {
      told.push(outcome);
      return Promise.resolve();
    },
  };
  return { fill, request, store, leader, turn, told, opened, lease, got };
}

describe('the leader’s bytes', () => {
  test('reach clients as they come, and all of them before its outcome is told', async () => {
    const { fill, request, store, leader, turn, opened, got } = follow();
    leader.send(bytes);
    const { body } = await fill.join(never);
    body.close();
    leader.end();
    expect(await got).toBe(true);
    expect(opened).toEqual([`http://leader.test ${key}`]);
    await store.stash(key, { bytes }, record);
    turn.resolve({ kind: 'stored' });
    await fill.ended;
    expect(fill).toMatchObject({ stored: true, fetched: false, record });
    expect(request.fetches).toBe(0);
    expect(store.calls.filter((call) => call.startsWith('open'))).toEqual([]);
  });

  test('that it could not keep are kept here', async () => {
    const { fill, request, store, leader, turn, told, lease, got } = follow();
    leader.send(bytes);
    leader.end();
    expect(await got).toBe(true);
    turn.resolve(lease);
    await fill.ended;
    expect(request.fetches).toBe(0);
    expect(store.content.get(key)?.record).toEqual(record);
    expect(told).toEqual([{ kind: 'stored' }]);
  });

  test('that end early are followed by those of the store', async () => {
    const { fill, request, store, leader, turn, got } = follow();
    leader.send(bytes.subarray(0, half));
    (await fill.join(never)).body.close();
    await store.stash(key, { bytes }, record);
    turn.resolve({ kind: 'stored' });
    expect(await got).toBe(true);
    await fill.ended;
    expect(request.fetches).toBe(0);
  });

  test('that end early are followed by those of the upstream, when the leader is gone', async () => {
    const { fill, request, store, leader, turn, lease, got } = follow();
    leader.send(bytes.subarray(0, half));
    (await fill.join(never)).body.close();
    leader.fail(new Error('cut'));
    turn.resolve(lease);
    expect(await got).toBe(true);
    await fill.ended;
    expect(request.fetches).toBe(1);
    expect(store.content.get(key)?.record.sha256).toBe(record.sha256);
  });

  test.each([
    ['other bytes', Buffer.alloc(bytes.length, 'other')],
    ['another length', Buffer.concat([bytes, Buffer.from('more')])],
    ['fewer bytes than came before', bytes.subarray(0, half - 100_000)],
  ])('are not followed by %s of the upstream', async (_, upstream) => {
    const { fill, store, leader, turn, told, lease, got } = follow(upstream, { size: undefined });
    leader.send(bytes.subarray(0, half));
    (await fill.join(never)).body.close();
    leader.fail(new Error('cut'));
    turn.resolve(lease);
    await expect(got).rejects.toMatchObject({ code: 'upstream_failed' });
    await fill.ended;
    expect(store.content.size).toBe(0);
    expect(told).toMatchObject([{ kind: 'failed', code: 'upstream_failed' }]);
  });

  test('that are not what it checked are completed by nobody', async () => {
    const { fill, store, leader, turn, got } = follow();
    leader.send(Buffer.alloc(bytes.length, 'other'));
    leader.end();
    (await fill.join(never)).body.close();
    await store.stash(key, { bytes }, record);
    turn.resolve({ kind: 'stored' });
    await expect(got).rejects.toMatchObject({ code: 'store_failed' });
    await fill.ended;
  });

  test('come to their end when the name is purged, and are not kept', async () => {
    const { fill, request, store, leader, told, got } = follow();
    leader.send(bytes.subarray(0, half));
    (await fill.join(never)).body.close();
    await fill.disown();
    leader.send(bytes.subarray(half));
    leader.end();
    expect(await got).toBe(true);
    await fill.ended;
    expect(request.fetches).toBe(0);
    expect(store.content.size).toBe(0);
    expect(told).toEqual([]);
  });

  test('that end early when the name is purged are followed by those of the upstream', async () => {
    const { fill, request, store, leader, got } = follow();
    leader.send(bytes.subarray(0, half));
    (await fill.join(never)).body.close();
    await fill.disown();
    leader.fail(new Error('cut'));
    expect(await got).toBe(true);
    await fill.ended;
    expect(request.fetches).toBe(1);
    expect(store.content.size).toBe(0);
  });

  test('fail as it fails', async () => {
    const { fill, leader, turn, got } = follow();
    leader.send(bytes.subarray(0, half));
    (await fill.join(never)).body.close();
    turn.resolve({ kind: 'failed', code: 'bad_content', message: 'no zip' });
    await expect(got).rejects.toMatchObject({ code: 'bad_content' });
    await fill.ended;
  });
});
