// What a registry has under a name: digests, and whole indexes made of its own bytes.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { imageIndex } from '../../src/oci/image-index.ts';
import { lookUp } from '../../src/oci/look-up.ts';
import { imageManifest } from '../support/images.ts';
import { asked } from '../support/mirror.ts';
import { registryFetcher } from '../support/registry-fetcher.ts';
import { startRegistry, type Registry } from '../support/registry.ts';

const { signal } = new AbortController();
const INDEX = 'application/vnd.oci.image.index.v1+json';
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const CONFIG = 'application/vnd.oci.image.config.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';

const placeOf = (registry: Registry) => ({
  fetcher: registryFetcher(registry.url).fetcher,
  path: 'app',
});
const digestOf = (bytes: string | Uint8Array) =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly [field: string]: unknown;
}

/** Puts an image there whose config says this, and tells how an index names it. */
function put(registry: Registry, config: object, more: object = {}, type = IMAGE): Entry {
  const isDocker = type === DOCKER_IMAGE;
  const configBytes = JSON.stringify(config);
  registry.addBlob('app', configBytes);
  const bytes = JSON.stringify({
    schemaVersion: 2,
    mediaType: type,
    config: {
      mediaType: isDocker ? DOCKER_CONFIG : CONFIG,
      digest: digestOf(configBytes),
      size: configBytes.length,
    },
    layers: [],
    ...more,
  });
  const { digest } = registry.addManifest('app', undefined, bytes, type);
  return { mediaType: type, digest, size: bytes.length };
}

function putIndex(registry: Registry, index: object, type = INDEX): string {
  const bytes = JSON.stringify({ schemaVersion: 2, mediaType: type, ...index });
  return registry.addManifest('app', '1', bytes, type).digest;
}

async function indexOf(registry: Registry, reference = '1') {
  const text = await imageIndex(placeOf(registry), reference, signal);
  return text === undefined ? undefined : (JSON.parse(text) as { manifests: Entry[] });
}

/** Entries of images that only their platform tells apart. */
const named = (registry: Registry, platforms: readonly object[]): Entry[] =>
  platforms.map((platform, i) => ({ ...put(registry, { i }), platform }));

const platformsOf = (index: { manifests: Entry[] } | undefined) =>
  index?.manifests.map(({ platform }) => {
    const { os, architecture, variant } = platform as Record<string, string>;
    return [os, architecture, variant].filter((part) => part !== undefined).join('/');
  });

