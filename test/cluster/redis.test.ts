// Redis goes away in every way and comes back (issue 5, behaviour 4): pulls go on, hits do not notice, and when it is back
// one fetch is one fetch again.

import { beforeEach, describe, expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { filePath, listPath } from '../support/modules.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import {
  Cluster,
  heldHerd,
  herd,
  readinessOf,
  repliesOf,
  tally,
  whenReady,
  whenWaiting,
  type Three,
} from '../support/replicas.ts';
import { outcomeOf, whenStored } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';

const MIB = 1024 * 1024;
const KINDS = ['zip', 'blob'] as const;

const server = await cephServer();

/** A herd over all causes one fetch. */
async function expectOneFetch(cluster: Cluster, larders: Three): Promise<void> {
  for (const kind of KINDS) {
    const artifact = cluster[kind](2 * MIB);
    const replies = await repliesOf(herd(larders, artifact.path, 30));
    expect(tally(replies, artifact.body)).toEqual({ right: 30 });
    expect(artifact.gets()).toMatchObject([{ state: 'done' }]);
  }
}

/** Everybody gets the right bytes, at the price of one fetch for each replica at most. */
async function expectService(cluster: Cluster, larders: Three): Promise<void> {
  for (const kind of KINDS) {
    const artifact = cluster[kind](2 * MIB);
    const replies = await repliesOf(herd(larders, artifact.path, 30));
    expect(tally(replies, artifact.body)).toEqual({ right: 30 });
    expect(artifact.gets().length).toBeLessThanOrEqual(3);
  }
}

/** Ready, with a warning of Redis. */
async function expectWarning(larders: Three): Promise<void> {
  await whenReady(larders, 1);
  for (const larder of larders) {
    const { status, warnings } = await readinessOf(larder);
    expect(status).toBe(200);
    expect(warnings[0]).toMatch(/Redis/);
  }
}

test('absent at the start: pulls go on; when it comes, one fetch is one fetch', async () => {
  const redis = await startRedis();
  await redis.kill();
  const cluster = await Cluster.on(server, redis.url);
  const larders = await cluster.startThree();
  await expectWarning(larders);
  await expectService(cluster, larders);
  await redis.restart();
  await whenReady(larders);
  await expectOneFetch(cluster, larders);
  await cluster.audit();
});

describe('three replicas', async () => {
  const redis = await startRedis();
  const cluster = await Cluster.on(server, redis.url);
  const larders = await cluster.startThree({ LARDER_LIST_TTL: '1h', LARDER_TAG_TTL: '1h' });
  const bringBack = {
    killed: () => redis.restart(),
    hung: () => {
      redis.resume();
    },
    full: () => redis.command('CONFIG', 'SET', 'maxmemory', 0),
    'made read-only': () => redis.command('REPLICAOF', 'NO', 'ONE'),
  };
  const end = {
    killed: () => redis.kill(),
    hung: () => {
      redis.pause();
    },
    full: () => redis.command('CONFIG', 'SET', 'maxmemory', 1),
    'made read-only': () => redis.command('REPLICAOF', '127.0.0.1', 1),
  };

  beforeEach(() => whenReady(larders));

  test.for(['killed', 'hung', 'full', 'made read-only'] as const)(
    '%s in the middle of a fill, and back again',
    async (how) => {
      const [leader, ...others] = larders;
      const artifact = cluster.zip(8 * MIB);
      const warm = cluster.zip(MIB);
      for (const { base } of larders) await whenStored(base, warm.path);
      const { gate, own } = await heldHerd(leader, artifact, { count: 10, holdAfter: 4 * MIB });
      const elsewhere = herd(others, artifact.path, 20);
      await whenWaiting(others);

      await end[how]();
      try {
        for (const reply of await repliesOf(herd(larders, warm.path, 9))) {
          expect([reply.sha256, outcomeOf(reply)]).toEqual([warm.body.sha256, 'hit']);
        }
        await expectService(cluster, larders);
        await expectWarning(larders);
        gate.open();
        expect(tally(await repliesOf([...own, ...elsewhere]), artifact.body)).toEqual({
          right: 30,
        });
        expect(artifact.gets().length).toBeLessThanOrEqual(3);
      } finally {
        await bringBack[how]();
      }
      await whenReady(larders);
      await expectOneFetch(cluster, larders);
      expect(await cluster.audit()).toContain(artifact.key);
    },
  );

  test('hits of every kind send it no command', async () => {
    const version = cluster.version('example.com/recorded', 'v1.0.0', { noise: MIB });
    const image = cluster.registry.addImage('recorded/app', 'v1', {
      layers: [cluster.blob(MIB).body],
    });
    const paths = [
      ...(['info', 'mod', 'zip'] as const).map((extension) => filePath(version, extension)),
      listPath(version.module),
      '/v2/recorded/app/manifests/v1',
      `/v2/recorded/app/manifests/${image.digest}`,
      ...image.layers.map(({ digest }) => `/v2/recorded/app/blobs/${digest}`),
    ];
    for (const { base } of larders) for (const path of paths) await whenStored(base, path);
    const before = await commandsOf(redis);
    for (let i = 0; i < 20; i++) {
      for (const { base } of larders) {
        for (const path of paths) {
          for (const method of ['GET', 'HEAD']) {
            const reply = await request(base, path, { method });
            expect([reply.status, outcomeOf(reply)]).toEqual([200, 'hit']);
          }
        }
      }
    }
    expect(await commandsOf(redis)).toEqual(before);
    // what counts here counts a miss
    const { path } = cluster.zip(1000);
    await whenStored(larders[0].base, path);
    expect(await commandsOf(redis)).not.toEqual(before);
  });
});

/** How often Redis has run each command, those of the question itself aside. */
async function commandsOf(redis: RedisServer): Promise<Record<string, number>> {
  const text = String(await redis.command('INFO', 'commandstats'));
  const lines = [...text.matchAll(/^cmdstat_(\S+):calls=(\d+),/gm)];
  const counts = lines.map(([, name = '', calls]) => [name, Number(calls)] as const);
  return Object.fromEntries(counts.filter(([name]) => !/^(info|hello|client\b.*)$/.test(name)));
}
