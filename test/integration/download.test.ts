import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { download, readAll } from '../../src/http/download.ts';
import type { UpstreamRequest } from '../../src/http/client.ts';
import { Body } from '../support/body.ts';
import { sha256 } from '../support/engine.ts';
import {
  hangUp,
  origin,
  request,
  send,
  status,
  upstreamClient,
  type Sent,
  type Turn,
} from '../support/origin.ts';
import { eventually } from '../support/tmp.ts';

const bytes = Body.noise(300_000).bytes();
const other = Body.noise(300_000, 'other').bytes();
const etag = '"v1"';
const cut = 100_000;

/** Starts a download from an upstream that takes these turns. */
async function start(turns: readonly Turn[], options: Partial<UpstreamRequest> = {}) {
  const upstream = await origin(turns);
  const { client } = upstreamClient();
  const wanted = request(`${upstream.url}/file`, options);
  const response = await client.send(wanted);
  return { ...upstream, ...download(client, wanted, response) };
}

/** All that is handed on, and how it ends. */
async function handedOn(body: AsyncIterable<Uint8Array>) {
  const chunks: Uint8Array[] = [];
  let error: unknown;
  try {
    for await (const chunk of body) chunks.push(chunk);
  } catch (thrown) {
    error = thrown;
  }
  return { got: Buffer.concat(chunks), error };
}

const expectWhole = async (body: AsyncIterable<Uint8Array>) => {
  const { got, error } = await handedOn(body);
  expect(error).toBeUndefined();
  expect(sha256(got)).toBe(sha256(bytes));
};

/** It ends with this error, and nothing wrong was handed on before. */
const expectBroken = async (body: AsyncIterable<Uint8Array>, code: string, sentence: RegExp) => {
  const { got, error } = await handedOn(body);
  expect(error).toMatchObject({ code, message: expect.stringMatching(sentence) as unknown });
  expect(got.length).toBeLessThanOrEqual(bytes.length);
  expect(got.equals(bytes.subarray(0, got.length))).toBe(true);
};

/** The rest of some bytes, as a good upstream sends it. */
const rest =
  (from: Uint8Array, options: Sent & { total?: string; start?: number } = {}): Turn =>
  (asked, response) => {
    const start = options.start ?? Number(/^bytes=(\d+)-$/.exec(asked.headers.range ?? '')?.[1]);
    const range = `bytes ${String(start)}-${String(from.length - 1)}`;
    const headers = { 'content-range': `${range}/${options.total ?? String(from.length)}` };
    send(from.subarray(start), { code: 206, headers, ...options })(asked, response);
  };

const breaks = (options: Sent = {}) => send(bytes, { cutAt: cut, headers: { etag }, ...options });

describe('a body', () => {
  test.each([true, false])('comes whole (length announced: %s)', async (length) => {
    const { size, body, asked } = await start([send(bytes, { length })]);
    expect(size).toBe(length ? bytes.length : undefined);
    await expectWhole(body);
    expect(asked).toHaveLength(1);
  });

  test('may be empty', async () => {
    const { size, body } = await start([send(Buffer.of())]);
    expect(size).toBe(0);
    expect((await handedOn(body)).got.length).toBe(0);
  });

  test.each([
    [206, { 'content-range': 'bytes 0-299999/300000' }, /answers 206/],
    [204, {}, /answers 204/],
    [200, { 'content-encoding': 'gzip' }, /sends gzip/],
    [200, { 'content-encoding': 'br' }, /sends br/],
  ])('of a %i that is no plain body is refused %j', async (code, headers, sentence) => {
    const turn = send(code === 204 ? Buffer.of() : bytes, { code, headers });
    await expect(start([turn])).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringMatching(sentence) as unknown,
    });
  });

  test('that says identity is as it is', async () => {
    const { body } = await start([send(bytes, { headers: { 'content-encoding': 'identity' } })]);
    await expectWhole(body);
  });
});

