// What the store says and does when its server fails it: on Ceph's gateway, which can be ended, stopped and started again.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { withTimeout } from '../../src/storage/timeout.ts';
import { recordOf } from '../support/records.ts';
import { bytesOf, never } from '../support/engine.ts';
import { bucketOn, cephServer, storeOn, type S3Server } from '../support/s3-servers.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { eventually, tempDir } from '../support/tmp.ts';

let server: S3Server;
let bucket: string;

beforeAll(async () => {
  server = await cephServer();
  bucket = await bucketOn(server);
}, 60_000);

const large = Buffer.alloc(8 * 1024 * 1024 + 7, 'abcdefg');
const small = Buffer.from('small content');
const failed = { code: 'store_failed', retryAfterMs: 5000 };
let keys = 0;
const freshKey = () => `go/example.com/m/@v/v1.0.${String(keys++)}.zip`;

async function fileOf(bytes: Uint8Array): Promise<string> {
  const file = path.join(tempDir(), 'spool');
  await writeFile(file, bytes);
  return file;
}

it('fails while the server is gone, and works when it is back', async () => {
  const store = storeOn(server, bucket, { callTimeoutMs: 5000 });
  const key = freshKey();
  await store.stash(key, { bytes: small }, recordOf(small));
  const untried = storeOn(server, bucket);
  await server.kill();
  const file = await fileOf(large);
  try {
    await expect(store.open(key)).rejects.toMatchObject(failed);
    await expect(store.check()).rejects.toThrow(/cannot be reached .*LARDER_S3_ENDPOINT/);
    const stash = store.stash(freshKey(), { path: file }, recordOf(large));
    await expect(stash).rejects.toMatchObject(failed);
    // it could not find out what the server does about conditions
    const first = untried.stash(freshKey(), { bytes: small }, recordOf(small));
    await expect(first).rejects.toMatchObject(failed);
  } finally {
    await server.restart();
  }
  expect((await store.open(key))?.record).toEqual(recordOf(small));
  expect(await untried.stash(freshKey(), { path: file }, recordOf(large))).toBe('stored');
  expect(await untried.createIfAbsent()).toBe('enforced');
});

it('fails by its deadline while the server hangs, whatever is asked', async () => {
  const store = storeOn(server, bucket, { callTimeoutMs: 500 });
  const key = freshKey();
  await store.stash(key, { bytes: large }, recordOf(large));
  const stored = await store.open(key);
  const file = await fileOf(large);
  server.pause();
  try {
    const rest = stored && bytesOf(stored.body);
    await expect(rest).rejects.toMatchObject(failed);
    const calls = [
      store.open(key),
      store.record(key),
      store.stash(freshKey(), { bytes: small }, recordOf(small)),
      store.stash(freshKey(), { path: file }, recordOf(large)),
      store.readDocument('answers/x'),
      store.writeDocument('answers/x', small),
      store.delete(freshKey()),
      store.list('go'),
      store.sweep(),
      store.check(),
    ];
    for (const { reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
      expect(reason).toMatchObject(failed);
      expect(String(reason)).toContain('made no progress in time');
    }
  } finally {
    server.resume();
    stored?.body.close();
  }
  await eventually('the store works', () => store.check().then(() => true));
});

it('fails for a reader of whose body the server sends no more', async () => {
  const store = storeOn(server, bucket, { callTimeoutMs: 500 });
  const key = freshKey();
  const huge = Buffer.alloc(64 * 1024 * 1024, 'abcdefg');
  await storeOn(server, bucket).stash(key, { path: await fileOf(huge) }, recordOf(huge));
  const stored = await store.open(key);
  expect(stored).toBeDefined();
  if (stored === undefined) return;
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of stored.body.read(0, undefined, never)) {
      bytes += chunk.length;
      if (bytes > 1024 * 1024) server.pause();
    }
  })();
  try {
    await expect(reading).rejects.toMatchObject(failed);
    expect(bytes).toBeLessThan(huge.length);
  } finally {
    server.resume();
    stored.body.close();
  }
});

