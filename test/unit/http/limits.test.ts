import { describe, expect, test } from 'vitest';
import type { Rate, SharedBuckets } from '../../../src/http/token-bucket.ts';
import { limitedHost, type Said } from '../../support/limited-host.ts';

const RATE: Rate = { intervalMs: 300, burst: 200 };
const MINUTES = 600_000;

const after = (retryAfter: string): Said => ({
  status: 429,
  headers: { 'retry-after': retryAfter },
});
const settled = (asked: Promise<unknown>[]) => Promise.allSettled(asked);

describe('a known rate', () => {
  test('of 500 at once at 200 a minute, burst 200, the last leaves at 90 s, all in order', async () => {
    const { timing, sends, ask } = limitedHost(200, { rate: RATE });
    const done: number[] = [];
    const asked = Array.from({ length: 500 }, async (_, at) => {
      await ask({ rateWaitMs: MINUTES });
      done.push(at);
    });
    await timing.advance(MINUTES);
    await Promise.all(asked);
    expect(sends.slice(0, 201)).toEqual([...Array.from({ length: 200 }, () => 0), 300]);
    expect(sends).toHaveLength(500);
    expect(sends.at(-1)).toBe(90_000);
    expect(done).toEqual(Array.from({ length: 500 }, (_, at) => at));
    expect(timing.pending).toBe(0);
  });

  test('who would leave too late is refused at once, and told when to come', async () => {
    const { timing, sends, events, ask } = limitedHost(200, {
      rate: { intervalMs: 1000, burst: 2 },
    });
    const asked = Array.from({ length: 6 }, () => ask({ rateWaitMs: 2500 }));
    const refused = settled(asked.slice(4));
    await timing.advance(0);
    expect(await refused).toMatchObject([
      { reason: { code: 'rate_limited', retryAfterMs: 3000 } },
      { reason: { code: 'rate_limited', retryAfterMs: 3000 } },
    ]);
    await timing.advance(10_000);
    await Promise.all(asked.slice(0, 4));
    expect(sends).toEqual([0, 0, 1000, 2000]);
    expect(events.map(({ name }) => name)).toEqual(['upstreamHeld', 'upstreamHeld']);
  });

  test('who leaves gives its token back, and leaves no timer', async () => {
    const { timing, sends, ask } = limitedHost(200, { rate: { intervalMs: 1000, burst: 1 } });
    const leaving = new AbortController();
    await ask();
    const gone = settled([ask({ rateWaitMs: MINUTES, signal: leaving.signal })]);
    await timing.advance(500);
    leaving.abort(new Error('gone'));
    expect(await gone).toMatchObject([{ reason: { message: 'gone' } }]);
    expect(timing.pending).toBe(0);
    const next = ask({ rateWaitMs: MINUTES });
    await timing.advance(MINUTES);
    expect(await next).toBe(200);
    expect(sends).toEqual([0, 1000]);
  });

  test('what need not wait goes, however late it is', async () => {
    const { sends, ask } = limitedHost(200, { rate: { intervalMs: 1000, burst: 1 } });
    expect(await ask({ rateWaitMs: -5 })).toBe(200);
    expect(sends).toEqual([0]);
  });

  test('429 empties the bucket', async () => {
    const { timing, sends, ask } = limitedHost([429, 200], {
      rate: { intervalMs: 2000, burst: 50 },
    });
    const one = ask({ rateWaitMs: MINUTES });
    await timing.advance(0);
    const others = [ask({ rateWaitMs: MINUTES }), ask({ rateWaitMs: MINUTES })];
    await timing.advance(MINUTES);
    expect(await Promise.all([one, ...others])).toEqual([200, 200, 200]);
    expect(sends).toEqual([0, 2000, 4000, 6000]);
  });
});