describe('a transfer that breaks', () => {
  test('goes on where it broke, if the upstream has a strong validator', async () => {
    const { body, asked } = await start([breaks(), rest(bytes)], { headers: { 'x-a': 'b' } });
    await expectWhole(body);
    expect(asked).toHaveLength(2);
    expect(asked[1]?.headers).toMatchObject({
      range: 'bytes=100000-',
      'if-range': etag,
      'x-a': 'b',
    });
  });

  test('goes on without an announced length too', async () => {
    const { body, asked } = await start([breaks({ length: false }), rest(bytes, { total: '*' })]);
    await expectWhole(body);
    expect(asked[1]?.headers).toMatchObject({ range: 'bytes=100000-' });
  });

  test('has three tries in all', async () => {
    const again = rest(bytes, { cutAt: 1000 });
    const good = await start([breaks(), again, rest(bytes)]);
    await expectWhole(good.body);
    expect(good.asked.map(({ headers }) => headers.range)).toEqual([
      undefined,
      'bytes=100000-',
      'bytes=101000-',
    ]);
    const bad = await start([breaks(), again, again, rest(bytes)]);
    await expectBroken(bad.body, 'upstream_failed', /at byte 102000, for the last time/);
    expect(bad.asked).toHaveLength(3);
  });

  test('shares its tries with what went wrong before the first byte', async () => {
    const { body, asked } = await start([status(503), hangUp, breaks(), rest(bytes)]);
    await expectBroken(body, 'upstream_failed', /for the last time/);
    expect(asked).toHaveLength(3);
  });

  test.each<[string, Sent]>([
    ['without a validator', { headers: {} }],
    ['with a weak one', { headers: { etag: 'W/"v1"' } }],
    ['with a date', { headers: { 'last-modified': new Date(0).toUTCString() } }],
    ['before its first byte', { cutAt: 0 }],
  ])('%s is fetched from its start', async (_, options) => {
    const { body, asked } = await start([breaks(options), send(bytes)]);
    await expectWhole(body);
    expect(asked).toHaveLength(2);
    expect(asked[1]?.headers).not.toHaveProperty('range');
    expect(asked[1]?.headers).not.toHaveProperty('if-range');
  });

  test('is taken from its start where the upstream does not know the range', async () => {
    const { body, asked } = await start([breaks(), send(bytes)]);
    await expectWhole(body);
    expect(asked[1]?.headers).toHaveProperty('range');
  });

  const spoiled = Buffer.concat([bytes.subarray(0, cut - 1), other.subarray(cut - 1)]);
  test.each<[string, Turn, RegExp]>([
    ['other bytes', send(other), /other bytes/],
    ['other bytes at the last place', send(spoiled), /other bytes/],
    ['fewer bytes than came already', send(bytes.subarray(0, 50)), /other bytes/],
    [
      'more bytes than announced at first',
      send(Buffer.concat([bytes, other])),
      /more than it announced/,
    ],
    ['another range', rest(bytes, { start: cut + 1 }), /another range/],
    ['a range of something larger', rest(bytes, { total: '300001' }), /another range/],
    ['a range of nothing', send(bytes.subarray(cut), { code: 206 }), /another range/],
    ['a 416', status(416), /answers 416/],
    ['a 404', status(404), /answers 404/],
  ])('and goes on with %s is broken for good', async (_, turn, sentence) => {
    const { body, asked } = await start([breaks(), turn, send(bytes)]);
    await expectBroken(body, 'upstream_failed', sentence);
    expect(asked).toHaveLength(2);
  });

  test('never hands on more than was announced, whatever comes', async () => {
    const chunked = send(Buffer.concat([bytes, other]), { length: false });
    const { body } = await start([breaks({ headers: {} }), chunked]);
    await expectBroken(body, 'upstream_failed', /more than it announced/);
  });

  test('while it starts again is started again', async () => {
    const { body, asked } = await start([
      breaks({ headers: {} }),
      send(bytes, { cutAt: 50_000 }),
      send(bytes),
    ]);
    await expectWhole(body);
    expect(asked).toHaveLength(3);
  });

  test('anywhere, any number of bytes at a time, is the same in the end', async () => {
    const place = fc.nat({ max: bytes.length });
    await fc.assert(
      fc.asyncProperty(place, place, fc.boolean(), async (first, second, resumes) => {
        const headers = resumes ? { etag } : {};
        const turn = (cutAt: number): Turn => {
          return (asked, response) => {
            const start = Number(/(\d+)/.exec(asked.headers.range ?? '0')?.[1]);
            const stop = Math.max(0, cutAt - start);
            if (start === 0) send(bytes, { headers, cutAt })(asked, response);
            else rest(bytes, { cutAt: stop })(asked, response);
          };
        };
        const { body } = await start([turn(first), turn(second), turn(bytes.length)]);
        await expectWhole(body);
      }),
      { numRuns: 20 },
    );
  });
});

