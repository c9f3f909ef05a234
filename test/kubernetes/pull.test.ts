// A node of Kubernetes pulls through Larder what its pods run, set up as README.md says (issue 4).

import { beforeAll, describe, expect, test } from 'vitest';
import { buildGoTool } from '../support/go-tool.ts';
import { hostWithout } from '../support/image-clients.ts';
import { kubernetesNode } from '../support/kubernetes.ts';
import { startLarderProcess } from '../support/larder.ts';
import { pushMultiArch, thisArchitecture, type MultiArchImage } from '../support/real-images.ts';
import { debianRegistry, startRealRegistry } from '../support/real-registry.ts';
import { readmeBlock } from '../support/readme.ts';
import { atEnd, tempDir } from '../support/tmp.ts';

/** As people write them in a pod: the first one is Docker Hub's. */
const IMAGES = { hub: 'payload:1', ghcr: 'ghcr.io/owner/payload:2' };

describe('pods of images of two upstreams', async () => {
  const node = await kubernetesNode();
  const program = await buildGoTool('payload');
  const registry = await startRealRegistry(debianRegistry, tempDir());
  atEnd(() => registry.stop());
  const hub = await pushMultiArch(registry.base, 'library/payload', '1', program);
  const ghcr = await pushMultiArch(registry.base, 'owner/payload', '2', program);
  const before = (await registry.requests()).length;
  // nobody but Larder learns where the registry is
  const env = { LARDER_OCI_UPSTREAMS: `docker.io=${registry.base},ghcr.io=${registry.base}` };
  const larder = await startLarderProcess({ env: { ...env, LARDER_TAG_TTL: '1h' } });
  const expected = {
    hub: {
      imageId: `docker.io/library/payload@${hub.index.digest}`,
      log: `${hub[thisArchitecture].payloadSha256}\n`,
    },
    ghcr: {
      imageId: `ghcr.io/owner/payload@${ghcr.index.digest}`,
      log: `${ghcr[thisArchitecture].payloadSha256}\n`,
    },
  };

  test('become ready, and run what was pushed', async () => {
    node.useHosts(hostsToml(new URL(larder.base).host));
    expect(await node.start(IMAGES)).toEqual(expected);
  });

  test('ask the registry for each thing once, and for nothing of another platform', async () => {
    const asked = (await registry.requests()).slice(before);
    expect(asked.sort()).toEqual(
      [
        ...requestsFor(hub, '/v2/library/payload', '1'),
        ...requestsFor(ghcr, '/v2/owner/payload', '2'),
      ].sort(),
    );
  });

  describe('that the node has forgotten, with the registry stopped and Larder started again', () => {
    beforeAll(async () => {
      await node.forget([hub, ghcr].flatMap(digestsOf));
      node.useHosts(hostsToml(await hostWithout(registry, larder, env)));
    });

    test('become ready, and run what was pushed', async () => {
      expect(await node.start(IMAGES)).toEqual(expected);
    });
  });
});

/** As README.md has it. */
const hostsToml = (host: string) =>
  readmeBlock('/etc/containerd/certs.d/_default/hosts.toml', host);

/** What one pull of an image by tag takes. */
function requestsFor(image: MultiArchImage, path: string, tag: string): string[] {
  const { manifest, config, layer } = image[thisArchitecture];
  return [
    `HEAD ${path}/manifests/${tag}`,
    `GET ${path}/manifests/${image.index.digest}`,
    `GET ${path}/manifests/${manifest.digest}`,
    `GET ${path}/blobs/${config.digest}`,
    `GET ${path}/blobs/${layer.digest}`,
  ];
}

/** Of all that a node keeps of an image. */
function digestsOf(image: MultiArchImage): string[] {
  const { manifest, config, layer } = image[thisArchitecture];
  return [image.index, manifest, config, layer].map(({ digest }) => digest);
}
