// The bucket goes away in every way and comes back (issue 5, behaviour 5): running transfers end well, nothing partial is
// kept, who needs the bucket is told so in time, and all works again by itself.

import {
  DeleteBucketPolicyCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, test } from 'vitest';
import { Gate } from '../support/faults.ts';
import { request, type Reply } from '../support/http.ts';
import type { RunningLarder } from '../support/larder.ts';
import { filePath } from '../support/modules.ts';
import { startRedis } from '../support/redis.ts';
import {
  Cluster,
  fillsInFlight,
  herd,
  readinessOf,
  repliesOf,
  tally,
  whenIdle,
  whenReady,
  whenWaiting,
  type Artifact,
} from '../support/replicas.ts';
import { expectBytes, outcomeOf, whenStored } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const KINDS = ['zip', 'blob'] as const;
const TIMEOUT = { LARDER_STORE_TIMEOUT: '2s' };

const server = await cephServer();
const redis = await startRedis();

/** What a client is told who needs the store: long before it would give up by itself. */
function expectUnavailable({ status, complete, headers }: Reply): void {
  expect({ status, complete }).toEqual({ status: 503, complete: true });
  expect(Number(headers['retry-after'])).toBeGreaterThan(0);
}

/** Alive, not ready, and says why. */
async function expectUnready(larder: RunningLarder): Promise<void> {
  expect(await request(larder.base, '/healthz')).toMatchObject({ status: 200 });
  const { status, ready, reasons } = await readinessOf(larder);
  expect({ status, ready }).toEqual({ status: 503, ready: false });
  expect(reasons.join()).toMatch(/store/);
}

const served = (larders: readonly RunningLarder[], { path }: Artifact) =>
  eventually(
    'everybody serves it',
    async () => {
      const replies = await repliesOf(herd(larders, path, larders.length));
      return replies.every(({ status, complete }) => complete && status === 200) && replies;
    },
    60_000,
  );

test('the walk through the bucket finds what is not as it should be', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const artifacts = [cluster.blob(1000), cluster.zip(1000)];
  const { base } = await cluster.start();
  for (const { path } of artifacts) await whenStored(base, path);
  expect((await cluster.audit()).length).toBeGreaterThanOrEqual(2);
  for (const { key, body } of artifacts) {
    const Body = body.spoiled(7).bytes();
    await server.client.send(
      new PutObjectCommand({ Bucket: cluster.bucket, Key: `larder/${key}`, Body }),
    );
    await expect(cluster.audit()).rejects.toThrow(`${key} has other bytes`);
  }
});

describe('three replicas', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const larders = await cluster.startThree(TIMEOUT);
  const [leader, ...others] = larders;
  beforeEach(async () => {
    cluster.upstream.clearFaults();
    await whenIdle(larders);
    await whenReady(larders);
  });

  const ways = {
    killed: { end: () => server.kill(), back: () => server.restart() },
    hung: {
      end: () => {
        server.pause();
      },
      back: () => {
        server.resume();
      },
    },
  };

  test.for(['killed', 'hung'] as const)(
    'the gateway is %s in the middle of a fill',
    async (how) => {
      const version = cluster.version(`example.com/${how}`, 'v1.0.0', { noise: MIB });
      const [mod, zip] = [filePath(version, 'mod'), filePath(version, 'zip')];
      for (const { base } of larders) {
        await whenStored(base, mod);
        await whenStored(base, zip);
      }
      const cold = cluster.zip(1000);
      const running = KINDS.map((kind) => cluster[kind](8 * MIB));
      const gate = new Gate();
      for (const { origin, path } of running) origin.fault(path, { holdAfter: 4 * MIB, gate });
      const own = running.map(({ path }) => herd([leader], path, 10));
      await eventually('the leader hands on', () =>
        own.flat().every(({ received }) => received() > 0),
      );
      const elsewhere = running.map(({ path }) => herd(others, path, 10));
      await whenWaiting(others);

      await ways[how].end();
      try {
        gate.open();
        for (const [i, { body }] of running.entries()) {
          expect(tally(await repliesOf(own[i] ?? []), body)).toEqual({ right: 10 });
          const there = tally(await repliesOf(elsewhere[i] ?? []), body);
          expect((there['right'] ?? 0) + (there['503'] ?? 0)).toBe(10);
        }
        const checks = larders.map(async (larder) => {
          const { base } = larder;
          // small content comes out of memory
          expect(outcomeOf(await request(base, mod))).toBe('hit');
          expectUnavailable(await request(base, zip));
          expectUnavailable(await request(base, cold.path));
          expectUnavailable(await request(base, cold.path, { method: 'HEAD' }));
          expectUnavailable(await request(base, '/v2/made/app/manifests/never'));
          await expectUnready(larder);
        });
        await Promise.all(checks);
      } finally {
        await ways[how].back();
      }
      await whenReady(larders);
      expectBytes(await request(leader.base, zip), version.zip);
      cluster.upstream.clearFaults();
      cluster.registry.clearFaults();
      for (const artifact of [cold, ...running]) {
        const replies = await served(larders, artifact);
        expect(tally(replies, artifact.body)).toEqual({ right: 3 });
        await whenStored(leader.base, artifact.path);
      }
      const keys = await cluster.audit();
      for (const { key } of [cold, ...running]) expect(keys).toContain(key);
    },
  );

  test('writes are refused: every client gets the bytes, nothing is kept, until they are taken again', async () => {
    const Bucket = cluster.bucket;
    const Statement = [
      {
        Effect: 'Deny',
        Principal: '*',
        Action: ['s3:PutObject'],
        Resource: [`arn:aws:s3:::${Bucket}/*`],
      },
    ];
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
    await server.client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    const artifacts = KINDS.map((kind) => cluster[kind](2 * MIB));
    try {
      for (const artifact of artifacts) {
        for (let i = 1; i <= 2; i++) {
          expect(tally(await repliesOf(herd([leader], artifact.path, 10)), artifact.body)).toEqual({
            right: 10,
          });
          await whenIdle(larders);
          expect(artifact.gets()).toHaveLength(i);
        }
        const replies = await repliesOf(herd(larders, artifact.path, 30));
        expect(tally(replies, artifact.body)).toEqual({ right: 30 });
      }
      await whenIdle(larders);
      const keys = await cluster.audit();
      for (const { key } of artifacts) expect(keys).not.toContain(key);
    } finally {
      await server.client.send(new DeleteBucketPolicyCommand({ Bucket }));
    }
    for (const artifact of artifacts) {
      for (const { base } of larders) await whenStored(base, artifact.path);
    }
    const keys = await cluster.audit();
    for (const { key } of artifacts) expect(keys).toContain(key);
  });
});

