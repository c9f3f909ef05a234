// Three replicas on S3 and Redis as one: the short selection of what test/cluster tests at length (npm run test:cluster).

import { expect, test } from 'vitest';
import { countedGo } from '../support/counted-go.ts';
import { request } from '../support/http.ts';
import { filePath } from '../support/modules.ts';
import { startRedis } from '../support/redis.ts';
import {
  Cluster,
  heldHerd,
  herd,
  readinessOf,
  repliesOf,
  tally,
  whenReady,
  whenWaiting,
} from '../support/replicas.ts';
import { whenStored } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';
import { HOST, startCode } from '../support/vcs.ts';

const MIB = 1024 * 1024;
const KINDS = ['zip', 'blob'] as const;

const server = await cephServer();
const redis = await startRedis();
const cluster = await Cluster.on(server, redis.url);
const larders = await cluster.startThree({ LARDER_STORE_TIMEOUT: '2s' });

test.for(KINDS)('60 clients over three replicas, one cold %s: one GET', async (kind) => {
  const artifact = cluster[kind](4 * MIB);
  expect(tally(await repliesOf(herd(larders, artifact.path, 60)), artifact.body)).toEqual({
    right: 60,
  });
  expect(artifact.gets()).toMatchObject([{ state: 'done', sent: artifact.body.size }]);
  expect(await cluster.audit()).toContain(artifact.key);
});

test('a version that one replica brings is in the list of all', async () => {
  const [one, ...others] = larders;
  cluster.version('example.com/listed', 'v1.0.0');
  const list = '/example.com/listed/@v/list';
  for (const { base } of larders) expect((await request(base, list)).text).toBe('v1.0.0\n');
  const late = cluster.version('example.com/listed', 'v1.1.0');
  expect(await request(one.base, filePath(late, 'mod'))).toMatchObject({ status: 200 });
  for (const { base } of others)
    await eventually('it has the new one', async () =>
      (await request(base, list)).text.includes('v1.1.0'),
    );
});

test('60 clients over three replicas, for all files of a cold version from version control: one go process', async () => {
  const { git, gitConfig } = await startCode();
  const module = `${HOST}/replicas.git`;
  git.repository('replicas.git').commit({ 'go.mod': `module ${module}\n` }, 'v1.0.0');
  const go = countedGo();
  const own = await (
    await Cluster.on(server, redis.url)
  ).startThree({
    LARDER_GO_PRIVATE: HOST,
    LARDER_GIT_CONFIG: gitConfig,
    PATH: go.path,
  });
  const clients = (['mod', 'info', 'zip'] as const).flatMap((ext) =>
    herd(own, filePath({ module, version: 'v1.0.0' }, ext), 20),
  );
  const replies = await repliesOf(clients);
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(replies.map(({ sha256 }) => sha256)).size).toBe(3);
  expect(go.runs()).toEqual([`mod download -json ${module}@v1.0.0`]);
  for (const larder of own) await larder.stop();
});

test('Redis is killed: pulls go on, each replica for itself; when it is back, one GET is enough', async () => {
  await redis.kill();
  try {
    await whenReady(larders, 1);
    for (const kind of KINDS) {
      const artifact = cluster[kind](MIB);
      expect(tally(await repliesOf(herd(larders, artifact.path, 12)), artifact.body)).toEqual({
        right: 12,
      });
    }
  } finally {
    await redis.restart();
  }
  await whenReady(larders);
  const artifact = cluster.zip(MIB);
  expect(tally(await repliesOf(herd(larders, artifact.path, 12)), artifact.body)).toEqual({
    right: 12,
  });
  expect(artifact.gets()).toHaveLength(1);
});

test('the bucket hangs in the middle of a fill: its clients get everything, others 503, until it is back', async () => {
  const [leader, ...others] = larders;
  const [running, cold] = [cluster.zip(4 * MIB), cluster.zip(1000)];
  const { gate, own } = await heldHerd(leader, running, { count: 5, holdAfter: 2 * MIB });
  server.pause();
  try {
    gate.open();
    expect(tally(await repliesOf(own), running.body)).toEqual({ right: 5 });
    for (const { status, headers } of await repliesOf(herd(others, cold.path, 4))) {
      expect([status, Number(headers['retry-after']) > 0]).toEqual([503, true]);
    }
    expect(await readinessOf(leader)).toMatchObject({ status: 503, ready: false });
    expect(await request(leader.base, '/healthz')).toMatchObject({ status: 200 });
  } finally {
    server.resume();
  }
  await whenReady(larders);
  for (const { base } of larders) await whenStored(base, cold.path);
  await cluster.audit();
});

test('kill -9 of the leader in the middle of a fill: another one takes over', async () => {
  const [leader, ...others] = larders;
  const artifact = cluster.zip(4 * MIB);
  const { gate, own } = await heldHerd(leader, artifact, { count: 5, holdAfter: 2 * MIB });
  const elsewhere = herd(others, artifact.path, 20);
  await whenWaiting(others);
  await leader.kill9();
  gate.open();
  expect(tally(await repliesOf(elsewhere), artifact.body)).toEqual({ right: 20 });
  expect((await repliesOf(own)).map(({ complete }) => complete)).not.toContain(true);
  expect(artifact.gets()).toMatchObject([{ state: 'broken' }, { state: 'done' }]);
  for (const { base } of others) await whenStored(base, artifact.path);
  expect(await cluster.audit()).toContain(artifact.key);
});
