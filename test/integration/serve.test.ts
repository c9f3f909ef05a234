import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import { memoryBody } from '../../src/engine/memory-body.ts';
import type { Body as Bytes, ContentRecord } from '../../src/engine/ports.ts';
import { SMALL_BODY } from '../../src/engine/spool.ts';
import type { RequestContext } from '../../src/http/context.ts';
import { ClientSignal, serve, type Representation } from '../../src/http/serve.ts';
import { Body } from '../support/body.ts';
import {
  content,
  engine,
  failure,
  Feed,
  online,
  openFilesBelow,
  sha256,
  type ContentOptions,
} from '../support/engine.ts';
import { request, type Reply } from '../support/http.ts';
import { atEnd, eventually } from '../support/tmp.ts';

const bytes = Body.noise(400_000).bytes();
const record: ContentRecord = {
  size: bytes.length,
  sha256: sha256(bytes),
  time: '2026-01-02T03:04:05.678Z',
  source: 'http://upstream.test',
  extra: {},
};
const etag = `"${record.sha256}"`;
const modified = 'Fri, 02 Jan 2026 03:04:05 GMT';
const later = 'Sat, 03 Jan 2026 03:04:05 GMT';

interface Server {
  readonly base: string;
  readonly port: number;
  /** Of each request, in order. */
  readonly contexts: RequestContext[];
}

/** A server whose every answer is what `make` gives. */
async function serving(
  make: (client: ClientSignal) => Promise<Partial<Representation> & { body: Bytes }>,
): Promise<Server> {
  const contexts: RequestContext[] = [];
  const server = http.createServer((req, res) => {
    const { 'x-user': user } = req.headers as { 'x-user'?: string };
    // prettier-ignore
    const context: RequestContext = { requestId: 'id', user, protocol: 'go', outcome: 'hit', bytes: 0 };
    contexts.push(context);
    const client = new ClientSignal(res);
    const rest = { record: undefined, contentType: 'application/zip', cacheControl: 'max-age=60' };
    make(client).then(
      (given) => serve(req, res, context, client, { ...rest, ...given }),
      (error: unknown) => res.writeHead(500).end(String(error)),
    );
  });
  // whoever waits for bytes that never come waits long
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as AddressInfo;
  return { base: `http://127.0.0.1:${String(port)}`, port, contexts };
}

/** Bytes in chunks, and how often they were closed. */
function chunked(of: Uint8Array, size = of.length) {
  const state = { closed: 0 };
  const body: Bytes = {
    size,
    async *read(start, end, signal) {
      for (let at = start; at < (end ?? of.length); at += 10_000) {
        await Promise.resolve();
        signal.throwIfAborted();
        yield of.subarray(at, Math.min(at + 10_000, end ?? of.length));
      }
    },
    close: () => {
      state.closed++;
    },
  };
  return { body, state };
}

const kinds = [
  ['in memory', () => memoryBody(bytes)],
  ['in chunks', () => chunked(bytes).body],
] as const;

const get = (base: string, headers: http.OutgoingHttpHeaders = {}, method = 'GET') =>
  request(base, '/', { method, headers });
const complete = (reply: Reply, status: number, of: Uint8Array) => {
  expect(reply).toMatchObject({ status, complete: true, length: of.length, sha256: sha256(of) });
};

