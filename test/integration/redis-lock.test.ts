// Leases through real Redis servers.

import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { RedisLock } from '../../src/coordination/redis-lock.ts';
import { parseRedisUrl } from '../../src/coordination/redis-url.ts';
import { RedisService } from '../../src/coordination/redis.ts';
import type { Lock, Outcome } from '../../src/engine/ports.ts';
import { lockContract } from '../contract/lock.ts';
import { recorder } from '../support/engine.ts';
import { expectLease } from '../support/leases.ts';
import { startCluster, startRedis, startSentinels, type RedisServer } from '../support/redis.ts';
import { atEnd, eventually } from '../support/tmp.ts';

const never = new AbortController().signal;
const stored: Outcome = { kind: 'stored' };
let prefixes = 0;

/** One replica's lock service. */
async function open(url: string, { prefix = 'p:', leaseMs = 5000 } = {}) {
  const { listener, events } = recorder();
  const service = await RedisService.open({ target: parseRedisUrl(url), prefix, listener });
  atEnd(() => {
    service.close();
  });
  const told = () => events.filter(({ name }) => name === 'lockService').map(({ up }) => up);
  return { lock: new RedisLock(service, leaseMs) as Lock, service, told };
}

/** Two replicas that no other test meets. */
async function pair(url: string, leaseMs?: number) {
  const prefix = `test${String(prefixes++)}:`;
  const options = leaseMs === undefined ? { prefix } : { prefix, leaseMs };
  return [await open(url, options), await open(url, options)] as const;
}

async function twoLocks(url: string) {
  const [one, two] = await pair(url);
  return [one.lock, two.lock] as const;
}

const take = async (lock: Lock, key = 'k') =>
  expectLease(await lock.acquire({ key, scope: key, signal: never }));
const comes = (turn: Promise<unknown>) => Promise.race([turn.then(() => true), sleep(50, false)]);

describe('one Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });

  lockContract('Redis', () => twoLocks(redis.url));

  test('a lease outlives its time while its holder lives, and ends with it', async () => {
    const [one, two] = await pair(redis.url, 300);
    await take(one.lock);
    const next = take(two.lock);
    expect(await Promise.race([next.then(() => true), sleep(900, false)])).toBe(false);
    // its holder is gone without a word
    one.service.close();
    expect((await next).waited).toBe(true);
  });

  test('who loses its lease is told, and can neither renew nor end that of another', async () => {
    const [one, two] = await pair(redis.url, 300);
    const lease = await take(one.lock);
    const [key = ''] = (await redis.command(
      'KEYS',
      `*${String(prefixes - 1)}:{k}:lease`,
    )) as string[];
    await redis.command('SET', key, 'somebody else', 'PX', 10_000);
    await eventually('it is told', () => Promise.resolve(lease.lost.aborted));
    await lease.release(stored);
    expect(await redis.command('GET', key)).toBe('somebody else');
    expect(await comes(take(two.lock))).toBe(false);
  });

  test('a lease that vanished with all of Redis is taken again by its holder', async () => {
    const [one, two] = await pair(redis.url, 300);
    const lease = await take(one.lock);
    await redis.command('FLUSHALL');
    await sleep(250);
    const next = take(two.lock);
    expect(await comes(next)).toBe(false);
    expect(lease.lost.aborted).toBe(false);
    await lease.release();
    await (await next).release();
  });

  test('an outcome that was missed is found by a look, and a failure is news for a moment', async () => {
    const [one, two] = await pair(redis.url);
    const failed: Outcome = { kind: 'failed', code: 'not_found', message: 'gone' };
    const lease = await take(one.lock);
    await lease.release(failed);
    expect(await two.lock.acquire({ key: 'k', scope: 'k', signal: never })).toEqual(failed);
    expect(await two.lock.acquire({ key: 'k', scope: 'k', signal: never })).toEqual(failed);
    await eventually('it is no news any more', async () => {
      const turn = await two.lock.acquire({ key: 'k', scope: 'k', signal: never });
      if ('kind' in turn) return false;
      await turn.release();
      return true;
    });
    const again = await take(one.lock, 'other');
    await again.release(stored);
    expect((await take(two.lock, 'other')).waited).toBe(true);
  });

  test('each lease has a greater token', async () => {
    const [one] = await pair(redis.url);
    const tokens: number[] = [];
    for (let i = 0; i < 3; i++) {
      const lease = await take(one.lock);
      const value = await redis.command('GET', `test${String(prefixes - 1)}:{k}:lease`);
      tokens.push(Number(String(value).split(' ')[1]));
      await lease.release();
    }
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    expect(new Set(tokens).size).toBe(3);
  });

  test('nothing is left behind', async () => {
    const [one] = await pair(redis.url);
    const before = await redis.command('DBSIZE');
    const lease = await take(one.lock);
    await lease.release();
    expect(await redis.command('DBSIZE')).toBe(before);
  });
});