describe('shared by several', () => {
  function shared(takes: ({ waitMs: number; fullInMs: number } | undefined)[]) {
    const calls: string[] = [];
    const buckets: SharedBuckets = {
      take: (host) => {
        calls.push(`take ${host}`);
        return Promise.resolve(takes.shift());
      },
      giveBack: () => Promise.resolve(void calls.push('giveBack')),
      drain: (_host, _rate, ms) => Promise.resolve(void calls.push(`drain ${String(ms)}`)),
    };
    return { buckets, calls };
  }

  test('counts what the others took, also when they cannot be asked any more', async () => {
    const rate = { intervalMs: 1000, burst: 2 };
    const { buckets, calls } = shared([{ waitMs: 3000, fullInMs: 5000 }, undefined]);
    const { timing, sends, ask } = limitedHost([after('7'), 200], { rate, shared: buckets });
    const asked = ask({ rateWaitMs: MINUTES });
    await timing.advance(MINUTES);
    expect(await asked).toBe(200);
    expect(sends).toEqual([3000, 10_000]);
    expect(calls).toEqual(['take host.test', 'drain 7000', 'take host.test']);
  });

  test('gives back there too', async () => {
    const { buckets, calls } = shared([{ waitMs: 3000, fullInMs: 5000 }]);
    const { timing, ask } = limitedHost(200, { rate: RATE, shared: buckets });
    const leaving = new AbortController();
    const gone = settled([ask({ rateWaitMs: MINUTES, signal: leaving.signal })]);
    await timing.advance(10);
    leaving.abort(new Error('gone'));
    await gone;
    expect(calls).toEqual(['take host.test', 'giveBack']);
  });
});

describe('what is tried again', () => {
  const apart = (sends: readonly number[]) =>
    Math.min(...sends.slice(1).map((at, before) => at - (sends[before] ?? 0)));

  test.each([undefined, RATE])(
    '429 five times, then 200: six sends, a second apart (%j)',
    async (rate) => {
      const { timing, sends, ask } = limitedHost(
        [429, 429, 429, 429, 429, 200],
        rate ? { rate } : {},
      );
      const asked = ask({ rateWaitMs: MINUTES });
      await timing.advance(MINUTES);
      expect(await asked).toBe(200);
      expect(sends).toHaveLength(6);
      expect(apart(sends)).toBeGreaterThanOrEqual(1000);
      expect(timing.pending).toBe(0);
    },
  );

  test.each([
    ['503 three times: three sends and the third', [503], [503, 3]],
    ['429s are no tries', [503, 429, 429, 503, 200], [200, 5]],
    ['resets are', [new Error('reset'), 503, 200], [200, 3]],
    ['a 404 is an answer', [502, 404], [404, 2]],
  ] as [string, Said[], [number, number]][])('%s', async (_what, turns, [status, count]) => {
    const { timing, sends, ask } = limitedHost(turns);
    const asked = ask({ rateWaitMs: MINUTES });
    await timing.advance(MINUTES);
    expect(await asked).toBe(status);
    expect(sends).toHaveLength(count);
    expect(timing.pending).toBe(0);
  });

  test('endless 429 with 2.5 s: three sends, the 429 at once, no timer left', async () => {
    const { timing, sends, ask } = limitedHost(429);
    const asked = ask({ rateWaitMs: 2500 });
    await timing.advance(2000);
    expect(await asked).toBe(429);
    expect(sends).toEqual([0, 1000, 2000]);
    expect(timing.pending).toBe(0);
  });

  test('waits for limits do not count as silence', async () => {
    const { timing, ask } = limitedHost([429, 429, 429, 200]);
    const asked = ask({ rateWaitMs: MINUTES, firstByteMs: 500 });
    await timing.advance(MINUTES);
    expect(await asked).toBe(200);
  });

  test('whoever leaves in between gets its reason, and no timer is left', async () => {
    const { timing, sends, ask } = limitedHost(429);
    const leaving = new AbortController();
    const gone = settled([ask({ rateWaitMs: MINUTES, signal: leaving.signal })]);
    await timing.advance(1500);
    leaving.abort(new Error('gone'));
    expect(await gone).toMatchObject([{ reason: { message: 'gone' } }]);
    expect([sends.length, timing.pending]).toEqual([2, 0]);
  });
});