describe.each(kinds)('what is checked, %s', (_, make) => {
  const given = () =>
    serving(() => Promise.resolve({ body: make(), record, headers: { Warning: 'x' } }));

  test('is for the caches of its user alone, where there is one', async () => {
    const { base } = await given();
    const reply = await get(base, { 'x-user': 'alice' });
    expect(reply.headers['cache-control']).toBe('private, max-age=60');
  });

  test('GET and HEAD have the same head', async () => {
    const { base, contexts } = await given();
    const whole = await get(base);
    complete(whole, 200, bytes);
    expect(whole.headers).toMatchObject({
      'x-request-id': 'id',
      'x-larder-cache': 'hit',
      'content-type': 'application/zip',
      'content-length': String(bytes.length),
      'cache-control': 'public, max-age=60',
      'accept-ranges': 'bytes',
      'last-modified': modified,
      warning: 'x',
      etag,
    });
    const head = await get(base, {}, 'HEAD');
    complete(head, 200, Buffer.of());
    expect({ ...head.headers, date: 0 }).toEqual({ ...whole.headers, date: 0 });
    complete(await get(base, { range: 'bytes=0-9' }, 'HEAD'), 200, Buffer.of());
    expect(contexts.map((context) => context.bytes)).toEqual([bytes.length, 0, 0]);
  });

  test.each([
    { 'if-none-match': etag },
    { 'if-none-match': `"x", W/${etag}` },
    { 'if-none-match': '*' },
    { 'if-modified-since': modified },
    { 'if-modified-since': later, range: 'bytes=0-9' },
  ])('304 to %j', async (headers) => {
    const { base } = await given();
    for (const method of ['GET', 'HEAD']) {
      const reply = await get(base, headers, method);
      complete(reply, 304, Buffer.of());
      expect(reply.headers).toMatchObject({ etag, 'last-modified': modified, warning: 'x' });
      expect(reply.headers).not.toHaveProperty('content-type');
      expect(reply.headers).not.toHaveProperty('content-length');
    }
  });

  const part = (start: number, end: number) => [206, start, end] as const;
  test.each([
    [{ range: 'bytes=0-0' }, part(0, 1)],
    [{ range: 'bytes=70000-' }, part(70_000, bytes.length)],
    [{ range: 'bytes=-5' }, part(bytes.length - 5, bytes.length)],
    [{ range: 'bytes=1-99999999' }, part(1, bytes.length)],
    [{ range: 'bytes=5-9', 'if-range': etag }, part(5, 10)],
    [{ range: 'bytes=5-9', 'if-range': modified }, part(5, 10)],
    [{ range: 'bytes=5-9', 'if-none-match': '"x"' }, part(5, 10)],
    [{ range: 'bytes=5-9', 'if-range': '"x"' }, [200, 0, bytes.length] as const],
    [{ range: 'bytes=5-9', 'if-range': later }, [200, 0, bytes.length] as const],
    [{ range: 'bytes=5-9,20-29' }, [200, 0, bytes.length] as const],
    [{ range: 'bytes=9-5' }, [200, 0, bytes.length] as const],
  ])('%j', async (headers, [status, start, end]) => {
    const { base, contexts } = await given();
    const reply = await get(base, headers);
    complete(reply, status, bytes.subarray(start, end));
    const range = `bytes ${String(start)}-${String(end - 1)}/${String(bytes.length)}`;
    expect(reply.headers['content-range']).toBe(status === 206 ? range : undefined);
    expect(reply.headers['content-length']).toBe(String(end - start));
    expect(contexts[0]?.bytes).toBe(end - start);
  });

  test.each(['bytes=400000-', 'bytes=-0', 'bytes=500000-600000'])('416 to %s', async (range) => {
    const { base } = await given();
    const reply = await get(base, { range });
    complete(reply, 416, Buffer.of());
    expect(reply.headers['content-range']).toBe('bytes */400000');
  });
});

test.each([
  '',
  'x',
  'ÿ\0\r\n\r\nHTTP/1.1 200 OK\r\n',
  'x'.repeat(16 * 1024),
  'y'.repeat(16 * 1024 + 1),
])('small bodies come as they are (%#)', async (text) => {
  const small = Buffer.from(text, 'latin1');
  const { base } = await serving(() => Promise.resolve({ body: memoryBody(small), record }));
  // twice, as the second may be remembered; and on one connection, as a byte too many would show in the next
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  atEnd(() => {
    agent.destroy();
  });
  for (let i = 0; i < 3; i++) {
    const [response] = (await once(http.get(base, { agent }), 'response')) as [
      http.IncomingMessage,
    ];
    const chunks = (await response.toArray()) as Buffer[];
    expect(Buffer.concat(chunks).equals(small)).toBe(true);
  }
  if (small.length > 2) {
    const piece = await get(base, { range: 'bytes=1-2' });
    complete(piece, 206, small.subarray(1, 3));
  }
});