describe('a Redis that', () => {
  test('is not there locks within the process, and is used once it comes', async () => {
    const redis = await startRedis();
    await redis.kill();
    const [one, two] = await pair(redis.url);
    const mine = await take(one.lock);
    const theirs = await take(two.lock);
    expect(await comes(take(one.lock))).toBe(false);
    expect(one.told()).toEqual([false]);
    await Promise.all([mine.release(), theirs.release()]);
    await redis.restart();
    await eventually('it is back', () => Promise.resolve(one.service.up && two.service.up));
    expect(one.told()).toEqual([false, true]);
    const lease = await take(one.lock, 'shared');
    expect(await comes(take(two.lock, 'shared'))).toBe(false);
    await lease.release();
  });

  test.each(['dies', 'hangs'])(
    '%s frees whoever waits, and keeps nobody from an end',
    async (how) => {
      const redis = await startRedis();
      const [one, two] = await pair(redis.url);
      const lease = await take(one.lock);
      const next = take(two.lock);
      expect(await comes(next)).toBe(false);
      if (how === 'dies') await redis.kill();
      else redis.pause();
      await (await next).release();
      await lease.release(stored);
      expect(two.told()).toEqual([false]);
      if (how === 'dies') await redis.restart();
      else redis.resume();
      await eventually('it is back', () => Promise.resolve(one.service.up && two.service.up));
      await (await take(two.lock, 'other')).release();
    },
  );

  test('refuses writes counts as away', async () => {
    const redis = await startRedis();
    const [one] = await pair(redis.url);
    await redis.command('REPLICAOF', '127.0.0.1', '1');
    await (await take(one.lock)).release();
    expect(one.told()).toEqual([false]);
    await redis.command('REPLICAOF', 'NO', 'ONE');
    await eventually('it is back', () => Promise.resolve(one.service.up));
  });

  test('wants a password gets it', async () => {
    const redis = await startRedis(['--requirepass', 'p@ss:word']);
    const url = redis.url.replace('//', `//:${encodeURIComponent('p@ss:word')}@`);
    const [one, two] = await pair(url);
    const lease = await take(one.lock);
    expect(await comes(take(two.lock))).toBe(false);
    await lease.release();
    expect(one.told()).toEqual([]);
  });
});

describe('a cluster', () => {
  let url: string;
  beforeAll(async () => {
    ({ url } = await startCluster());
  });
  lockContract('Redis cluster', () => twoLocks(url));
});

describe('sentinels', () => {
  let group: Awaited<ReturnType<typeof startSentinels>>;
  beforeAll(async () => {
    group = await startSentinels();
  });
  lockContract('Redis behind sentinels', () => twoLocks(group.url));

  test('name another master when theirs dies', async () => {
    const [one, two] = await pair(group.url);
    await group.master.kill();
    await (await take(one.lock)).release();
    await eventually('the next master is found', async () => {
      const lease = await take(one.lock, 'after');
      const shared = one.service.up && two.service.up && !(await comes(take(two.lock, 'after')));
      await lease.release();
      return shared;
    });
  });
});
