// The end, or the sleep, of the replica that fetches (issue 5, behaviour 3).

import { describe, expect, test } from 'vitest';
import { Gate } from '../support/faults.ts';
import { startRedis } from '../support/redis.ts';
import {
  Cluster,
  fillsInFlight,
  heldHerd,
  herd,
  repliesOf,
  tally,
  whenIdle,
  whenWaiting,
} from '../support/replicas.ts';
import { whenStored } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;

const server = await cephServer();
const redis = await startRedis();

describe.for(['zip', 'blob'] as const)('the leader of a cold %s', (kind) => {
  /** The first replica leads, in the middle of its fetch; clients wait on all three. */
  async function midFill(env = {}) {
    const cluster = await Cluster.on(server, redis.url);
    const larders = await cluster.startThree(env);
    const [leader, ...others] = larders;
    const artifact = cluster[kind](8 * MIB);
    const { gate, own } = await heldHerd(leader, artifact, { count: 10, holdAfter: 4 * MIB });
    const elsewhere = herd(others, artifact.path, 30);
    await whenWaiting(others);
    return { cluster, larders, leader, others, artifact, gate, own, elsewhere };
  }

  test('kill -9 in the middle: another one takes over, and its clients get everything', async () => {
    const { cluster, leader, others, artifact, gate, own, elsewhere } = await midFill();
    await leader.kill9();
    gate.open();
    expect(tally(await repliesOf(elsewhere), artifact.body)).toEqual({ right: 30 });
    for (const { complete, length } of await repliesOf(own)) {
      expect(complete).toBe(false);
      expect(length).toBeLessThan(artifact.body.size);
    }
    expect(artifact.gets()).toMatchObject([{ state: 'broken' }, { state: 'done' }]);
    for (const { base } of others) await whenStored(base, artifact.path);
    expect(await cluster.audit()).toContain(artifact.key);
  });

  test('kill -9 in the middle, where the others read from it: they go on with what they have', async () => {
    const env = { LARDER_PEER_SECRET: 'a long random text of the test' };
    const { cluster, leader, artifact, gate, own, elsewhere } = await midFill(env);
    await eventually('the others read', () => elsewhere.every(({ received }) => received() > 0));
    await leader.kill9();
    gate.open();
    expect(tally(await repliesOf(elsewhere), artifact.body)).toEqual({ right: 30 });
    await repliesOf(own);
    expect(artifact.gets()).toMatchObject([{ state: 'broken' }, { state: 'done' }]);
    expect(await cluster.audit()).toContain(artifact.key);
  });

  test('stopped past its lease: another one takes over; when it goes on, it overwrites nothing', async () => {
    const { cluster, larders, leader, others, artifact, gate, own, elsewhere } = await midFill();
    leader.signal('SIGSTOP');
    await eventually('another one fetches', () => artifact.gets().length === 2);
    gate.open();
    expect(tally(await repliesOf(elsewhere), artifact.body)).toEqual({ right: 30 });
    await whenIdle(others);
    const stored = await cluster.storedAt(artifact);
    expect(stored).toBeDefined();
    leader.signal('SIGCONT');
    await eventually(
      'the first one has ended too',
      async () => (await fillsInFlight(leader)) === 0,
    );
    // its own fetch went on: what it handed out is right as well
    expect(tally(await repliesOf(own), artifact.body)).toEqual({ right: 10 });
    expect(await cluster.storedAt(artifact)).toBe(stored);
    expect(artifact.gets()).toHaveLength(2);
    expect(await cluster.audit()).toContain(artifact.key);
    const again = await repliesOf(herd(larders, artifact.path, 9));
    expect(tally(again, artifact.body)).toEqual({ right: 9 });
    expect(artifact.gets()).toHaveLength(2);
  });
});

test('kill -9 of two of three, each in the middle of ten fills of its own: the third has them all', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const [first, second, third] = await cluster.startThree();
  const gate = new Gate();
  const artifacts = Array.from({ length: 10 }, () => [cluster.zip(MIB), cluster.blob(MIB)]).flat();
  const theirs = artifacts.map((artifact, i) => {
    artifact.origin.fault(artifact.path, { holdAfter: MIB / 2, gate });
    return herd([i % 4 < 2 ? first : second], artifact.path, 1);
  });
  await eventually('all are held', () => gate.arrivals === artifacts.length);
  const waiting = artifacts.map(({ path }) => herd([third], path, 3));
  await eventually(
    'all are waited for',
    async () => (await fillsInFlight(third)) === artifacts.length,
  );
  await Promise.all([first.kill9(), second.kill9()]);
  gate.open();
  for (const [i, clients] of waiting.entries()) {
    const { body } = artifacts[i] ?? cluster.zip(0);
    expect(tally(await repliesOf(clients), body)).toEqual({ right: 3 });
  }
  await Promise.all(theirs.map(repliesOf));
  for (const artifact of artifacts) expect(artifact.gets()).toHaveLength(2);
  await whenIdle([third]);
  const keys = await cluster.audit();
  for (const { key } of artifacts) expect(keys).toContain(key);
});
