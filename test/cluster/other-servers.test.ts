// Stores that do not create objects conditionally: one refuses to, one ignores the condition.

import { describe, expect, test } from 'vitest';
import { startRedis } from '../support/redis.ts';
import {
  Cluster,
  heldHerd,
  herd,
  repliesOf,
  tally,
  whenIdle,
  whenReady,
  whenWaiting,
} from '../support/replicas.ts';
import { whenStored } from '../support/replies.ts';
import { swiftServer, versityServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;

describe.for([
  ["Swift's gateway", swiftServer],
  ['versitygw', versityServer],
] as const)('%s', async ([, startServer]) => {
  const server = await startServer();
  const redis = await startRedis();

  test('a herd over three replicas, without Redis for a while: all get the right bytes', async () => {
    const cluster = await Cluster.on(server, redis.url);
    const larders = await cluster.startThree();
    for (const kind of ['zip', 'blob'] as const) {
      const artifact = cluster[kind](4 * MIB);
      const replies = await repliesOf(herd(larders, artifact.path, 60));
      expect(tally(replies, artifact.body)).toEqual({ right: 60 });
      expect(artifact.gets()).toHaveLength(1);
    }
    await redis.kill();
    try {
      await whenReady(larders, 1);
      for (const kind of ['zip', 'blob'] as const) {
        const artifact = cluster[kind](4 * MIB);
        const replies = await repliesOf(herd(larders, artifact.path, 60));
        expect(tally(replies, artifact.body)).toEqual({ right: 60 });
      }
      await whenIdle(larders);
    } finally {
      await redis.restart();
    }
    expect(await cluster.audit()).toHaveLength(4);
  });

  test.for(['SIGKILL', 'SIGSTOP'] as const)(
    '%s to the leader: another one takes over',
    async (signal) => {
      const cluster = await Cluster.on(server, redis.url);
      const [leader, ...others] = await cluster.startThree();
      const artifact = cluster.zip(4 * MIB);
      const { gate, own } = await heldHerd(leader, artifact, { count: 5, holdAfter: 2 * MIB });
      const elsewhere = herd(others, artifact.path, 20);
      await whenWaiting(others);
      leader.signal(signal);
      await eventually('another one fetches', () => artifact.gets().length === 2);
      gate.open();
      expect(tally(await repliesOf(elsewhere), artifact.body)).toEqual({ right: 20 });
      await whenIdle(others);
      const stored = await cluster.storedAt(artifact);
      expect(stored).toBeDefined();
      if (signal === 'SIGSTOP') {
        leader.signal('SIGCONT');
        await whenIdle([leader]);
        expect(tally(await repliesOf(own), artifact.body)).toEqual({ right: 5 });
      }
      expect(await cluster.storedAt(artifact)).toBe(stored);
      for (const { base } of others) await whenStored(base, artifact.path);
      expect(await cluster.audit()).toContain(artifact.key);
    },
  );
});
