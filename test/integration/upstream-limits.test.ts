// The limits of src/http in real time, over real sockets; test/unit/http/limits.test.ts has them to the millisecond.

import { describe, expect, test } from 'vitest';
import { RedisBuckets } from '../../src/coordination/redis-buckets.ts';
import { parseRedisUrl } from '../../src/coordination/redis-url.ts';
import { RedisService } from '../../src/coordination/redis.ts';
import { LarderError } from '../../src/engine/errors.ts';
import { readAll } from '../../src/http/download.ts';
import type { Rate } from '../../src/http/token-bucket.ts';
import { recorder } from '../support/engine.ts';
import { origin, request, silence, status, upstreamClient, type Turn } from '../support/origin.ts';
import { startRedis } from '../support/redis.ts';
import { atEnd, eventually } from '../support/tmp.ts';

const ok = status(200, {}, 'the answer');
const busy = (headers: Record<string, string> = {}) => status(429, headers, 'too often');
const all = async (body: AsyncIterable<Uint8Array>) => (await readAll(body, 1000)).toString();

/** Notes when each request came. */
function timed(turns: readonly Turn[]) {
  const came: number[] = [];
  const gaps = () => came.slice(1).map((at, before) => at - (came[before] ?? 0));
  const noted = turns.map((turn): Turn => (asked, response) => {
    came.push(performance.now());
    turn(asked, response);
  });
  return { turns: noted, came, gaps };
}

describe('429', () => {
  test('is asked again a second later at least, on the same connection, as long as the caller waits', async () => {
    const { client } = upstreamClient();
    const { turns, gaps } = timed([busy(), ok]);
    const { url, asked, sockets } = await origin(turns);
    const response = await client.send(request(url, { rateWaitMs: 20_000 }));
    expect(await all(response.body)).toBe('the answer');
    expect(response.triesLeft).toBe(2);
    expect(asked).toHaveLength(2);
    expect(Math.min(...gaps())).toBeGreaterThanOrEqual(1000);
    expect(sockets.most).toBe(1);
  });

  test('is asked again when it says, not before', async () => {
    const { client } = upstreamClient();
    const { turns, gaps } = timed([busy({ 'retry-after': '2' }), ok]);
    const { url } = await origin(turns);
    expect((await client.send(request(url, { rateWaitMs: 20_000 }))).status).toBe(200);
    expect(gaps()[0]).toBeGreaterThanOrEqual(2000);
  });

  test('that says to come later than the caller waits is the answer, and nobody else is sent', async () => {
    const { client, events } = upstreamClient();
    const { url, host, asked } = await origin(busy({ 'retry-after': '60' }));
    const response = await client.send(request(url, { rateWaitMs: 5000 }));
    expect([response.status, await all(response.body)]).toEqual([429, 'too often']);
    await expect(client.send(request(`${url}/b`, { rateWaitMs: 5000 }))).rejects.toMatchObject({
      code: 'rate_limited',
    });
    expect(asked).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ name: 'upstreamHeld', host, why: 'rate' });
  });

  test('behind a redirect is of the host that says it', async () => {
    const { client } = upstreamClient();
    const there = await origin([busy({ 'retry-after': '60' }), ok]);
    const { url, asked } = await origin([status(302, { location: there.url }), ok]);
    expect((await client.send(request(url))).status).toBe(429);
    expect(await all((await client.send(request(url))).body)).toBe('the answer');
    expect([asked.length, there.asked.length]).toEqual([2, 1]);
  });
});

test('what a host tells of its limit is told on', async () => {
  const { client, events } = upstreamClient();
  const { url, host } = await origin([
    status(200, { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '76;w=21600' }),
    status(200, { 'X-RateLimit-Limit': '60', 'X-RateLimit-Remaining': '0' }),
    status(200, { 'RateLimit-Limit': 'many' }),
  ]);
  for (let count = 0; count < 3; count++) (await client.send(request(url))).body.destroy();
  expect(events.filter(({ name }) => name === 'upstreamLimit')).toEqual([
    { name: 'upstreamLimit', host, limit: 100, remaining: 76 },
    { name: 'upstreamLimit', host, limit: 60, remaining: 0 },
  ]);
});

describe('limits of a host', () => {
  test('sockets, also when they are changed while it runs', async () => {
    const limits = { sockets: 3 };
    const { client } = upstreamClient({ limitsOf: () => limits });
    const waiting: (() => void)[] = [];
    const { url, sockets } = await origin((_request, response) => {
      waiting.push(() => response.end('x'));
    });
    const ask = async () => all((await client.send(request(url))).body);
    const answered = async (count: number) => {
      const answers = Promise.all(Array.from({ length: 10 }, ask));
      await eventually('as many as may be there', () => waiting.length === count);
      const rest = setInterval(() => {
        for (const answer of waiting.splice(0)) answer();
      }, 5);
      await answers;
      clearInterval(rest);
      return sockets.most;
    };
    expect(await answered(3)).toBe(3);
    limits.sockets = 7;
    client.limitsChanged();
    await eventually('the old ones are gone', () => sockets.open === 0);
    expect(await answered(7)).toBe(7);
  });

  test('a rate: who comes too late is refused at once, and the host sees no more than that', async () => {
    const rate = { intervalMs: 60_000, burst: 4 };
    const { client } = upstreamClient({ limitsOf: () => ({ rate }) });
    const { url, asked } = await origin(ok);
    const replies = await Promise.allSettled(
      Array.from({ length: 10 }, () => client.send(request(url, { rateWaitMs: 5000 }))),
    );
    for (const reply of replies) if (reply.status === 'fulfilled') reply.value.body.destroy();
    expect(replies.filter((reply) => reply.status === 'fulfilled')).toHaveLength(4);
    expect(asked).toHaveLength(4);
  });
});