describe('what is in flight', () => {
  /** A server whose answers come from one fill, whose bytes are sent by hand. */
  async function filling(options: ContentOptions) {
    const all = engine();
    const feed = new Feed();
    const wanted = content('key', feed, options);
    const served = await serving(async (client) => {
      const { body, record: checked } = await all.pull.content(wanted, {
        ...online,
        signal: client.signal,
      });
      return { body, record: checked };
    });
    /** Nothing is left open by anybody. */
    const over = async () => {
      await all.fills.settled();
      await eventually('all is closed', () => openFilesBelow(all.spoolDir).length === 0);
    };
    return { ...all, ...served, feed, wanted, over };
  }

  test('is sent while it grows, without validators', async () => {
    const { base, feed, over } = await filling({ size: bytes.length });
    let got = 0;
    const reply = request(base, '/', {
      headers: { 'if-none-match': etag },
      onChunk: (chunk) => {
        got += chunk.length;
      },
    });
    feed.send(bytes.subarray(0, 200_000));
    await eventually('all but the last 64 KiB', () => got === 200_000 - SMALL_BODY);
    feed.send(bytes.subarray(200_000));
    feed.end();
    complete(await reply, 200, bytes);
    const { headers } = await reply;
    expect(headers).toHaveProperty('content-length', String(bytes.length));
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('last-modified');
    await over();
  });

  test('has ranges, as soon as their bytes are there', async () => {
    const { base, feed, wanted, over } = await filling({ size: bytes.length });
    const whole = get(base);
    feed.send(bytes.subarray(0, 200_000));
    const early = await get(base, { range: 'bytes=1000-1999' });
    complete(early, 206, bytes.subarray(1000, 2000));
    expect(early.headers['content-range']).toBe('bytes 1000-1999/400000');
    const late = get(base, { range: 'bytes=399000-' });
    const none = await get(base, { range: 'bytes=400000-' });
    expect(none).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */400000' } });
    complete(await get(base, { range: 'bytes=5-9' }, 'HEAD'), 200, Buffer.of());
    feed.send(bytes.subarray(200_000));
    feed.end();
    complete(await late, 206, bytes.subarray(399_000));
    complete(await whole, 200, bytes);
    expect(wanted.fetches).toBe(1);
    await over();
  });

  test('of an unknown size is sent whole, whatever range is wanted', async () => {
    const { base, feed, over } = await filling({ size: undefined });
    const ranges = ['bytes=5-9', 'bytes=5-', 'bytes=-5', 'bytes=0-99999999', 'bytes=99999999-'];
    const all = ranges.map((range) => get(base, { range }));
    feed.send(bytes.subarray(0, 200_000));
    const head = await get(base, {}, 'HEAD');
    complete(head, 200, Buffer.of());
    expect(head.headers).not.toHaveProperty('content-length');
    feed.send(bytes.subarray(200_000));
    feed.end();
    for (const reply of await Promise.all(all)) {
      complete(reply, 200, bytes);
      expect(reply.headers).not.toHaveProperty('content-range');
    }
    await over();
  });

  test.each([bytes.length, undefined])(
    'and fails breaks every connection, and appends nothing (size %s)',
    async (size) => {
      const { base, feed, contexts, over } = await filling({ size });
      const all = [get(base), get(base)];
      const range = size === undefined ? [] : [get(base, { range: 'bytes=100000-' })];
      feed.send(bytes.subarray(0, 200_000));
      await eventually('the bytes', () => (contexts[0]?.bytes ?? 0) > 0);
      feed.fail(failure('upstream_failed'));
      for (const reply of await Promise.all(all)) {
        expect(reply).toMatchObject({ status: 200, complete: false });
        expect(reply.body.equals(bytes.subarray(0, reply.length))).toBe(true);
        expect(reply.length).toBeLessThanOrEqual(200_000 - SMALL_BODY);
      }
      for (const reply of await Promise.all(range)) {
        expect(reply).toMatchObject({ status: 206, complete: false });
        expect(reply.body.equals(bytes.subarray(100_000, 100_000 + reply.length))).toBe(true);
      }
      await over();
    },
  );

  test('a client that does not read slows nobody, and gets all in the end', async () => {
    const large = Body.noise(24 * 1024 * 1024).bytes();
    const { base, port, feed, fills, over } = await filling({ size: large.length });
    const slow = net.connect(port, '127.0.0.1');
    slow.pause();
    slow.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    for (let at = 0; at < large.length; at += 65_536) feed.send(large.subarray(at, at + 65_536));
    feed.end();
    complete(await request(base, '/', { keepBody: false }), 200, large);
    await fills.settled();
    const got = Buffer.concat((await slow.toArray()) as Buffer[]);
    const body = got.subarray(got.indexOf('\r\n\r\n') + 4);
    expect(sha256(body)).toBe(sha256(large));
    await over();
  });

  test('clients that leave, anywhere, leave nothing open', async () => {
    const { base, feed, store, over } = await filling({ size: bytes.length });
    const clients = [0, 1, 2].map(() => new AbortController());
    const replies = clients.map((client) => request(base, '/', { signal: client.signal }));
    clients[0]?.abort();
    feed.send(bytes.subarray(0, 200_000));
    const stays = get(base);
    await get(base, { range: 'bytes=0-9' });
    clients[1]?.abort();
    feed.send(bytes.subarray(200_000));
    clients[2]?.abort();
    feed.end();
    complete(await stays, 200, bytes);
    await Promise.all(replies);
    await over();
    expect(store.content.get('key')?.record.sha256).toBe(record.sha256);
  });
});

