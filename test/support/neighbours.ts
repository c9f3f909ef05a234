// What stands beside the releases of the chart on the node of kubernetes.ts: Larder's images, S3, Redis, and a registry of what pods
// run. Nothing else is in their world.

import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { buildGoTool } from './go-tool.ts';
import { request } from './http.ts';
import { kubernetesNode, type KubernetesNode } from './kubernetes.ts';
import { pushMultiArch, thisArchitecture } from './real-images.ts';
import { debianRegistry, startRealRegistry, type RealRegistry } from './real-registry.ts';
import { startRedis, type RedisServer } from './redis.ts';
import type { Release } from './release.ts';
import { Cluster } from './replicas.ts';
import { versityServer, type S3Server } from './s3-servers.ts';
import { atEnd, tempDir } from './tmp.ts';

/** The URL of a server of the tests, as a pod reaches it. */
export const fromPods = (url: string): string => url.replace('127.0.0.1', '10.244.0.1');

export class Neighbours {
  readonly node: KubernetesNode;
  readonly server: S3Server;
  readonly redis: RedisServer;
  /** Values by which the chart takes its images from here. */
  readonly image: { readonly registry: string };
  /** Docker Hub's part is played by it. */
  readonly registry: RealRegistry;
  readonly #program: string;

  private constructor(
    node: KubernetesNode,
    images: RealRegistry,
    registry: RealRegistry,
    server: S3Server,
    redis: RedisServer,
    program: string,
  ) {
    this.node = node;
    this.image = { registry: images.host };
    this.registry = registry;
    this.server = server;
    this.redis = redis;
    this.#program = program;
  }

  /** They end with the file. `redisArgs` are redis-server's own. */
  static async start(redisArgs: readonly string[] = []): Promise<Neighbours> {
    return new Neighbours(
      await kubernetesNode(),
      await startLarderImages(),
      await realRegistry(tempDir()),
      await versityServer(),
      await startRedis(redisArgs),
      await buildGoTool('payload'),
    );
  }

  /** Mock upstreams and a bucket of its own for a release. */
  upstreams(): Promise<Cluster> {
    return Cluster.on(this.server, this.redis.url);
  }

  /** Settings that lead to them, and nowhere else. */
  settingsFor({ upstream, registry }: Cluster) {
    return {
      LARDER_GO_UPSTREAM: fromPods(upstream.url),
      LARDER_GO_SUMDB: 'off',
      LARDER_OCI_UPSTREAMS: `main.test=${fromPods(registry.url)} docker.io=${fromPods(this.registry.base)}`,
    };
  }

  /** Settings of a release on S3 and Redis. */
  bucketFor({ settings }: Cluster) {
    return {
      LARDER_S3_BUCKET: settings['LARDER_S3_BUCKET'],
      LARDER_S3_PREFIX: settings['LARDER_S3_PREFIX'],
      LARDER_S3_REGION: settings['LARDER_S3_REGION'],
      LARDER_S3_ENDPOINT: fromPods(this.server.endpoint),
      LARDER_REDIS_PREFIX: settings['LARDER_REDIS_PREFIX'],
      LARDER_REDIS_URL: fromPods(this.redis.url),
    };
  }

  /** What the chart looks for in the Secret of a bucket. */
  get bucketKeys() {
    const { accessKeyId, secretAccessKey } = this.server;
    return { 'access-key-id': accessKeyId, 'secret-access-key': secretAccessKey };
  }

  /** A disk of the node for the claim of a release `larder`, as the node makes none by itself. It goes with the file. */
  volumeFor(namespace: string): object {
    const path = join(tempDir(), 'volume');
    mkdirSync(path);
    atEnd(() => this.node.kubectl('delete', 'pv', namespace, '--wait=false'));
    const here = { key: 'kubernetes.io/hostname', operator: 'In', values: ['node'] };
    return {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: namespace },
      spec: {
        capacity: { storage: '8Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        claimRef: { namespace, name: 'data-larder-0' },
        local: { path },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [here] }] } },
      },
    };
  }

  /** Has the node pull a new image of Docker Hub, and expects it to run as it was pushed. Resolves to the digest of its index. */
  async runsNewImage(name: string): Promise<string> {
    const pushed = await pushMultiArch(this.registry.base, `library/${name}`, '1', this.#program);
    const running = await this.node.start({ [name]: `${name}:1` });
    expect(running[name]).toEqual({
      imageId: `docker.io/library/${name}@${pushed.index.digest}`,
      log: `${pushed[thisArchitecture].payloadSha256}\n`,
    });
    await this.node.kubectl('delete', 'pod', name, '--wait=false');
    return pushed.index.digest;
  }

  /** The same, and expects a release to have it then. */
  async runsNewImageBy({ base }: Release, name: string): Promise<void> {
    const digest = await this.runsNewImage(name);
    const reply = await request(base, `/v2/docker.io/library/${name}/manifests/${digest}`);
    expect(reply).toMatchObject({ status: 200, headers: { 'x-larder-cache': 'hit' } });
  }
}

/** The registry of Larder's own images, as scripts/kubernetes/images.sh built them. */
function startLarderImages(): Promise<RealRegistry> {
  const images = process.env['LARDER_TEST_IMAGES'];
  if (images === undefined)
    throw new Error('These tests install images that npm run test:k8s builds.');
  const dir = tempDir();
  symlinkSync(join(images, 'content'), join(dir, 'content'));
  return realRegistry(dir);
}

async function realRegistry(dir: string): Promise<RealRegistry> {
  const registry = await startRealRegistry(debianRegistry, dir);
  atEnd(() => registry.stop());
  return registry;
}
