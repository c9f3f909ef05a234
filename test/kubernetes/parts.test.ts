// Parts of the chart whose pods ask for others by name: the CronJob that collects, and the Redis of a try-out. Nothing looks up names
// of the cluster on this node, so their pods are given the addresses (issue 9, behaviour 2).

import { expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { request } from '../support/http.ts';
import { Neighbours } from '../support/neighbours.ts';
import { pushRedisImage } from '../support/redis-image.ts';
import { Release } from '../support/release.ts';
import { heldHerd, repliesOf, tally } from '../support/replicas.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const neighbours = await Neighbours.start();
const { node, image, registry } = neighbours;

const kubectlIn =
  (namespace: string) =>
  (...args: readonly string[]) =>
    node.kubectl('--namespace', namespace, ...args);

/** What a pod's `hostAliases` need for a Service to be found by its name. */
async function aliasOf(namespace: string, service: string) {
  const address = ['--output', 'jsonpath={.spec.clusterIP}'];
  const ip = await kubectlIn(namespace)('get', 'service', service, ...address);
  return { ip, hostnames: [`${service}.${namespace}.svc`] };
}

test('the CronJob has a release collect what nobody owns', async () => {
  const namespace = 'larder-collected';
  const kubectl = kubectlIn(namespace);
  const cluster = await neighbours.upstreams();
  const release = await Release.install(node, namespace, {
    level: 'restricted',
    values: {
      image,
      config: {
        ...neighbours.settingsFor(cluster),
        LARDER_ORPHAN_GRACE: '0s',
        LARDER_TAG_TTL: '1s',
      },
      persistence: { enabled: false },
      collection: { mode: 'cronJob' },
      secrets: { adminToken: { existingSecret: 'larder-token' } },
      extraObjects: [
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'larder-token' },
          stringData: { token: 'only-for-a-try' },
        },
      ],
    },
  });
  const pull = (reference: string) =>
    request(release.base, `/v2/main.test/team/app/manifests/${reference}`);
  const build = (name: string) =>
    cluster.registry.addImage('team/app', 'v1', { layers: [Body.noise(MIB, name)] });
  const old = build('old');
  expect((await pull('v1')).status).toBe(200);
  const young = build('young');
  await eventually(
    'the tag has moved',
    async () => (await pull('v1')).sha256 === young.digest.slice(7),
  );

  const from = ['create', 'job', 'collect-now', '--from=cronjob/larder-collect'];
  const job = JSON.parse(await kubectl(...from, '--dry-run=client', '--output=json')) as {
    metadata: object;
    spec: { template: { spec: object } };
  };
  Object.assign(job.metadata, { namespace });
  Object.assign(job.spec.template.spec, { hostAliases: [await aliasOf(namespace, 'larder')] });
  await node.apply(job);
  await kubectl('wait', '--for=condition=complete', 'job/collect-now', '--timeout=120s');
  const said = (await kubectl('logs', 'job/collect-now')).trim().split('\n').at(-1) ?? '';
  expect(JSON.parse(said)).toMatchObject({
    collected: [`oci:main.test/team/app@${old.digest}`],
    freedBytes: old.bytes.length,
  });
  await release.uninstall();
  await expect.poll(() => release.left(), { timeout: 120_000 }).toEqual([]);
});

test('replicas with the Redis of a try-out fetch once', async () => {
  const namespace = 'larder-try-out';
  const kubectl = kubectlIn(namespace);
  await pushRedisImage(registry.base, 'library/redis', 'try-out');
  const cluster = await neighbours.upstreams();
  // the chart sets the URL of its own Redis
  const bucket = {
    ...neighbours.bucketFor(cluster),
    LARDER_STORAGE: 's3',
    LARDER_S3_FORCE_PATH_STYLE: true,
    LARDER_REDIS_URL: undefined,
  };
  const release = await Release.install(node, namespace, {
    level: 'restricted',
    values: {
      image,
      replicaCount: 2,
      config: { ...neighbours.settingsFor(cluster), ...bucket },
      secrets: { s3: { existingSecret: 'larder-bucket' } },
      tryOutRedis: {
        enabled: true,
        image: { registry: registry.host, tag: 'try-out' },
      },
      extraObjects: [
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'larder-bucket' },
          stringData: neighbours.bucketKeys,
        },
      ],
    },
  });
  const redis = await aliasOf(namespace, 'larder-redis');
  const spec = { template: { spec: { hostAliases: [redis] } } };
  await kubectl('patch', 'deployment', 'larder', '--patch', JSON.stringify({ spec }));
  await kubectl('rollout', 'status', 'deployment/larder', '--timeout=240s');
  await eventually('two pods', async () => (await release.pods()).length === 2, 120_000);

  const artifact = cluster.blob(4 * MIB);
  const { gate, own } = await heldHerd(release, artifact, { count: 12, holdAfter: MIB });
  const keys = () => node.beside('redis-cli', '-h', redis.ip, 'KEYS', `${cluster.bucket}:*:lease`);
  expect((await keys()).trim().split('\n')).toHaveLength(1);
  gate.open();
  expect(tally(await repliesOf(own), artifact.body)).toEqual({ right: 12 });
  expect(artifact.gets()).toHaveLength(1);
  await release.uninstall();
  await expect.poll(() => release.left(), { timeout: 120_000 }).toEqual([]);
});