describe('a body that is not what it says', () => {
  test.each([
    ['longer', bytes.length - 1],
    ['shorter', bytes.length + 1],
  ])('%s breaks the connection, and the client is told nothing wrong', async (_, size) => {
    const { body, state } = chunked(bytes, size);
    const { base } = await serving(() =>
      Promise.resolve({
        body: { ...body, read: (start, __, signal) => body.read(start, undefined, signal) },
      }),
    );
    const reply = await get(base, { connection: 'keep-alive' });
    expect(reply).toMatchObject({ status: 200, complete: false });
    expect(reply.error?.message).not.toMatch(/gave up/);
    expect(reply.length).toBeLessThan(size);
    expect(reply.body.equals(bytes.subarray(0, reply.length))).toBe(true);
    expect(state.closed).toBe(1);
  });

  test('and fails before its first byte breaks the connection too', async () => {
    const { body, state } = chunked(bytes);
    const failing: Bytes = {
      ...body,
      read: () => {
        throw failure('store_failed');
      },
    };
    const { base } = await serving(() => Promise.resolve({ body: failing }));
    expect(await get(base)).toMatchObject({ complete: false, length: 0 });
    expect(state.closed).toBe(1);
  });

  test('every answer closes its body once', async () => {
    const { body, state } = chunked(bytes);
    const { base } = await serving(() => Promise.resolve({ body, record }));
    const headers = [
      {},
      { range: 'bytes=0-9' },
      { range: 'bytes=400000-' },
      { 'if-none-match': etag },
    ];
    for (const one of headers) await get(base, one);
    await get(base, {}, 'HEAD');
    expect(state.closed).toBe(5);
  });
});

describe('HTTP/1.0', () => {
  /** All that comes, and how the connection ends. */
  async function old(port: number) {
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.0\r\n\r\n');
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      return { error: undefined, text: Buffer.concat(chunks) };
    } catch (error) {
      return { error, text: Buffer.concat(chunks) };
    }
  }

  test('a body of unknown size ends with the connection', async () => {
    const { body } = chunked(bytes);
    const { port } = await serving(() => Promise.resolve({ body: { ...body, size: undefined } }));
    const { error, text } = await old(port);
    expect(error).toBeUndefined();
    expect(text.subarray(text.indexOf('\r\n\r\n') + 4).equals(bytes)).toBe(true);
  });

  test('one that fails is no orderly end', async () => {
    const failing: Bytes = {
      size: undefined,
      async *read(start, _end, signal) {
        yield* chunked(bytes).body.read(start, 50_000, signal);
        throw failure('checksum_mismatch');
      },
      close: () => undefined,
    };
    const { port } = await serving(() => Promise.resolve({ body: failing }));
    expect((await old(port)).error).toMatchObject({ code: 'ECONNRESET' });
  });
});
