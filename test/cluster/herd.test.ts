// Many clients over three replicas: whatever they ask for, the upstream is asked once (issue 5, behaviour 1 and 2).

import { describe, expect, test } from 'vitest';
import { Gate } from '../support/faults.ts';
import { request } from '../support/http.ts';
import { filePath, latestPath, listPath } from '../support/modules.ts';
import { startRedis } from '../support/redis.ts';
import { Cluster, herd, repliesOf, tally } from '../support/replicas.ts';
import { whenStored } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;

const server = await cephServer();
const redis = await startRedis();

describe('three replicas', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const larders = await cluster.startThree();

  test.for(['zip', 'blob'] as const)('300 clients, one cold %s: one GET', async (kind) => {
    const artifact = cluster[kind](8 * MIB);
    const replies = await repliesOf(herd(larders, artifact.path, 300));
    expect(tally(replies, artifact.body)).toEqual({ right: 300 });
    expect(artifact.gets()).toMatchObject([{ state: 'done', sent: artifact.body.size }]);
    for (const { base } of larders) await whenStored(base, artifact.path);
    expect(await cluster.audit()).toContain(artifact.key);
  });

  test('50 artifacts at once, each for 6 clients: one GET each', async () => {
    const kinds = ['zip', 'blob'] as const;
    const artifacts = Array.from({ length: 25 }, () => kinds.map((kind) => cluster[kind](300_000)));
    const pulls = artifacts.flat().map(async (artifact) => {
      const replies = await repliesOf(herd(larders, artifact.path, 6));
      return tally(replies, artifact.body);
    });
    expect(new Set((await Promise.all(pulls)).map((each) => JSON.stringify(each)))).toEqual(
      new Set(['{"right":6}']),
    );
    for (const artifact of artifacts.flat()) expect(artifact.gets()).toHaveLength(1);
    const keys = new Set(await cluster.audit());
    for (const { key } of artifacts.flat()) expect(keys).toContain(key);
  });

  test.for([
    { what: 'a zip that fails', kind: 'zip', fault: { status: 500 }, status: 502, tries: 3 },
    { what: 'a blob that fails', kind: 'blob', fault: { status: 500 }, status: 502, tries: 3 },
    { what: 'no zip', kind: 'zip', fault: { status: 404 }, status: 404, tries: 1 },
    { what: 'no blob', kind: 'blob', fault: { status: 404 }, status: 404, tries: 1 },
  ] as const)(
    '60 clients, $what: the same answer for all, and no more tries than one request makes',
    async ({ kind, fault, status, tries }) => {
      const artifact = cluster[kind](MIB);
      const gate = new Gate();
      artifact.origin.fault(artifact.path, { ...fault, gate });
      const clients = herd(larders, artifact.path, 60);
      await gate.reached;
      gate.open();
      const replies = await repliesOf(clients);
      expect(tally(replies, artifact.body)).toEqual({ [status]: 60 });
      const bodies = replies.map(({ text, length }) => [text, length]);
      expect(new Set(bodies.map((each) => JSON.stringify(each))).size).toBe(1);
      expect(artifact.gets()).toHaveLength(tries);
    },
  );

  test.for(['list', 'latest'] as const)('60 clients, one cold %s: one question', async (what) => {
    const module = `example.com/herd-${what}`;
    cluster.version(module, 'v1.0.0');
    cluster.version(module, 'v1.1.0');
    const path = what === 'list' ? listPath(module) : latestPath(module);
    const replies = await Promise.all(
      Array.from({ length: 60 }, (_, i) => request(larders[i % 3]?.base ?? '', path)),
    );
    expect(new Set(replies.map(({ status, text }) => `${String(status)} ${text}`)).size).toBe(1);
    expect(replies[0]).toMatchObject({ status: 200 });
    expect(cluster.upstream.requests(path)).toHaveLength(1);
  });

  test('60 clients, one cold tag: one question for it and one GET of its manifest', async () => {
    const image = cluster.registry.addImage('herd/app', 'v1', { layers: ['layer'] });
    const replies = await repliesOf(herd(larders, '/v2/herd/app/manifests/v1', 60));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(replies.map(({ headers }) => headers['docker-content-digest']))).toEqual(
      new Set([image.digest]),
    );
    const asked = cluster.registry.requests(/^\/v2\/herd\/app\/manifests\//);
    expect(asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'HEAD /v2/herd/app/manifests/v1',
      `GET /v2/herd/app/manifests/${image.digest}`,
    ]);
  });

  test.for(['zip', 'blob'] as const)(
    'a %s that takes 25 s, many times the life of a lease: nobody gets an error or fetches too',
    async (kind) => {
      const artifact = cluster[kind](5 * MIB);
      artifact.origin.fault(artifact.path, { bytesPerSecond: artifact.body.size / 25 });
      const replies = await repliesOf(herd(larders, artifact.path, 30));
      expect(tally(replies, artifact.body)).toEqual({ right: 30 });
      expect(artifact.gets()).toMatchObject([{ state: 'done' }]);
    },
  );

  test('files of one version, asked for on different replicas: one GET each', async () => {
    const version = cluster.version('example.com/parts', 'v1.0.0', { noise: MIB });
    const paths = (['info', 'mod', 'zip'] as const).map((extension) =>
      filePath(version, extension),
    );
    const replies = await Promise.all(
      Array.from({ length: 36 }, (_, i) =>
        request(larders[Math.floor(i / 3) % 3]?.base ?? '', paths[i % 3] ?? ''),
      ),
    );
    expect(new Set(replies.map(({ status, complete }) => complete && status))).toEqual(
      new Set([200]),
    );
    for (const path of paths) expect(cluster.upstream.requests(path)).toHaveLength(1);
  });
});

test('with addresses for each other, who waits on another replica reads while it is fetched', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const larders = await cluster.startThree({
    LARDER_PEER_SECRET: 'a long random text of the test',
  });
  for (const kind of ['zip', 'blob'] as const) {
    const artifact = cluster[kind](8 * MIB);
    const gate = new Gate();
    artifact.origin.fault(artifact.path, { holdAfter: 4 * MIB, gate });
    const clients = herd(larders, artifact.path, 60);
    await eventually('every client has its first bytes', () =>
      clients.every(({ received }) => received() > 0),
    );
    gate.open();
    expect(tally(await repliesOf(clients), artifact.body)).toEqual({ right: 60 });
    expect(artifact.gets()).toMatchObject([{ state: 'done', sent: artifact.body.size }]);
  }
  await cluster.audit();
});
