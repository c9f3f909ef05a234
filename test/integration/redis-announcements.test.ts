// Purges that replicas tell each other through a real Redis.

import { beforeAll, describe, expect, test } from 'vitest';
import { LocalAnnouncements } from '../../src/coordination/local-announcements.ts';
import { RedisAnnouncements } from '../../src/coordination/redis-announcements.ts';
import { RedisLock } from '../../src/coordination/redis-lock.ts';
import { parseRedisUrl } from '../../src/coordination/redis-url.ts';
import { RedisService } from '../../src/coordination/redis.ts';
import { within, type PurgeScope } from '../../src/engine/purge-plan.ts';
import {
  bytesOf,
  content,
  engine,
  Feed,
  MemoryStore,
  never,
  online,
  recorder,
} from '../support/engine.ts';
import { expectLease } from '../support/leases.ts';
import { startCluster, startRedis, type RedisServer } from '../support/redis.ts';
import { atEnd, eventually } from '../support/tmp.ts';

const key = 'go/example.com/m/@v/v1.0.0.zip';
const scope: PurgeScope = { keys: [key], folders: [] };
const GREETING = 'hello ';
let prefixes = 0;

/** One replica. */
async function open(url: string, prefix: string) {
  const { listener } = recorder();
  const service = await RedisService.open({ target: parseRedisUrl(url), prefix, listener });
  const heard: string[] = [];
  const errors: unknown[] = [];
  const announcements = new RedisAnnouncements({
    redis: service,
    local: new LocalAnnouncements(),
    failed: (error) => errors.push(error),
  });
  const greetings = new Set<string>();
  announcements.subscribe(({ keys, folders }) => {
    const [first] = keys;
    if (first?.startsWith(GREETING)) greetings.add(first);
    else heard.push(...keys, ...folders);
  });
  atEnd(() => {
    announcements.close();
    service.close();
  });
  return { announcements, service, heard, greetings, errors, prefix };
}

type Replica = Awaited<ReturnType<typeof open>>;

/** Two replicas that hear each other. */
async function pair(url: string): Promise<readonly [Replica, Replica]> {
  const prefix = `purges${String(prefixes++)}:`;
  const [one, two] = [await open(url, prefix), await open(url, prefix)];
  await Promise.all([greeted(one, two), greeted(two, one)]);
  return [one, two];
}

/** Resolves when one hears the other. */
async function greeted(one: Replica, other: Replica): Promise<void> {
  const greeting = `${GREETING}${String(prefixes++)}`;
  await eventually('it hears the other', async () => {
    await other.announcements.announce({ keys: [greeting], folders: [] });
    return one.greetings.has(greeting);
  });
}

describe('one Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });

  test('all replicas are told, each once', async () => {
    const [one, two] = await pair(redis.url);
    await one.announcements.announce({ keys: ['a', 'b'], folders: ['c'] });
    await eventually('it is heard', () => two.heard.length >= 3);
    // what comes after has everything before it
    await two.announcements.announce({ keys: ['end'], folders: [] });
    await eventually('it is heard', () => one.heard.includes('end'));
    expect(one.heard).toEqual(['a', 'b', 'c', 'end']);
    expect(two.heard).toEqual(['a', 'b', 'c', 'end']);
  });

  test('a large scope arrives whole', async () => {
    const [one, two] = await pair(redis.url);
    const keys = Array.from({ length: 20_000 }, (_, i) => `oci/blobs/sha256/${String(i)}`);
    await one.announcements.announce({ keys, folders: ['f'] });
    await eventually('it is heard', () => two.heard.length > keys.length);
    expect(two.heard).toEqual([...keys, 'f']);
  });

  test('what is no announcement is told, and harms nothing', async () => {
    const [one, two] = await pair(redis.url);
    for (const message of ['', 'null', '{"keys":1}'])
      await redis.command('PUBLISH', `${one.prefix}purged`, message);
    await one.announcements.announce(scope);
    await eventually('it is heard', () => two.heard.length > 0);
    expect(two.heard).toEqual([key]);
    expect(two.errors).toHaveLength(3);
  });

  test('a fill on another replica is disowned, and its lease is free', async () => {
    const [one, two] = await pair(redis.url);
    const store = new MemoryStore();
    const [here, there] = [one, two].map(({ announcements, service }) => {
      const replica = engine({ store, lock: new RedisLock(service, 60_000) });
      announcements.subscribe((told) => replica.pull.forget(within(told)));
      return replica;
    });
    if (here === undefined || there === undefined) throw new Error('two replicas');
    const bytes = Buffer.alloc(200_000, 'old');
    const feed = new Feed();
    const waiting = there.pull.content(content(key, feed), online);
    feed.send(bytes.subarray(0, 100_000));
    const { body } = await waiting;
    await one.announcements.announce(scope);
    const lease = await new RedisLock(one.service, 60_000).acquire({
      key,
      scope: 'purge',
      signal: never,
    });
    await expectLease(lease).release();
    const fresh = content(key, Buffer.alloc(1000, 'new'));
    (await here.pull.content(fresh, online)).body.close();
    await here.fills.settled();
    feed.send(bytes.subarray(100_000));
    feed.end();
    expect((await bytesOf(body)).equals(bytes)).toBe(true);
    body.close();
    await there.fills.settled();
    expect(store.content.get(key)?.bytes).toEqual(Buffer.alloc(1000, 'new'));
  });
});

test('what Redis does not take is said when it is back', async () => {
  const redis = await startRedis();
  const [one, two] = await pair(redis.url);
  const before = two.service.hearing;
  expect(before).toBeDefined();
  await redis.kill();
  await one.announcements.announce(scope);
  expect(one.heard).toEqual([key]);
  await eventually('it is known to be away', () => two.service.hearing === undefined);
  await redis.restart();
  await eventually('it is used again', () => two.service.hearing !== undefined && one.service.up);
  expect(two.service.hearing).not.toBe(before);
  await one.announcements.announce({ keys: ['end'], folders: [] });
  await eventually('both are said', () => one.heard.includes('end') && two.heard.includes('end'));
});

test('a late Redis is told again by who could not, as the others have heard it all the time', async () => {
  const redis = await startRedis();
  const [one, two] = await pair(redis.url);
  redis.pause();
  await one.announcements.announce(scope);
  redis.resume();
  await eventually('it is heard', () => two.heard.includes(key));
});

test('a cluster carries it to all', async () => {
  const { url } = await startCluster();
  const [one, two] = await pair(url);
  await one.announcements.announce(scope);
  await eventually('it is heard', () => two.heard.length > 0);
  expect(two.heard).toEqual([key]);
  // its client does not tell what it misses
  expect(two.service.hearing).toBeUndefined();
});