it('fails when a URL does not come', async () => {
  const store = storeOn(server, bucket, { redirectAbove: 0 });
  const key = freshKey();
  await store.stash(key, { bytes: large }, recordOf(large));
  const hanging = storeOn(server, bucket);
  const open = async () => {
    const stored = await store.open(key);
    return stored && { ...stored, url: () => new Promise<never>(() => undefined) };
  };
  const stored = await withTimeout(Object.assign(hanging, { open }), {
    call: 100,
    stash: 100,
  }).open(key);
  await expect(stored?.url?.()).rejects.toMatchObject(failed);
  stored?.body.close();
});

it.each([
  ['no such bucket', { bucket: 'larder-missing' }, /bucket larder-missing is not there/],
  [
    'wrong secret',
    { credentials: { accessKeyId: 'LARDER', secretAccessKey: 'wrong-secret' } },
    /does not accept the credentials/,
  ],
  ['no server', { endpoint: 'http://127.0.0.1:1' }, /cannot be reached .*ECONNREFUSED/],
])('says what is wrong: %s', async (_, options, sentence) => {
  const store = storeOn(server, bucket, options);
  const error: unknown = await store.check().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject(failed);
  expect(String(error)).toMatch(sentence);
  expect(JSON.stringify(error) + String(error)).not.toContain('secret');
});

it('says what is wrong: no such access key', async () => {
  const credentials = { accessKeyId: 'NOBODY', secretAccessKey: 'x' };
  const check = storeOn(server, bucket, { credentials }).check();
  await expect(check).rejects.toThrow(/does not accept the credentials/);
});

describe('over a line that breaks', () => {
  const proxied = async (callTimeoutMs = 10_000) => {
    const { proxy, endpoint } = await TcpProxy.before(server.endpoint);
    return { proxy, store: storeOn(server, bucket, { endpoint, callTimeoutMs }) };
  };

  it('sends a file a second time', async () => {
    const { proxy, store } = await proxied();
    const key = freshKey();
    await store.createIfAbsent();
    proxy.cutAfter('up', 2 * 1024 * 1024);
    const source = { path: await fileOf(large) };
    expect(await store.stash(key, source, recordOf(large))).toBe('stored');
    expect(proxy.bytes.up).toBeGreaterThan(large.length + 2 * 1024 * 1024);
    const stored = await store.open(key);
    expect(stored && (await bytesOf(stored.body)).equals(large)).toBe(true);
    stored?.body.close();
  });

  it('fails for a reader whose body ends early', async () => {
    const { proxy, store } = await proxied();
    const key = freshKey();
    await store.stash(key, { bytes: large }, recordOf(large));
    const stored = await store.open(key);
    proxy.cutAfter('down', 2 * 1024 * 1024);
    const read = stored && bytesOf(stored.body);
    await expect(read).rejects.toMatchObject(failed);
    stored?.body.close();
    expect((await store.open(key))?.record).toEqual(recordOf(large));
  });

  it('takes no more than a slow reader takes, however slow, and frees the line of one who leaves', async () => {
    const { proxy, store } = await proxied(500);
    const key = freshKey();
    const huge = Buffer.alloc(96 * 1024 * 1024, 'abcdefg');
    await storeOn(server, bucket).stash(key, { path: await fileOf(huge) }, recordOf(huge));
    const stored = await store.open(key);
    expect(stored).toBeDefined();
    if (stored === undefined) return;
    const before = proxy.bytes.down;
    const left = new AbortController();
    let bytes = 0;
    for await (const chunk of stored.body.read(0, undefined, left.signal)) {
      bytes += chunk.length;
      if (bytes !== 64 * 1024) continue;
      // longer than a store may be silent
      let seen = -1;
      await eventually('nothing more comes', async () => {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const same = proxy.bytes.down === seen;
        seen = proxy.bytes.down;
        return same;
      });
      expect(proxy.bytes.down - before).toBeLessThan(huge.length / 2);
    }
    expect(bytes).toBe(huge.length);

    for await (const chunk of stored.body.read(70_000, undefined, never)) {
      if (chunk.length > 0) break;
    }
    const aborted = async () => {
      for await (const chunk of stored.body.read(70_000, undefined, left.signal)) {
        if (chunk.length > 0) left.abort(new Error('the client left'));
      }
    };
    await expect(aborted()).rejects.toThrow('the client left');
    stored.body.close();
    // the one of the calls stays
    await eventually('the lines are free', () => proxy.open <= 1);
    expect(proxy.connections).toBeGreaterThan(2);
    await store.check();
  });
});
