// The node of Kubernetes that scripts/kubernetes/test.sh starts. The tests run in its network, so that what they start on
// loopback is there for its containerd too, and nothing else in the world is.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../../bench/support/processes.ts';
import { PAYLOAD } from './real-images.ts';
import { atEnd, eventually, filesBelow } from './tmp.ts';

/** What a container is that runs in a pod. */
export interface RunningImage {
  /** Its image's name, and the digest that the tag stood for. */
  readonly imageId: string;
  /** What it has said so far, at least a line. */
  readonly log: string;
}

export interface KubernetesNode {
  /** Folder of its containerd's hosts.toml files, and its path as the node itself sees it. */
  readonly certs: { readonly here: string; readonly there: string };
  /** Runs a command beside it: with its network, kubectl and cluster. Resolves to its output, rejects with its complaint. */
  beside(...command: readonly string[]): Promise<string>;
  kubectl(...args: readonly string[]): Promise<string>;
  /** Makes objects, or changes them. */
  apply(...objects: readonly object[]): Promise<void>;
  /** Has its containerd look there first for images of every registry, until the end of the test or file. `toml`: hosts.toml. */
  useHosts(toml: string): void;
  /** Starts a pod for each image, named as its key, and resolves when all are ready. Rejects with what became of them. */
  start(images: Readonly<Record<string, string>>): Promise<Readonly<Record<string, RunningImage>>>;
  /**
   * Ends all pods and removes every image that was not there at first. Resolves when containerd has no file any more of these
   * digests, nor of what it unpacked; rejects when it had none of one of them before.
   */
  forget(digests: readonly string[]): Promise<void>;
}

/** Throws an Error of one sentence when the tests were started in another way. */
export async function kubernetesNode(): Promise<KubernetesNode> {
  const dir = process.env['LARDER_TEST_NODE'];
  if (dir === undefined) {
    throw new Error('These tests run beside a node of Kubernetes: npm run test:k8s.');
  }
  const beside = (...command: readonly string[]) => run(join(dir, 'beside'), command);
  const kubectl = (...args: readonly string[]) => beside('kubectl', ...args);
  const ctr = (...args: string[]) => run(join(dir, 'inside'), ['ctr', '-n', 'k8s.io', ...args]);
  const images = async () => (await ctr('images', 'list', '--quiet')).trim().split('\n');
  const atFirst = new Set(await images());
  const files = () => filesBelow(join(dir, 'lib/containerd'));
  const unpacked = (all: readonly string[]) =>
    all.filter((file) => file.endsWith(`/${PAYLOAD}`)).length;
  const unpackedAtFirst = unpacked(files());

  const running = async (pod: string): Promise<RunningImage> => {
    const path = 'jsonpath={.status.containerStatuses[0].imageID}';
    const imageId = await kubectl('get', 'pod', pod, '--output', path);
    const log = await eventually(`${pod} says something`, async () => {
      const said = await kubectl('logs', pod);
      return said.includes('\n') && said;
    });
    return { imageId, log };
  };

  const apply = async (...items: readonly object[]) => {
    const manifest = join(dir, 'objects.json');
    writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    await kubectl('apply', '--filename', manifest);
  };
  const certs = { here: join(dir, 'etc/certs.d'), there: '/run/node/etc/certs.d' };

  return {
    certs,
    beside,
    kubectl,
    apply,

    useHosts(toml) {
      const file = join(certs.here, '_default/hosts.toml');
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, toml);
      atEnd(() => {
        rmSync(dirname(file), { recursive: true, force: true });
      });
    },

    async start(wanted) {
      const names = Object.keys(wanted);
      await apply(...Object.entries(wanted).map(([name, image]) => podOf(name, image)));
      try {
        const pods = names.map((name) => `pod/${name}`);
        await kubectl('wait', '--for=condition=Ready', ...pods, '--timeout=120s');
      } catch (cause) {
        const events = await kubectl('events', '--types=Warning');
        throw new Error(`The pods did not become ready:\n${events}`, { cause });
      }
      const pods = names.map(async (name) => [name, await running(name)] as const);
      return Object.fromEntries(await Promise.all(pods));
    },

    async forget(digests) {
      const keeps = () => {
        const all = files();
        const has = (digest: string) =>
          all.some((file) => file.endsWith(digest.replace('sha256:', '/')));
        return [...digests.filter(has), ...(unpacked(all) > unpackedAtFirst ? [PAYLOAD] : [])];
      };
      const kept = keeps();
      if (kept.length <= digests.length)
        throw new Error(`containerd kept nothing but ${kept.join(', ')}.`);
      await kubectl('delete', 'pod', '--all', '--timeout=120s');
      const late = (await images()).filter((name) => !atFirst.has(name));
      await ctr('images', 'rm', '--sync', ...late);
      // layers stay unpacked until the kubelet has removed the container
      const nothing = () => keeps().length === 0;
      await eventually('containerd has nothing of the images', nothing, 120_000);
    },
  };
}

function podOf(name: string, image: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      containers: [{ name: 'only', image }],
      automountServiceAccountToken: false,
      // there is no cluster DNS
      dnsPolicy: 'Default',
      terminationGracePeriodSeconds: 5,
    },
  };
}
