// Every client that README.md names, in front of each real registry (issue 4).
// LARDER_TEST_CLIENTS: the folder that scripts/install-clients.sh filled.

import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  containersClients,
  environmentIn,
  hostWithout,
  output,
  sha256,
} from '../support/image-clients.ts';
import { containerd, docker } from '../support/image-daemons.ts';
import { startLarderProcess } from '../support/larder.ts';
import { otherArchitecture, pushMultiArch, thisArchitecture } from '../support/real-images.ts';
import { debianRegistry, startRealRegistry } from '../support/real-registry.ts';
import { readmeCommand } from '../support/readme.ts';
import { atEnd, tempDir } from '../support/tmp.ts';

const IMAGE = 'docker.io/library/alpine:3.20';
const SBOM = 'application/vnd.example.sbom';

const folder = resolve(process.env['LARDER_TEST_CLIENTS'] ?? '.cache/clients');
const program = (name: string) => join(folder, 'bin', name);

const clients = [
  docker(join(folder, 'debian')),
  containerd('containerd of Debian', join(folder, 'debian')),
  containerd('containerd 2', join(folder, 'newer')),
  ...containersClients,
];

describe.each([
  { upstream: 'docker-registry', command: debianRegistry },
  { upstream: 'distribution', command: program('registry') },
])('in front of $upstream', async ({ command }) => {
  const registry = await startRealRegistry(command, tempDir());
  atEnd(() => registry.stop());
  const image = await pushMultiArch(registry.base, 'library/alpine', '3.20');
  const chart = await pushChart(registry.host);
  const sbom = '{"packages":[]}';
  await attach(registry.host, sbom);
  const env = { LARDER_OCI_UPSTREAMS: `docker.io=${registry.base},ghcr.io=${registry.base}` };
  const larder = await startLarderProcess({ env: { ...env, LARDER_TAG_TTL: '1h' } });
  const { host } = new URL(larder.base);
  const { config, payloadSha256 } = image[thisArchitecture];
  const expected = { config: config.digest, payloadSha256 };
  const before = (await registry.requests()).length;

  test.each(clients)('$name pulls', async ({ pull }) => {
    expect(await pull(host, IMAGE)).toEqual(expected);
  });

  test('all of them together ask the registry for each thing once, and for no layer of another platform', async () => {
    const { manifest, layer } = image[thisArchitecture];
    const path = '/v2/library/alpine';
    const asked = (await registry.requests()).slice(before);
    expect(asked).toEqual([...new Set(asked)]);
    // containerd 2 reads manifest and configuration of each platform
    expect(asked).toEqual(
      expect.arrayContaining([
        `HEAD ${path}/manifests/3.20`,
        `GET ${path}/manifests/${image.index.digest}`,
        `GET ${path}/manifests/${manifest.digest}`,
        `GET ${path}/blobs/${config.digest}`,
        `GET ${path}/blobs/${layer.digest}`,
      ]),
    );
    expect(asked).not.toContain(`GET ${path}/blobs/${image[otherArchitecture].layer.digest}`);
  });

  test('crane', () => expectCrane(host, image.index.digest));
  test('helm', () => expectHelm(host, chart));
  test('oras', () => expectOras(host, sbom));

  describe('that is stopped, and Larder started again', () => {
    let again = '';

    beforeAll(async () => {
      again = await hostWithout(registry, larder, env);
    });

    test.each(clients)('$name pulls', async ({ pull }) => {
      expect(await pull(again, IMAGE)).toEqual(expected);
    });

    test('crane', () => expectCrane(again, image.index.digest));
    test('helm', () => expectHelm(again, chart));
    test('oras', () => expectOras(again, sbom));
  });
});

/** Of Docker Hub, by Larder's own name: digest, every byte of both platforms, tags. */
async function expectCrane(host: string, digest: string): Promise<void> {
  const env = environmentIn(tempDir());
  const crane = (...args: string[]) => output([program('crane'), '--insecure', ...args], env);
  const name = `${host}/library/alpine`;
  expect(await crane('digest', `${name}:3.20`)).toBe(digest);
  // registries without the referrers API have what refers to a manifest under a tag besides
  expect((await crane('ls', name)).split('\n')).toContain('3.20');
  expect(await crane('validate', '--remote', `${name}:3.20`)).toContain('PASS');
}

/** Makes a chart and pushes it, to where README.md pulls it from. Resolves to the bytes of the chart. */
async function pushChart(host: string): Promise<Buffer> {
  const dir = tempDir();
  const env = environmentIn(dir);
  writeFileSync(join(dir, 'Chart.yaml'), 'apiVersion: v2\nname: chart\nversion: 1.2.3\n');
  await output([program('helm'), 'package', dir], env);
  const file = join(dir, 'chart-1.2.3.tgz');
  await output([program('helm'), 'push', file, `oci://${host}/owner`, '--plain-http'], env);
  return readFileSync(file);
}

/** With the line of README.md. */
async function expectHelm(host: string, chart: Buffer): Promise<void> {
  const dir = tempDir();
  const [, ...args] = readmeCommand('helm pull ', host);
  await output([program('helm'), ...args], environmentIn(dir));
  expect(sha256(readFileSync(join(dir, 'chart-1.2.3.tgz')))).toBe(sha256(chart));
}

/** Pushes an artifact that refers to the image. */
async function attach(host: string, sbom: string): Promise<void> {
  const dir = tempDir();
  writeFileSync(join(dir, 'sbom.json'), sbom);
  const oras = [program('oras'), 'attach', '--plain-http', '--artifact-type', SBOM];
  await output(
    [...oras, `${host}/library/alpine:3.20`, 'sbom.json:application/json'],
    environmentIn(dir),
  );
}

/** Finds the artifact by the image, and its bytes by the artifact. */
async function expectOras(host: string, sbom: string): Promise<void> {
  const dir = tempDir();
  const env = environmentIn(dir);
  const name = `${host}/library/alpine`;
  const discover = [program('oras'), 'discover', '--plain-http', '--format', 'json'];
  const found = await output([...discover, '--artifact-type', SBOM, `${name}:3.20`], env);
  const { referrers } = JSON.parse(found) as {
    referrers: { artifactType: string; digest: string }[];
  };
  expect(referrers.map(({ artifactType }) => artifactType)).toEqual([SBOM]);
  await output(
    [program('oras'), 'pull', '--plain-http', `${name}@${referrers[0]?.digest ?? ''}`],
    env,
  );
  expect(readFileSync(join(dir, 'sbom.json'), 'utf8')).toBe(sbom);
}