describe('who waits', () => {
  test('gives up a body that is silent for too long, three times', async () => {
    const silent = await start([send(bytes, { stallAt: cut })], { stallMs: 50 });
    await expectBroken(silent.body, 'upstream_timeout', /silent for 50ms/);
    expect(silent.asked).toHaveLength(3);
    for (const asked of silent.asked) {
      await eventually('the connection is broken', () => asked.broken);
    }
  });

  test('goes on with one that was silent for too long, where it stopped', async () => {
    const headers = { etag };
    const { body, asked } = await start([send(bytes, { stallAt: cut, headers }), rest(bytes)], {
      stallMs: 200,
    });
    await expectWhole(body);
    expect(asked).toHaveLength(2);
    expect(asked[1]?.headers).toMatchObject({ range: 'bytes=100000-', 'if-range': etag });
    await eventually('the connection is broken', () => asked[0]?.broken);
  });

  test('gives up one that is silent from its start', async () => {
    const { body } = await start([send(bytes, { stallAt: 0 })], { stallMs: 50 });
    await expectBroken(body, 'upstream_timeout', /fetch timed out/);
  });

  test('is not held to account for its own slowness', async () => {
    const { body } = await start([send(bytes)], { stallMs: 30 });
    let got = 0;
    for await (const chunk of body) {
      if (got === 0) await sleep(1500);
      got += chunk.length;
    }
    expect(got).toBe(bytes.length);
  });

  test('and is aborted in the middle gets the reason, and frees the connection', async () => {
    const caller = new AbortController();
    const reason = new Error('the fill is over');
    const turns = [send(bytes, { stallAt: cut }), send(bytes)];
    const { body, asked } = await start(turns, { signal: caller.signal });
    const chunks = body[Symbol.asyncIterator]();
    let got = 0;
    while (got < cut) got += ((await chunks.next()).value as Uint8Array).length;
    const next = Promise.allSettled([chunks.next()]);
    caller.abort(reason);
    expect(await next).toEqual([{ status: 'rejected', reason }]);
    await eventually('the connection is broken', () => asked[0]?.broken);
    expect(asked).toHaveLength(1);
  });

  test('and stops early frees the connection', async () => {
    const { body, asked } = await start([send(bytes, { stallAt: cut })]);
    for await (const chunk of body) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await eventually('the connection is broken', () => asked[0]?.broken);
  });

  test('for nothing at all frees it with its signal', async () => {
    const caller = new AbortController();
    const { asked } = await start([send(bytes, { stallAt: cut })], { signal: caller.signal });
    caller.abort(new Error('nobody wants it'));
    await eventually('the connection is broken', () => asked[0]?.broken);
  });
});

test('a small body is read whole, a larger one refused and left', async () => {
  const { body } = await start([send(bytes)]);
  expect((await readAll(body, bytes.length)).equals(bytes)).toBe(true);
  const large = await start([send(bytes, { stallAt: cut, length: false })]);
  await expect(readAll(large.body, 1000)).rejects.toMatchObject({ code: 'bad_content' });
  await eventually('the connection is broken', () => large.asked[0]?.broken);
});
