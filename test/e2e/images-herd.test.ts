// Many clients of an image at once, slow ones and leaving ones, whole and in ranges (issue 4, behaviour 1 and 3).

import http from 'node:http';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { client } from '../support/client.ts';
import { Gate } from '../support/faults.ts';
import { asked, startMirror, stored } from '../support/mirror.ts';
import { expectBytes, outcomeOf } from '../support/replies.ts';
import { startTokenService } from '../support/token-service.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;

/** A client that takes its first bytes and then reads nothing until it is told to. */
async function lazyClient(base: string, path: string) {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  http.get(base + path, { agent: false }, resolve).on('error', reject);
  const response = await promise;
  const hash = createHash('sha256');
  return {
    /** Reads the rest, and resolves to the SHA-256 of all. */
    async readOn(): Promise<string> {
      await pipeline(response, hash);
      return hash.digest('hex');
    },
  };
}

describe('one cold blob', async () => {
  const { registry, larder, get } = await startMirror();

  test('for 50 clients, the first gone at 1 MiB, one that does not read: one fetch, and nobody waits', async () => {
    const layer = Body.noise(24 * MIB);
    registry.addImage('herd/app', 'x', { layers: [layer] });
    const path = `/v2/herd/app/blobs/sha256:${layer.sha256}`;
    const gate = new Gate();
    registry.fault(path, { holdAfter: 4 * MIB, gate });

    const first = client(larder.base, path);
    await eventually('the first client has 1 MiB', () => first.received() >= MIB);
    const lazy = await lazyClient(larder.base, path);
    const others = Array.from({ length: 48 }, () => client(larder.base, path));
    await eventually('all have their first bytes', () =>
      others.every(({ received }) => received() > 0),
    );
    first.leave();
    expect(await first.reply).toMatchObject({ complete: false });
    expect(registry.requests(path)).toMatchObject([{ method: 'GET', state: 'open' }]);

    gate.open();
    for (const { reply } of others) expectBytes(await reply, layer);
    expect(await lazy.readOn()).toBe(layer.sha256);
    expect(registry.requests(path)).toMatchObject([{ state: 'done', sent: layer.size }]);
  });

  test('through two repositories at once: one GET, and one HEAD for the other one', async () => {
    const layer = Body.noise(2 * MIB, 'two');
    const blob = `blobs/sha256:${layer.sha256}`;
    for (const name of ['one/a', 'two/b']) registry.addImage(name, 'x', { layers: [layer] });
    const gate = new Gate();
    registry.fault(/\/blobs\//, { holdAfter: MIB, gate });
    registry.clearLog();
    const clients = Array.from({ length: 20 }, (_, i) =>
      client(larder.base, `/v2/${i % 2 === 0 ? 'one/a' : 'two/b'}/${blob}`),
    );
    await eventually('all have their first bytes', () =>
      clients.every(({ received }) => received() > 0),
    );
    gate.open();
    for (const { reply } of clients) expectBytes(await reply, layer);
    expect(asked(registry)).toHaveLength(2);
    const [get, head] = registry.log;
    expect([get?.method, head?.method]).toEqual(['GET', 'HEAD']);
    expect(head?.path).not.toBe(get?.path);
  });

  test('in eight ranges, each left early: one fill, which goes on to its end', async () => {
    const layer = Body.noise(8 * MIB, 'ranges');
    const bytes = layer.bytes();
    registry.addImage('parts/app', 'x', { layers: [layer] });
    const path = `parts/app/blobs/sha256:${layer.sha256}`;
    const gate = new Gate();
    registry.fault(`/v2/${path}`, { holdAfter: 2 * MIB, gate });
    const parts = Array.from({ length: 8 }, async (_, i) => {
      const leaves = new AbortController();
      const start = i * MIB;
      const reply = await get(path, {
        headers: { range: `bytes=${String(start)}-` },
        signal: leaves.signal,
        onChunk: () => {
          leaves.abort();
        },
      });
      return { start, reply };
    });
    await gate.reached;
    gate.open();
    for (const { start, reply } of await Promise.all(parts)) {
      expect(reply).toMatchObject({ status: 206 });
      expect(reply.length).toBeGreaterThan(0);
      expect(reply.body.equals(bytes.subarray(start, start + reply.length))).toBe(true);
    }
    await stored(larder.base, path);
    expectBytes(await get(path), layer);
    expect(registry.requests(`/v2/${path}`)).toMatchObject([{ method: 'GET', state: 'done' }]);
  });
});

describe('a range', async () => {
  const { registry, larder, get } = await startMirror();
  const SIZE = 200_000;
  const other = `"sha256:${'0'.repeat(64)}"`;

  test.for<{
    range: string;
    /** Where it is not the whole: [start, end), or nothing that could be sent. */
    part?: readonly [number, number] | 'none';
    ifRange?: 'same' | 'other';
  }>([
    { range: 'bytes=0-0', part: [0, 1] },
    { range: 'bytes=70000-150000', part: [70_000, 150_001] },
    { range: 'bytes=150000-', part: [150_000, SIZE] },
    { range: 'bytes=-1000', part: [SIZE - 1000, SIZE] },
    { range: 'bytes=-300000', part: [0, SIZE] },
    { range: 'bytes=199999-300000', part: [199_999, SIZE] },
    { range: 'bytes=0-', part: [0, SIZE] },
    { range: 'bytes=200000-', part: 'none' },
    { range: 'bytes=300000-400000', part: 'none' },
    { range: 'bytes=-0', part: 'none' },
    { range: 'bytes=5-4' },
    { range: 'bytes=a-b' },
    { range: 'bytes=-' },
    { range: 'bytes=1-2,5-6' },
    { range: 'lines=1-2' },
    { range: 'bytes=5-9', ifRange: 'same', part: [5, 10] },
    { range: 'bytes=5-9', ifRange: 'other' },
    { range: 'bytes=300000-', ifRange: 'other' },
  ])('cold and warm: $range (If-Range: $ifRange)', async ({ range, part, ifRange }) => {
    const layer = Body.noise(SIZE, range + String(ifRange));
    const { digest } = registry.addBlob('r/app', layer);
    const path = `r/app/blobs/${digest}`;
    const headers = {
      range,
      ...(ifRange && { 'if-range': ifRange === 'same' ? `"${digest}"` : other }),
    };
    for (const outcome of ['miss', 'hit']) {
      const reply = await get(path, { headers });
      expect(outcomeOf(reply)).toBe(outcome);
      expect(reply.complete).toBe(true);
      if (part === undefined) expectBytes(reply, layer);
      else if (part === 'none') {
        expect(reply).toMatchObject({ status: 416, length: 0 });
        expect(reply.headers['content-range']).toBe(`bytes */${String(SIZE)}`);
      } else {
        const [start, end] = part;
        expect(reply.status).toBe(206);
        expect(reply.headers).toMatchObject({
          'content-range': `bytes ${String(start)}-${String(end - 1)}/${String(SIZE)}`,
          'content-length': String(end - start),
          'docker-content-digest': digest,
          etag: `"${digest}"`,
        });
        expect(reply.body.equals(layer.bytes().subarray(start, end))).toBe(true);
      }
      await stored(larder.base, path);
    }
    expect(registry.requests(`/v2/${path}`)).toMatchObject([{ method: 'GET', sent: SIZE }]);
    expect(registry.requests(`/v2/${path}`)[0]?.headers.range).toBeUndefined();
  });
});

test('100 cold requests behind a token service ask for one token, and for one more when it has ended', async () => {
  const LIFETIME_S = 8;
  const tokens = await startTokenService({ expiresIn: LIFETIME_S });
  const { registry, get } = await startMirror({ tokens }, { LARDER_TAG_TTL: '0s' });
  const tags = Array.from({ length: 100 }, (_, i) => `v${String(i)}`);
  for (const tag of tags) registry.addImage('a/b', tag, { layers: [tag] });
  const secret = 'Basic Y2xpZW50OnNlY3JldA==';
  const all = async () => {
    const replies = await Promise.all(
      tags.map((tag) =>
        get(`a/b/manifests/${tag}`, { method: 'HEAD', headers: { authorization: secret } }),
      ),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  };
  await all();
  expect(tokens.log).toHaveLength(1);
  await sleep(LIFETIME_S * 1000);
  await all();
  expect(tokens.log).toHaveLength(2);
  // what clients show is for Larder alone
  const shown = [...registry.log, ...tokens.log].map(({ headers }) => headers.authorization);
  expect(new Set(shown)).toEqual(new Set([undefined, 'Bearer token-1', 'Bearer token-2']));
});

test('a HEAD downloads nothing', async () => {
  const { registry, larder, get } = await startMirror();
  const layer = Body.noise(3 * MIB);
  const image = registry.addImage('h/app', 'v1', { layers: [layer] });
  const sizes = {
    [`h/app/blobs/sha256:${layer.sha256}`]: layer.size,
    'h/app/manifests/v1': image.bytes.length,
    [`h/app/manifests/${image.digest}`]: image.bytes.length,
  };
  const heads = async () => {
    for (const [path, size] of Object.entries(sizes)) {
      const replies = await Promise.all(
        Array.from({ length: 10 }, () => get(path, { method: 'HEAD' })),
      );
      for (const { status, headers, length } of replies) {
        expect([status, headers['content-length'], length]).toEqual([200, String(size), 0]);
      }
    }
  };
  await heads();
  expect(new Set(registry.log.map(({ method }) => method))).toEqual(new Set(['HEAD']));
  for (const path of Object.keys(sizes)) {
    expect(outcomeOf(await get(path))).toMatch(/^(miss|hit)$/);
    await stored(larder.base, path);
  }
  expect(registry.log.filter(({ method }) => method === 'GET')).toHaveLength(2);
  registry.clearLog();
  await heads();
  expect(registry.log).toEqual([]);
});