describe('a digest', () => {
  test('by HEAD alone', async () => {
    const registry = await startRegistry();
    const image = registry.addImage('app', '1', { layers: ['one'] });
    const found = { digest: image.digest, mediaType: IMAGE, size: image.bytes.length };
    expect(await lookUp(placeOf(registry), '1', signal)).toEqual(found);
    expect(await lookUp(placeOf(registry), image.digest, signal)).toEqual(found);
    expect(registry.log.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
    // thousands of them do not open thousands of connections
    expect(registry.log.map(({ headers }) => headers.connection)).toEqual(
      Array(2).fill('keep-alive'),
    );
  });

  test('of a registry whose HEAD does not tell: of its bytes', async () => {
    const registry = await startRegistry();
    const image = registry.addImage('app', '1', { layers: ['one'] });
    registry.fault('/v2/app/manifests/1', { headers: { 'docker-content-digest': undefined } });
    expect(await lookUp(placeOf(registry), '1', signal)).toEqual({
      digest: image.digest,
      mediaType: IMAGE,
      size: image.bytes.length,
    });
    expect(registry.log.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  });

  test.for([401, 403, 404])('%i: there is none', async (status) => {
    const registry = await startRegistry();
    registry.addImage('app', '1', { layers: ['one'] });
    registry.fault(/manifests/, { status });
    expect(await lookUp(placeOf(registry), '1', signal)).toBeUndefined();
    expect(await imageIndex(placeOf(registry), '1', signal)).toBeUndefined();
  });

  test.for([400, 500, 503])('%i is a failure, as it is', async (status) => {
    const registry = await startRegistry();
    registry.fault(/manifests/, { status });
    await expect(lookUp(placeOf(registry), '1', signal)).rejects.toThrow(
      `answers ${String(status)}`,
    );
  });
});

describe('a full index', () => {
  test('of a single image: wrapped, with the platform of its config', async () => {
    const registry = await startRegistry();
    const image = registry.addImage('app', '1', { layers: ['one'] });
    const text = await imageIndex(placeOf(registry), '1', signal);
    // byte for byte, so that the order of its fields is told too
    expect(text).toBe(
      `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[{"mediaType":"${IMAGE}","digest":"${image.digest}",` +
        `"size":${String(image.bytes.length)},"platform":{"architecture":"amd64","os":"linux"}}]}`,
    );
    expect(asked(registry)).toEqual([
      'GET /v2/app/manifests/1',
      `GET /v2/app/blobs/${image.config.digest}`,
    ]);
  });

  test('of an artifact: no platform, its type', async () => {
    const registry = await startRegistry();
    const artifact = put(
      registry,
      {},
      {
        artifactType: 'application/x.sbom',
        config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
      },
    );
    const index = await indexOf(registry, artifact.digest);
    expect(index?.manifests).toEqual([{ ...artifact, artifactType: 'application/x.sbom' }]);
  });

  test('platforms that are missing or half there come from configs, of both kinds', async () => {
    const registry = await startRegistry();
    const one = put(registry, { os: 'linux', architecture: 'arm64' });
    const two = put(registry, { os: 'linux', architecture: 's390x' }, {}, DOCKER_IMAGE);
    const windows = { os: 'windows', architecture: 'amd64', 'os.version': '10.0.17763.1' };
    const three = put(registry, windows);
    putIndex(registry, { manifests: [one, { ...two, platform: { os: 'linux' } }, three] });
    expect((await indexOf(registry))?.manifests).toEqual([
      { ...one, platform: { architecture: 'arm64', os: 'linux', variant: 'v8' } },
      { ...two, platform: { architecture: 's390x', os: 'linux' } },
      { ...three, platform: windows },
    ]);
  });

  test('what an entry leads to is not there: no platform', async () => {
    const registry = await startRegistry();
    const gone = put(registry, { os: 'linux', architecture: 'amd64' });
    registry.remove('app', gone.digest);
    putIndex(registry, { manifests: [gone] });
    expect((await indexOf(registry))?.manifests).toEqual([gone]);
  });

  test('nobody is asked for a platform that stands there', async () => {
    const registry = await startRegistry();
    putIndex(registry, { manifests: named(registry, [{ os: 'linux', architecture: 'amd64' }]) });
    await indexOf(registry);
    expect(asked(registry)).toEqual(['GET /v2/app/manifests/1']);
  });

  test('variants that are left out', async () => {
    const registry = await startRegistry();
    const linux = (architecture: string, variant?: string) => ({
      os: 'linux',
      architecture,
      variant,
    });
    const given = [
      linux('arm'),
      linux('arm', 'v6'),
      linux('arm64'),
      linux('arm64', 'v9'),
      linux('amd64'),
      linux('riscv64'),
    ];
    putIndex(registry, { manifests: named(registry, given) });
    expect(platformsOf(await indexOf(registry))).toEqual([
      'linux/amd64',
      'linux/arm64/v8',
      'linux/arm64/v9',
      'linux/arm/v6',
      'linux/arm/v7',
      'linux/riscv64',
    ]);
  });

  test('linux first, amd64 then arm64 first', async () => {
    const registry = await startRegistry();
    const given = [
      { os: 'windows', architecture: 'arm64' },
      { os: 'windows', architecture: 'amd64' },
      { os: 'linux', architecture: 's390x' },
      { os: 'darwin', architecture: 'arm64' },
      { os: 'linux', architecture: 'arm64' },
      { os: 'linux', architecture: '386' },
      { os: 'linux', architecture: 'amd64' },
    ];
    putIndex(registry, { manifests: named(registry, given) });
    expect(platformsOf(await indexOf(registry))).toEqual([
      'linux/amd64',
      'linux/arm64/v8',
      'linux/386',
      'linux/s390x',
      'darwin/arm64/v8',
      'windows/amd64',
      'windows/arm64/v8',
    ]);
  });

  test('attestations stand behind their subject, and go without it', async () => {
    const registry = await startRegistry();
    const attests = (subject: Entry, i: number) => ({
      ...put(registry, { os: 'unknown', architecture: 'unknown', i }),
      platform: { architecture: 'unknown', os: 'unknown' },
      annotations: {
        'vnd.docker.reference.digest': subject.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
    });
    const [arm, amd] = named(registry, [
      { architecture: 'arm64', os: 'linux', variant: 'v8' },
      { architecture: 'amd64', os: 'linux' },
    ]) as [Entry, Entry];
    const [ofArm, ofAmd] = [attests(arm, 1), attests(amd, 2)];
    const ofNobody = attests({ ...arm, digest: digestOf('elsewhere') }, 3);
    const ofItself = attests(ofNobody, 4);
    putIndex(registry, { manifests: [ofArm, ofNobody, arm, ofAmd, ofItself, amd] });
    expect((await indexOf(registry))?.manifests).toEqual([amd, ofAmd, arm, ofArm]);
  });

  test('a digest once, the first of them', async () => {
    const registry = await startRegistry();
    const [one, two] = named(registry, [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 's390x', os: 'linux' },
    ]) as [Entry, Entry];
    putIndex(registry, { manifests: [two, one, { ...two, annotations: { a: 'again' } }] });
    expect((await indexOf(registry))?.manifests).toEqual([one, two]);
  });

  test('annotations stay, data and what else there is does not; fields have one order', async () => {
    const registry = await startRegistry();
    const { mediaType, digest, size } = put(registry, {});
    putIndex(registry, {
      annotations: { z: '1', a: '2' },
      manifests: [
        {
          annotations: { 'org.x': 'kept', a: 'kept too' },
          data: 'AAAA',
          urls: ['https://elsewhere.test/x'],
          platform: {
            variant: 'v1',
            os: 'linux',
            'os.features': ['f'],
            architecture: 'amd64',
            'os.version': '1',
          },
          size,
          digest,
          artifactType: 'application/x.y',
          mediaType,
        },
      ],
    });
    expect(await imageIndex(placeOf(registry), '1', signal)).toBe(
      `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[{"mediaType":"${IMAGE}","artifactType":"application/x.y",` +
        `"digest":"${digest}","size":${String(size)},` +
        '"platform":{"architecture":"amd64","os":"linux","os.version":"1","os.features":["f"],"variant":"v1"},' +
        '"annotations":{"org.x":"kept","a":"kept too"}}],"annotations":{"z":"1","a":"2"}}',
    );
  });

  test("a list of Docker's stays one, and an empty index is one", async () => {
    const registry = await startRegistry();
    putIndex(registry, { manifests: [] }, DOCKER_LIST);
    expect(await indexOf(registry)).toEqual({
      schemaVersion: 2,
      mediaType: DOCKER_LIST,
      manifests: [],
    });
  });

  test('other bytes than the digest has are refused', async () => {
    const registry = await startRegistry();
    const image = imageManifest({ layers: ['one'] });
    registry.addImage('app', '1', { layers: ['one'] });
    registry.fault(`/v2/app/manifests/${image.digest}`, { body: '{}' });
    await expect(imageIndex(placeOf(registry), image.digest, signal)).rejects.toThrow(
      'other bytes',
    );
    registry.clearFaults();
    registry.fault(/blobs/, { body: '{}' });
    await expect(imageIndex(placeOf(registry), '1', signal)).rejects.toThrow('other bytes');
  });
});
