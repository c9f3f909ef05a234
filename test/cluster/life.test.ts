// The life of what is stored on real S3 servers: one that creates objects on conditions, one that refuses to, one that
// ignores the condition (issue 7, behaviours 1, 2, 4 and 5).

import { PutObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, test } from 'vitest';
import { killContract } from '../contract/kills.ts';
import { Body } from '../support/body.ts';
import { BackedStore } from '../support/backed-store.ts';
import { collect, runJob } from '../support/collections.ts';
import { request } from '../support/http.ts';
import { imageIndex } from '../support/images.ts';
import { pullAll } from '../support/mirror.ts';
import { ADMIN, purge } from '../support/purges.ts';
import { startRedis } from '../support/redis.ts';
import { bytesIn, Cluster, PREFIX } from '../support/replicas.ts';
import { expectBytes, outcomeOf, whenStored } from '../support/replies.ts';
import {
  bucketOn,
  cephServer,
  storeOn,
  swiftServer,
  versityServer,
  type S3Server,
} from '../support/s3-servers.ts';

const MIB = 1024 * 1024;
/** Tags are asked for every time, and what nobody owns goes at once. */
const AT_ONCE = { ...ADMIN, LARDER_TAG_TTL: '0s', LARDER_ORPHAN_GRACE: '0s' };

describe.for([
  ["Ceph's gateway", cephServer, 5],
  ["Swift's gateway", swiftServer, 8],
  ['versitygw', versityServer, 1],
] as const)('%s', async ([, startServer, every]) => {
  const server = await startServer();
  const redis = await startRedis();

  test('tags, an index and shared layers: a purge takes what nothing else owns, a moved tag leaves orphans', async () => {
    const cluster = await Cluster.on(server, redis.url);
    const [one, two] = [await cluster.start(AT_ONCE), await cluster.start(AT_ONCE)];
    const { registry } = cluster;
    const held = () => bytesIn(server, cluster.bucket);
    const shared = Body.noise(MIB, 'shared');
    const layers = [Body.noise(300_000, 'amd'), Body.noise(200_000, 'arm')];
    const indexed = (repository: string, tag: string) => {
      const [amd64, arm64] = layers.map((layer) =>
        registry.addImage(repository, undefined, { layers: [shared, layer] }),
      );
      if (!amd64 || !arm64) throw new Error('there are two');
      const { bytes, mediaType } = imageIndex({ amd64, arm64 });
      registry.addManifest(repository, tag, bytes, mediaType);
      return { amd64, arm64, bytes };
    };
    const first = indexed('team/app', 'one');
    const other = registry.addImage('team/other', 'x', { layers: [shared] });
    indexed('team/app', 'two');
    const pullIndex = async (base: string, tag: string) => {
      expect((await request(base, `/v2/team/app/manifests/${tag}`)).status).toBe(200);
      for (const image of [first.amd64, first.arm64])
        await pullAll(base, 'team/app', image.digest, image);
    };
    await pullIndex(one.base, 'one');
    await pullIndex(two.base, 'two');
    await pullAll(one.base, 'team/other', 'x', other);
    const before = await held();
    // the other tag leads to the same index
    expect(await purge(two.base, { oci: 'main.test/team/app:one' })).toEqual({
      purged: ['oci:main.test/team/app:one'],
      freedBytes: 0,
    });
    expect(await held()).toBe(before);
    const last = await purge(one.base, { oci: 'main.test/team/app:two' });
    const alone =
      first.bytes.length + first.amd64.bytes.length + first.arm64.bytes.length + 500_000;
    expect(last.freedBytes).toBe(alone);
    expect(before - (await held())).toBe(alone);
    // and the other repository has what it had
    for (const { digest, body } of other.layers)
      expectBytes(await request(two.base, `/v2/team/other/blobs/${digest}`), body);
    // the tag moves: what it alone held is an orphan, which either replica collects
    const moved = registry.addImage('team/other', 'x', {
      layers: [shared, Body.noise(1000, 'new')],
    });
    await pullAll(two.base, 'team/other', 'x', moved);
    const between = await held();
    const would = await collect(one.base, { dryRun: true });
    expect(would).toMatchObject({ count: 1, freedBytes: other.bytes.length });
    expect(await collect(two.base)).toEqual(would);
    expect(between - (await held())).toBe(other.bytes.length);
    expect(await collect(one.base)).toEqual({ count: 0, freedBytes: 0, collected: [] });
    const whole = await purge(one.base, { oci: 'main.test/team/other' });
    expect(whole.freedBytes).toBe(between - other.bytes.length);
    expect(await held()).toBe(0);
  });

  test('a blob pulled before its manifest stays, whoever collects', async () => {
    const cluster = await Cluster.on(server, redis.url);
    const [one, two] = [await cluster.start(AT_ONCE), await cluster.start(AT_ONCE)];
    const blob = cluster.blob(MIB);
    await whenStored(one.base, blob.path);
    for (const { base } of [two, one]) expect(await collect(base)).toMatchObject({ count: 0 });
    expect(outcomeOf(await request(two.base, blob.path))).toBe('hit');
    expect(blob.gets()).toHaveLength(1);
  });

  test('verification finds what is wrong in the bucket, on all replicas it is not served, and a repair heals it', async () => {
    const cluster = await Cluster.on(server, redis.url);
    const [one, two] = [await cluster.start(ADMIN), await cluster.start(ADMIN)];
    const artifacts = [cluster.blob(MIB), cluster.zip(MIB), cluster.blob(1000), cluster.zip(1000)];
    for (const { base } of [one, two])
      for (const { path } of artifacts) await whenStored(base, path);
    expect(await runJob(one.base, 'verify')).toMatchObject({ corrupt: [], repaired: 0 });
    const wrong = artifacts.slice(0, 2);
    for (const { key, body } of wrong) await spoil(server, cluster.bucket, key, body);
    const names = wrong.map(({ key, body }) =>
      key.startsWith('go/')
        ? `go:${key.slice(3).replace('/@v/', '@').replace('.zip', '')}`
        : `oci:main.test/made/app@sha256:${body.sha256}`,
    );
    const found = await runJob(two.base, 'verify');
    expect([...(found['corrupt'] as string[])].sort()).toEqual([...names].sort());
    for (const { path, body } of wrong) expectBytes(await request(one.base, path), body);
    for (const { path } of wrong) await whenStored(one.base, path);
    for (const { key, body } of wrong) await spoil(server, cluster.bucket, key, body);
    expect(await runJob(one.base, 'verify', { repair: true })).toMatchObject({ repaired: 2 });
    expect(await runJob(two.base, 'verify')).toMatchObject({ corrupt: [] });
    for (const { path, body } of artifacts) expectBytes(await request(two.base, path), body);
  });

  describe('a kill at every write', async () => {
    const place = storeOn(server, await bucketOn(server));
    let made = 0;
    killContract(() => new BackedStore(place, `run${String(++made)}`), every);
  });
});

/** Another bit in an object, under the same record. */
async function spoil({ client }: S3Server, bucket: string, key: string, body: Body): Promise<void> {
  const at = { Bucket: bucket, Key: `${PREFIX}/${key}` };
  const { Metadata, ContentType } = await client.send(new HeadObjectCommand(at));
  const bytes = Buffer.from(body.bytes());
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await client.send(new PutObjectCommand({ ...at, Body: bytes, Metadata, ContentType }));
}