describe('over a line that breaks', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const { proxy, endpoint } = await TcpProxy.before(server.endpoint);
  const larder = await cluster.start({ ...TIMEOUT, LARDER_S3_ENDPOINT: endpoint });

  test.for(KINDS)('once in the middle of the PUT of a %s: it is sent again', async (kind) => {
    const artifact = cluster[kind](8 * MIB);
    proxy.cutAfter('up', 4 * MIB);
    const before = proxy.bytes.up;
    const replies = await repliesOf(herd([larder], artifact.path, 10));
    expect(tally(replies, artifact.body)).toEqual({ right: 10 });
    await whenIdle([larder]);
    expect(proxy.bytes.up - before).toBeGreaterThan(artifact.body.size + 2 * MIB);
    expect(artifact.gets()).toHaveLength(1);
    expect(await cluster.audit()).toContain(artifact.key);
  });

  test.for(KINDS)(
    'at each try of the PUT of a %s: nothing is kept, and it is fetched anew',
    async (kind) => {
      const artifact = cluster[kind](8 * MIB);
      const cut = async () => {
        proxy.cutAfter('up', 4 * MIB);
        const at = proxy.bytes.up + 4 * MIB;
        await eventually('the PUT has broken', () => proxy.bytes.up >= at);
      };
      const clients = herd([larder], artifact.path, 10);
      await cut();
      await cut();
      expect(tally(await repliesOf(clients), artifact.body)).toEqual({ right: 10 });
      await whenIdle([larder]);
      expect(await cluster.audit()).not.toContain(artifact.key);
      await whenStored(larder.base, artifact.path);
      expect(artifact.gets()).toHaveLength(2);
      expect(await cluster.audit()).toContain(artifact.key);
    },
  );

  test('kill -9 in the middle of the PUTs of ten artifacts: nothing partial is left', async () => {
    const doomed = await cluster.start({ LARDER_S3_ENDPOINT: endpoint });
    const artifacts = Array.from({ length: 10 }, (_, i) => cluster[KINDS[i % 2] ?? 'zip'](8 * MIB));
    const before = proxy.bytes.up;
    const clients = artifacts.map(({ path }) => herd([doomed], path, 1));
    await eventually('it is sending', () => proxy.bytes.up - before > 12 * MIB);
    await doomed.kill9();
    const keys = await cluster.audit();
    for (const [i, { body, key }] of artifacts.entries()) {
      const [reply] = await repliesOf(clients[i] ?? []);
      // what was handed out as a whole is right, stored or not
      if (reply?.complete) expect(reply.sha256).toBe(body.sha256);
      expect(keys.filter((one) => one === key).length).toBeLessThanOrEqual(1);
    }
    for (const artifact of artifacts) {
      expect(tally(await served([larder], artifact), artifact.body)).toEqual({ right: 1 });
      await whenStored(larder.base, artifact.path);
    }
    expect(await fillsInFlight(larder)).toBe(0);
    await cluster.audit();
  });
});

test('a start while the gateway is gone: it lives, says so, and works when the gateway is there', async () => {
  const cluster = await Cluster.on(server, redis.url);
  await server.kill();
  const [first, second] = [cluster.zip(2 * MIB), cluster.blob(2 * MIB)];
  let larders;
  try {
    larders = await cluster.startThree(TIMEOUT);
    for (const larder of larders) {
      expectUnavailable(await request(larder.base, first.path));
      expectUnavailable(await request(larder.base, second.path));
      await expectUnready(larder);
    }
  } finally {
    await server.restart();
  }
  await whenReady(larders);
  for (const artifact of [first, second]) {
    const replies = await repliesOf(herd(larders, artifact.path, 30));
    expect(tally(replies, artifact.body)).toEqual({ right: 30 });
    expect(artifact.gets()).toHaveLength(1);
  }
  await whenIdle(larders);
  expect(await cluster.audit()).toHaveLength(2);
});
