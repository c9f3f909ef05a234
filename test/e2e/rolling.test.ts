// Three replicas behind one address are replaced one after another while clients pull (issue 9, behaviour 3); and what a
// replica does from SIGTERM to its end.

import { expect, test } from 'vitest';
import { Balancer } from '../support/balancer.ts';
import { request } from '../support/http.ts';
import type { RunningLarder } from '../support/larder.ts';
import { Load } from '../support/load.ts';
import { startRedis } from '../support/redis.ts';
import {
  Cluster,
  heldHerd,
  herd,
  repliesOf,
  tally,
  whenWaiting,
  type Artifact,
} from '../support/replicas.ts';
import { versityServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const PULLS = 200;
const AT_ONCE = 16;

const server = await versityServer();
const redis = await startRedis();
const env = { LARDER_PEER_SECRET: 'a long random text of the test', LARDER_DRAIN_TIMEOUT: '60s' };

const leases = async (cluster: Cluster) =>
  (await redis.command('KEYS', `${cluster.bucket}:*:lease`)) as string[];

test('a rolling restart of three under 200 pulls of blobs and zips: none fails', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const balancer = await Balancer.start();
  const larders = await cluster.startThree(env);
  for (const { base } of larders) balancer.add(base);
  await eventually('all take part', () => larders.every(({ base }) => balancer.isReady(base)));
  const artifacts = Array.from({ length: 8 }, () => [
    cluster.blob(4 * MIB),
    cluster.zip(MIB),
  ]).flat();

  const load = new Load(balancer.base, (n) => artifacts[n % artifacts.length] ?? cluster.blob(0), {
    atOnce: AT_ONCE,
  });
  for (const old of larders) await replaced(old);
  expect(await load.stop(PULLS)).toEqual({ right: load.pulls });
  expect(await leases(cluster)).toEqual([]);
  await cluster.audit();

  /** Stops one under load, in the middle of a fill of its own, and starts another one in its place. */
  async function replaced(old: RunningLarder): Promise<void> {
    const held = cluster.blob(2 * MIB);
    const { gate, own } = await heldHerd(old, held, { count: 2, holdAfter: MIB });
    await eventually('it has pulls under way', () => balancer.openOf(old.base) > 0);
    old.signal('SIGTERM');
    await eventually('it is given no more pulls', () => !balancer.isReady(old.base));
    const late = await request(old.base, '/v2/', { headers: { Connection: 'keep-alive' } });
    expect(late).toMatchObject({ status: 200, headers: { connection: 'close' } });
    gate.open();
    expect(tally(await repliesOf(own), held.body)).toEqual({ right: 2 });
    expect(await old.ended).toEqual({ code: 0, signal: null });
    balancer.remove(old.base);
    expectDrained(old, held);
    const { base } = await cluster.start(env);
    balancer.add(base);
    await eventually('the new one takes part', () => balancer.isReady(base));
  }
});

/** What the log tells from the signal on: not ready, requests answered, bodies finished, stopped. */
function expectDrained(larder: RunningLarder, held: Artifact): void {
  const log = larder.log();
  const after = log.slice(log.findIndex(({ signal }) => signal === 'SIGTERM') + 1);
  const ready = after.filter(({ path }) => path === '/readyz').map(({ status }) => status);
  expect(ready).toContain(503);
  // but for the one that was being answered at that moment
  expect(ready.lastIndexOf(200)).toBeLessThan(ready.indexOf(503));
  expect(after).toContainEqual(expect.objectContaining({ path: '/v2/', status: 200 }));
  const bodies = after.filter(({ path }) => path === held.path);
  const whole = { status: 200, bytes: held.body.size };
  expect(bodies).toMatchObject([whole, whole]);
  expect(after.filter(({ aborted }) => aborted === true)).toEqual([]);
  expect(after.at(-1)).toMatchObject({ msg: 'stopped' });
}

test.for(['zip', 'blob'] as const)(
  'stopped without time to finish a %s: a waiter ends at once, and so does the leader, whose lease goes on to the next',
  async (kind) => {
    const cluster = await Cluster.on(server, redis.url);
    // a lease that nobody would live to see the end of
    const hasty = { LARDER_DRAIN_TIMEOUT: '0s', LARDER_LEASE_TIME: '1h' };
    const [leader, waiter, next] = await cluster.startThree(hasty);
    const artifact = cluster[kind](4 * MIB);
    const { gate, own } = await heldHerd(leader, artifact, { count: 2, holdAfter: 2 * MIB });
    const lost = herd([waiter], artifact.path, 2);
    const kept = herd([next], artifact.path, 8);
    await whenWaiting([waiter, next]);
    for (const larder of [waiter, leader])
      expect(await larder.stop()).toEqual({ code: 0, signal: null });
    gate.open();
    expect(tally(await repliesOf(kept), artifact.body)).toEqual({ right: 8 });
    for (const { complete } of await repliesOf([...own, ...lost])) expect(complete).toBe(false);
    expect(artifact.gets()).toMatchObject([{ state: 'broken' }, { state: 'done' }]);
    await eventually('no lease is left', async () => (await leases(cluster)).length === 0);
  },
);
