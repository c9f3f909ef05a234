// Debian's clients of images through the real program, from a real registry (issue 4). Docker, containerd and others are in
// test/clients.

import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { request } from '../support/http.ts';
import {
  containersClients,
  containersEnvironment,
  hostWithout,
  output,
  pulledDir,
  sha256,
} from '../support/image-clients.ts';
import { startLarderProcess } from '../support/larder.ts';
import { otherArchitecture, pushMultiArch, thisArchitecture } from '../support/real-images.ts';
import { debianRegistry, startRealRegistry } from '../support/real-registry.ts';
import { readmeBlock, readmeCommand } from '../support/readme.ts';
import { atEnd, tempDir } from '../support/tmp.ts';

const IMAGE = 'docker.io/library/alpine:3.20';

describe('in front of docker-registry', async () => {
  const registry = await startRealRegistry(debianRegistry, tempDir());
  atEnd(() => registry.stop());
  const image = await pushMultiArch(registry.base, 'library/alpine', '3.20');
  await pushMultiArch(registry.base, 'library/alpine', '3.19');
  const env = { LARDER_OCI_UPSTREAMS: `docker.io=${registry.base}` };
  const larder = await startLarderProcess({ env: { ...env, LARDER_TAG_TTL: '1h' } });
  const { host } = new URL(larder.base);
  const expected = (architecture: 'amd64' | 'arm64') => ({
    config: image[architecture].config.digest,
    payloadSha256: image[architecture].payloadSha256,
  });
  const pushed = (await registry.requests()).length;
  const asked = async () => (await registry.requests()).slice(pushed);

  test.each(containersClients)(
    '$name pulls as README.md says, and its own platform',
    async ({ pull }) => {
      expect(await pull(host, IMAGE)).toEqual(expected(thisArchitecture));
    },
  );

  test.each(containersClients)('$name pulls the other platform', async ({ pull }) => {
    expect(await pull(host, IMAGE, otherArchitecture)).toEqual(expected(otherArchitecture));
  });

  test('all of them together cost the registry one request for each thing', async () => {
    const { index, amd64, arm64 } = image;
    const path = '/v2/library/alpine';
    const digests = [amd64, arm64].flatMap((one) => [
      `GET ${path}/manifests/${one.manifest.digest}`,
      `GET ${path}/blobs/${one.config.digest}`,
      `GET ${path}/blobs/${one.layer.digest}`,
    ]);
    expect((await asked()).sort()).toEqual(
      [`HEAD ${path}/manifests/3.20`, `GET ${path}/manifests/${index.digest}`, ...digests].sort(),
    );
  });

  test('skopeo reads tags and manifests', async () => {
    const env = containersEnvironment(host);
    // a mirror is asked for images alone
    const repository = `docker://${host}/docker.io/library/alpine`;
    const tags = await output(['skopeo', 'list-tags', '--tls-verify=false', repository], env);
    expect(JSON.parse(tags)).toMatchObject({ Tags: ['3.19', '3.20'] });
    const raw = await output(['skopeo', 'inspect', '--raw', `docker://${IMAGE}`], env);
    expect(`sha256:${sha256(raw)}`).toBe(image.index.digest);
  });

  test("skopeo pulls by Larder's own name, with the line of README.md", async () => {
    const env = containersEnvironment(host);
    await output(readmeCommand('skopeo copy ', host), env);
    expect(pulledDir(join(env['HOME'] ?? '', 'alpine'))).toEqual(expected(thisArchitecture));
  });

  test('what is not there is said to be not there', async () => {
    const env = containersEnvironment(host);
    const missing = output(
      ['skopeo', 'inspect', '--tls-verify=false', `docker://${host}/library/none:1`],
      env,
    );
    await expect(missing).rejects.toThrow(/manifest unknown/);
  });

  test('the page at / says what README.md says', async () => {
    const page = (await request(larder.base, '/')).text;
    for (const file of [
      '/etc/docker/daemon.json',
      '/etc/containerd/certs.d/_default/hosts.toml',
      '/etc/containers/registries.conf.d/larder.conf',
      '/etc/rancher/k3s/registries.yaml',
    ]) {
      expect(page).toContain(readmeBlock(file, host).trimEnd());
    }
  });

  describe('that is stopped, and Larder started again', () => {
    let again = '';

    beforeAll(async () => {
      again = await hostWithout(registry, larder, env);
    });

    test.each(containersClients)('$name pulls both platforms', async ({ pull }) => {
      expect(await pull(again, IMAGE)).toEqual(expected(thisArchitecture));
      expect(await pull(again, IMAGE, otherArchitecture)).toEqual(expected(otherArchitecture));
    });
  });
});