describe('Retry-After', () => {
  test.each([
    ['4', 4000],
    [new Date(Date.parse('2026-01-01T00:00:04Z')).toUTCString(), 4000],
    ['Thursday, 01-Jan-26 00:00:04 GMT', 4000],
    ['Thu Jan  1 00:00:04 2026', 4000],
    ['0', 1000],
    ['-1', 1000],
    ['soon', 1000],
    ['2026', 2_026_000],
  ])('%s', async (retryAfter, at) => {
    const headers = { 'retry-after': retryAfter, date: 'Thu, 01 Jan 2026 00:00:00 GMT' };
    const { timing, sends, ask } = limitedHost([{ status: 429, headers }, 200]);
    const asked = ask({ rateWaitMs: 10 * MINUTES });
    await timing.advance(10 * MINUTES);
    expect(await asked).toBe(200);
    expect(sends).toEqual([0, at]);
  });

  test('longer than one waits for: the 429 at once; others are not sent meanwhile, or wait', async () => {
    const { timing, sends, ask } = limitedHost([after('30'), 200]);
    expect(await ask({ rateWaitMs: 5000 })).toBe(429);
    await timing.advance(10_000);
    await expect(ask({ rateWaitMs: 5000 })).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 20_000,
    });
    const patient = ask({ rateWaitMs: 60_000 });
    await timing.advance(60_000);
    expect(await patient).toBe(200);
    expect(sends).toEqual([0, 30_000]);
  });

  test('who waits for a token when it comes, and has no time for that, is refused at once', async () => {
    const rate = { intervalMs: 1000, burst: 2 };
    const { timing, host, sends, ask } = limitedHost(200, { rate });
    await Promise.all([ask(), ask()]);
    const short = settled([ask({ rateWaitMs: 5000 })]);
    const long = ask({ rateWaitMs: 20_000 });
    await timing.advance(500);
    host.note(429, { 'retry-after': '10' });
    expect(await short).toMatchObject([{ reason: { code: 'rate_limited', retryAfterMs: 10_000 } }]);
    await timing.advance(60_000);
    expect(await long).toBe(200);
    expect(sends).toEqual([0, 0, 10_500]);
  });
});

describe('a host that cannot be reached', () => {
  const refused = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' });

  test('is left alone after five failures in a row, then tried by one request at a time', async () => {
    const { timing, sends, events, ask } = limitedHost([...Array<Error>(18).fill(refused), 200]);
    const five = settled(Array.from({ length: 5 }, () => ask()));
    await timing.advance(1000);
    expect((await five).map(({ status }) => status)).toEqual(Array(5).fill('rejected'));
    // each with its three tries
    expect(sends).toHaveLength(15);
    // at once, without a word to the host
    await expect(ask()).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringContaining('connection refused') as string,
    });
    expect(sends).toHaveLength(15);
    await timing.advance(2000);
    const probes = settled([ask(), ask(), ask()]);
    await timing.advance(0);
    expect(sends).toHaveLength(16);
    await timing.advance(10_000);
    await probes;
    expect(await ask()).toBe(200);
    expect(events.filter(({ name }) => name === 'upstreamDown')).toMatchObject([
      { host: 'host.test', isDown: true },
      { host: 'host.test', isDown: false },
    ]);
    expect(timing.pending).toBe(0);
  });

  test('longer each time that it has not come back', async () => {
    const { timing, sends, ask } = limitedHost(refused);
    for (let ms = 0; ms < 120_000; ms += 1000) {
      const asked = settled([ask()]);
      await timing.advance(1000);
      await asked;
    }
    const firsts = sends.filter((_, at) => at % 3 === 0);
    const gaps = firsts.slice(5).map((at, before) => at - (firsts[before + 4] ?? 0));
    expect(gaps.slice(0, 5)).toEqual([3000, 5000, 9000, 17_000, 31_000]);
  });

  test('one that leaves lets the next one try', async () => {
    const { timing, sends, ask } = limitedHost(refused);
    const five = settled(Array.from({ length: 5 }, () => ask()));
    await timing.advance(3000);
    await five;
    const leaving = new AbortController();
    const gone = settled([ask({ signal: leaving.signal })]);
    await timing.advance(50);
    leaving.abort(new Error('gone'));
    await gone;
    expect(sends).toHaveLength(16);
    const next = settled([ask()]);
    await timing.advance(1000);
    await next;
    expect(sends).toHaveLength(19);
  });

  test('any answer is one, whatever it says', async () => {
    const lost = [refused, refused, refused];
    const turns = [...lost, ...lost, ...lost, ...lost, 404, ...lost, 503];
    const { timing, sends, ask } = limitedHost(turns);
    for (let count = 0; count < 7; count++) {
      const asked = settled([ask()]);
      await timing.advance(1000);
      await asked;
    }
    expect(sends).toHaveLength(19);
  });
});
