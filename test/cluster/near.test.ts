// What replicas do so that large content does not pass through them, or not from the bucket each time; and memory.

import { describe, expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { filePath } from '../support/modules.ts';
import { startRedis } from '../support/redis.ts';
import { Cluster, herd, repliesOf, tally, whenIdle } from '../support/replicas.ts';
import { expectBytes, outcomeOf, whenStored } from '../support/replies.ts';
import { cephServer } from '../support/s3-servers.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;

const server = await cephServer();
const redis = await startRedis();

describe('LARDER_S3_REDIRECT', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const larder = await cluster.start({ LARDER_S3_REDIRECT: 'true' });

  test.for(['zip', 'blob'] as const)(
    'a stored %s of 1 MiB and more: GET is redirected, HEAD is not',
    async (kind) => {
      const artifact = cluster[kind](MIB);
      const cold = await request(larder.base, artifact.path);
      expectBytes(cold, artifact.body);
      expect(outcomeOf(cold)).toBe('miss');
      const moved = await eventually('it is redirected', async () => {
        const reply = await request(larder.base, artifact.path);
        return reply.status === 307 && reply;
      });
      expect([outcomeOf(moved), moved.length]).toEqual(['redirect', 0]);
      const { location = '' } = moved.headers;
      expect(location.startsWith(`${server.endpoint}/`)).toBe(true);
      const { origin, pathname, search } = new URL(location);
      expectBytes(await request(origin, pathname + search), artifact.body);
      const part = await request(origin, pathname + search, { headers: { range: 'bytes=5-9' } });
      expect([part.status, part.body]).toEqual([206, artifact.body.bytes().subarray(5, 10)]);

      const head = await request(larder.base, artifact.path, { method: 'HEAD' });
      expect([head.status, outcomeOf(head)]).toEqual([200, 'hit']);
      expect(head.headers['content-length']).toBe(String(artifact.body.size));
      const same = { 'if-none-match': String(head.headers.etag) };
      const unchanged = await request(larder.base, artifact.path, { headers: same });
      expect([unchanged.status, outcomeOf(unchanged)]).toEqual([304, 'hit']);
    },
  );

  test('nothing else is: smaller ones, .mod, .info, manifests, however large', async () => {
    const { registry } = cluster;
    // the zip is more than its noise, and less than 1 MiB
    const version = cluster.version('example.com/small', 'v1.0.0', { noise: MIB - 10_000 });
    const gomod = `module example.com/long\n${'// long\n'.repeat(200_000)}`;
    const long = cluster.version('example.com/long', 'v1.0.0', { gomod });
    expect([version.zip.size < MIB, long.mod.size > MIB]).toEqual([true, true]);
    const layers = [cluster.blob(MIB - 1).body];
    const annotations = { long: 'x'.repeat(2 * MIB) };
    const image = registry.addImage('near/app', 'v1', { layers, annotations });
    const [layer] = image.layers;
    const bodies = new Map([
      [filePath(version, 'info'), version.info.size],
      [filePath(version, 'zip'), version.zip.size],
      [filePath(long, 'mod'), long.mod.size],
      ['/v2/near/app/manifests/v1', image.bytes.length],
      [`/v2/near/app/manifests/${image.digest}`, image.bytes.length],
      [`/v2/near/app/blobs/${layer?.digest ?? ''}`, MIB - 1],
    ]);
    for (const [path, size] of bodies) {
      const reply = await whenStored(larder.base, path);
      expect([reply.status, reply.length]).toEqual([200, size]);
    }
  });
});

describe('LARDER_S3_DISK_CACHE', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const { proxy, endpoint } = await TcpProxy.before(server.endpoint);
  const filler = await cluster.start();
  const larder = await cluster.start({
    LARDER_S3_DISK_CACHE: '64MiB',
    LARDER_S3_ENDPOINT: endpoint,
  });

  test.for(['zip', 'blob'] as const)(
    'the second pull of a %s asks the gateway for no body',
    async (kind) => {
      const artifact = cluster[kind](8 * MIB);
      await whenStored(filler.base, artifact.path);
      const pull = async () => {
        const before = proxy.bytes.down;
        const reply = await request(larder.base, artifact.path);
        expectBytes(reply, artifact.body);
        expect(outcomeOf(reply)).toBe('hit');
        return proxy.bytes.down - before;
      };
      expect(await pull()).toBeGreaterThan(artifact.body.size);
      expect(await pull()).toBeLessThan(64 * 1024);
      expect(artifact.gets()).toHaveLength(1);
    },
  );

  test('what it fetched itself is there as well', async () => {
    const artifact = cluster.blob(8 * MIB);
    expectBytes(await request(larder.base, artifact.path), artifact.body);
    await whenIdle([larder]);
    const before = proxy.bytes.down;
    expectBytes(await request(larder.base, artifact.path), artifact.body);
    expect(proxy.bytes.down - before).toBeLessThan(64 * 1024);
  });
});

describe('memory', async () => {
  const cluster = await Cluster.on(server, redis.url);
  const env = { NODE_OPTIONS: '--max-old-space-size=64' };
  const [leader, follower] = [await cluster.start(env), await cluster.start(env)];

  // smaller than the largest zip that is taken, so that it ends in a minute or two
  test('20 pulls of zips of 150 MB at once, cold and warm: it stays below 256 MiB', async () => {
    const artifacts = Array.from({ length: 4 }, () => cluster.zip(150_000_000));
    for (const round of ['cold', 'warm']) {
      const pulls = artifacts.map(async ({ path, body }) =>
        tally(await repliesOf([...herd([leader], path, 4), ...herd([follower], path, 1)]), body),
      );
      for (const counts of await Promise.all(pulls))
        expect([round, counts]).toEqual([round, { right: 5 }]);
      await whenIdle([leader, follower]);
      for (const larder of [leader, follower]) expect(larder.memory().peak).toBeLessThan(256 * MIB);
    }
    for (const artifact of artifacts) expect(artifact.gets()).toHaveLength(1);
    expect(await cluster.audit()).toHaveLength(4);
  }, 400_000);
});