describe('a host that is silent or away', () => {
  test('is left alone after five time-outs; another one is not', async () => {
    const { client, events } = upstreamClient();
    const { url, host, asked } = await origin(silence);
    const other = await origin(ok);
    const ask = () => client.send(request(url, { firstByteMs: 100 }));
    for (let count = 0; count < 5; count++)
      await expect(ask()).rejects.toMatchObject({ code: 'upstream_timeout' });
    await expect(ask()).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringContaining(host) as string,
    });
    expect(asked).toHaveLength(5);
    expect(events.filter(({ name }) => name === 'upstreamDown')).toMatchObject([{ isDown: true }]);
    expect((await client.send(request(other.url))).status).toBe(200);
  });

  test('is asked again, and then by all, when it is back', async () => {
    const { client } = upstreamClient();
    const { url } = await origin([silence, silence, silence, silence, silence, ok]);
    const ask = () => client.send(request(url, { firstByteMs: 100 }));
    for (let count = 0; count < 5; count++) await expect(ask()).rejects.toThrow();
    await eventually('it answers', async () => (await ask()).status === 200);
    expect((await ask()).status).toBe(200);
  });

  test('a body that its giver breaks off counts for nothing', async () => {
    const { client, events } = upstreamClient();
    const { url } = await origin(ok);
    const broken = new LarderError('upstream_failed', 'the source breaks off');
    async function* body() {
      yield Buffer.from('the first part');
      await Promise.resolve();
      throw broken;
    }
    for (let count = 0; count < 8; count++) {
      const stream = body();
      await expect(client.send(request(url, { method: 'PUT', stream }))).rejects.toBe(broken);
    }
    expect(events.filter(({ name }) => name === 'upstreamDown')).toEqual([]);
    expect((await client.send(request(url))).status).toBe(200);
  });

  test('whoever leaves by itself counts for nothing', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin(silence);
    for (let count = 0; count < 8; count++) {
      const caller = new AbortController();
      const sent = Promise.allSettled([client.send(request(url, { signal: caller.signal }))]);
      await eventually('the request', () => asked.length === count + 1);
      caller.abort(new Error('gone'));
      await sent;
    }
  });
});

describe('replicas', async () => {
  const redis = await startRedis();
  let prefixes = 0;

  async function replica(prefix: string) {
    const { listener } = recorder();
    const target = parseRedisUrl(redis.url);
    const service = await RedisService.open({ target, prefix, listener });
    atEnd(() => {
      service.close();
    });
    return new RedisBuckets(service);
  }

  const RATE: Rate = { intervalMs: 60_000, burst: 10 };

  test('share one bucket a host', async () => {
    const prefix = `buckets${String(prefixes++)}:`;
    const { url, asked } = await origin(ok);
    const clients = await Promise.all(
      [1, 2, 3].map(async () => {
        const shared = await replica(prefix);
        return upstreamClient({ shared, limitsOf: () => ({ rate: RATE }) }).client;
      }),
    );
    const replies = await Promise.allSettled(
      clients.flatMap((client) =>
        Array.from({ length: 10 }, () => client.send(request(url, { rateWaitMs: 1000 }))),
      ),
    );
    for (const reply of replies) if (reply.status === 'fulfilled') reply.value.body.destroy();
    expect(asked).toHaveLength(10);
  });

  test('a token that is given back is another one’s, and a drained bucket is for all', async () => {
    const prefix = `buckets${String(prefixes++)}:`;
    const [one, two] = [await replica(prefix), await replica(prefix)];
    const rate = { intervalMs: 60_000, burst: 1 };
    expect(await one.take('h', rate, 0)).toMatchObject({ waitMs: 0 });
    expect((await two.take('h', rate, 0))?.waitMs).toBeGreaterThan(50_000);
    await one.giveBack('h', rate);
    expect(await two.take('h', rate, 0)).toMatchObject({ waitMs: 0 });
    await one.drain('g', RATE, 600_000);
    expect((await two.take('g', RATE, 0))?.waitMs).toBeGreaterThan(500_000);
    expect(await two.take('other', RATE, 0)).toMatchObject({ waitMs: 0 });
    // a bucket that is full again takes no room
    expect(await redis.command('PTTL', `${prefix}bucket:g`)).toBeGreaterThan(1_000_000);
  });

  test('without Redis each goes on by itself, with what it knew', async () => {
    const own = await startRedis();
    const { listener } = recorder();
    const target = parseRedisUrl(own.url);
    const service = await RedisService.open({ target, prefix: 'x:', listener });
    atEnd(() => {
      service.close();
    });
    const shared = new RedisBuckets(service);
    const { client } = upstreamClient({ shared, limitsOf: () => ({ rate: RATE }) });
    const { url, asked } = await origin(ok);
    const send = () => client.send(request(url));
    for (let count = 0; count < 6; count++) (await send()).body.destroy();
    await own.kill();
    for (let count = 0; count < 4; count++) (await send()).body.destroy();
    await expect(send()).rejects.toMatchObject({ code: 'rate_limited' });
    expect(asked).toHaveLength(10);
  });
});
