// Purges of images through the real program (issue 7).

import { rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { client } from '../support/client.ts';
import { imageIndex, type Image } from '../support/images.ts';
import { pullAll, asked, startMirror } from '../support/mirror.ts';
import { ADMIN, bytesHeld, purge } from '../support/purges.ts';
import { outcomeOf } from '../support/replies.ts';
import { eventually, filesBelow } from '../support/tmp.ts';

const MIB = 1024 * 1024;

/** A mirror, and what a client does with an image of it. */
async function start() {
  const mirror = await startMirror({}, ADMIN);
  const { larder, registry, get } = mirror;
  return {
    ...mirror,
    purge: (oci: string, dryRun = false) => purge(larder.base, { oci: `main.test/${oci}`, dryRun }),
    pull: (repository: string, reference: string, image: Image) =>
      pullAll(larder.base, repository, reference, image),
    /** Whether it is answered out of the store, without a question to the registry. */
    held: async (paths: readonly string[]): Promise<boolean[]> => {
      const found: boolean[] = [];
      for (const path of paths) {
        registry.clearLog();
        const reply = await get(path, { method: 'HEAD' });
        found.push(outcomeOf(reply) === 'hit' && registry.log.length === 0);
      }
      return found;
    },
  };
}

const blobsOf = (repository: string, { layers }: Image): string[] =>
  layers.map(({ digest }) => `${repository}/blobs/${digest}`);

describe('a tag', async () => {
  const { registry, purge, pull, held, get, larder } = await start();
  const shared = Body.noise(MIB, 'shared');
  const one = registry.addImage('team/app', 'v1', { layers: [shared, Body.noise(MIB, 'one')] });
  const two = registry.addImage('team/app', 'v2', { layers: [shared, Body.noise(MIB, 'two')] });
  const [sharedBlob = '', oneBlob = '', twoBlob = ''] = [
    ...blobsOf('team/app', one),
    ...blobsOf('team/app', two).slice(1),
  ];
  const name = 'oci:main.test/team/app';

  test('is named by a dry run, with what it alone holds', async () => {
    await pull('team/app', 'v1', one);
    await pull('team/app', 'v2', two);
    const would = await purge('team/app:v1', true);
    expect(would.purged).toContain(`${name}:v1`);
    expect(would.freedBytes).toBe(one.bytes.length + MIB);
    expect(await held(['team/app/manifests/v1', oneBlob])).toEqual([true, true]);
  });

  test('goes with it, and leaves what another tag holds', async () => {
    const before = await purge('team/app:v1', true);
    expect(await purge('team/app:v1')).toEqual(before);
    expect(await purge('team/app:v1')).toEqual({ purged: [], freedBytes: 0 });
    expect(before.purged).toContain(`${name}@${one.digest}`);
    expect(await held(['team/app/manifests/v1', oneBlob])).toEqual([false, false]);
    expect(await held(['team/app/manifests/v2', sharedBlob, twoBlob])).toEqual([true, true, true]);
  });

  test('is asked for anew', async () => {
    await purge('team/app:v1');
    registry.clearLog();
    expect((await get('team/app/manifests/v1')).body.equals(one.bytes)).toBe(true);
    expect(asked(registry)).toEqual([
      'HEAD /v2/team/app/manifests/v1',
      `GET /v2/team/app/manifests/${one.digest}`,
    ]);
  });

  test('is in the log under its one name', async () => {
    await purge('team/app:none');
    const lines = await eventually('the lines are written', () => {
      const found = larder.log().filter(({ action }) => action === 'purge');
      return found.some((line) => line['name'] === `${name}:none`) && found;
    });
    expect(lines.map((line) => line['name'])).toContain(`${name}:v1`);
  });
});

test('purged on the disk by tags: bytes freed are bytes gone', async () => {
  const { registry, purge, pull, larder } = await start();
  const shared = Body.noise(MIB, 'shared');
  const images = ['v1', 'v2'].map((tag) =>
    registry.addImage('team/app', tag, { layers: [shared, Body.noise(MIB, tag)] }),
  );
  const other = registry.addImage('other/app', 'x', { layers: ['x'] });
  for (const [i, image] of images.entries()) await pull('team/app', `v${String(i + 1)}`, image);
  await pull('other/app', 'x', other);
  const held = () => bytesHeld(larder.storageDir);
  const before = held();
  const first = await purge('team/app:v1');
  const between = held();
  const second = await purge('team/app:v2');
  const left = held();
  expect([before - between, between - left]).toEqual([first.freedBytes, second.freedBytes]);
  const config = other.config.body.size;
  expect(left).toBe(other.bytes.length + config + 1);
});

test('edges that are all lost are no sign that nobody owns it', async () => {
  const { registry, purge, pull, held, larder } = await start();
  const shared = Body.noise(MIB, 'shared');
  const made = (repository: string) =>
    registry.addImage(repository, 'v1', { layers: [shared, Body.noise(MIB, repository)] });
  const [app, other] = [made('team/app'), made('team/other')];
  registry.addManifest('team/app', 'v2', app.bytes, app.mediaType);
  for (const tag of ['v1', 'v2']) await pull('team/app', tag, app);
  await pull('team/other', 'v1', other);
  const references = path.join(larder.storageDir, 'oci/references');
  // three tags, and three blobs of each repository
  await eventually('all are written', () => filesBelow(references).length === 9);
  rmSync(references, { recursive: true });
  expect(await purge('team/app:v1')).toEqual({
    purged: ['oci:main.test/team/app:v1'],
    freedBytes: 0,
  });
  rmSync(references, { recursive: true });
  expect(await purge('team/app')).toMatchObject({
    freedBytes: MIB + app.bytes.length,
  });
  const left = ['team/other/manifests/v1', ...blobsOf('team/other', other)];
  expect(await held(left)).toEqual([true, true, true]);
});

test('an index goes with the images that it alone holds', async () => {
  const { registry, purge, pull, held, get } = await start();
  const [amd, arm] = ['amd', 'arm'].map((one) =>
    registry.addImage('team/app', undefined, { layers: [Body.noise(MIB, one)] }),
  ) as [Image, Image];
  const { bytes, mediaType } = imageIndex({ amd64: amd, arm64: arm });
  registry.addManifest('team/app', 'multi', bytes, mediaType);
  registry.addManifest('team/app', 'arm', arm.bytes, arm.mediaType);
  expect((await get('team/app/manifests/multi')).status).toBe(200);
  await pull('team/app', amd.digest, amd);
  await pull('team/app', 'arm', arm);
  const { freedBytes } = await purge('team/app:multi');
  expect(freedBytes).toBe(bytes.length + amd.bytes.length + MIB);
  expect(await held([...blobsOf('team/app', amd), ...blobsOf('team/app', arm)])).toEqual([
    false,
    true,
  ]);
});

test('a digest takes its tags with it', async () => {
  const { registry, purge, pull, held } = await start();
  const image = registry.addImage('team/app', 'v1', { layers: ['a layer'] });
  registry.addManifest('team/app', 'latest', image.bytes, image.mediaType);
  await pull('team/app', 'v1', image);
  await pull('team/app', 'latest', image);
  const { purged } = await purge(`team/app@${image.digest}`);
  expect(purged).toEqual(
    expect.arrayContaining(
      [':latest', ':v1', `@${image.digest}`].map((one) => `oci:main.test/team/app${one}`),
    ),
  );
  expect(await held(['team/app/manifests/v1', 'team/app/manifests/latest'])).toEqual([
    false,
    false,
  ]);
});

test('a blob whose manifest stays comes back by itself', async () => {
  const { registry, purge, pull, held, get } = await start();
  const layer = Body.noise(MIB);
  const image = registry.addImage('team/app', 'v1', { layers: [layer] });
  await pull('team/app', 'v1', image);
  const [blob = ''] = blobsOf('team/app', image);
  expect(await purge(`team/app@sha256:${layer.sha256}`)).toEqual({
    purged: [`oci:main.test/team/app@sha256:${layer.sha256}`],
    freedBytes: MIB,
  });
  expect(await held(['team/app/manifests/v1', blob])).toEqual([true, false]);
  expect((await get(blob)).sha256).toBe(layer.sha256);
  await pull('team/app', 'v1', image);
});

test('a repository goes as a whole, and leaves what another one holds, and the one below it', async () => {
  const { registry, purge, pull, held } = await start();
  const shared = Body.noise(MIB, 'shared');
  const own = registry.addImage('team/app', 'v1', { layers: [shared, Body.noise(MIB, 'own')] });
  const below = registry.addImage('team/app/sub', 'v1', { layers: [shared] });
  const other = registry.addImage('other/app', 'v1', { layers: [shared] });
  await pull('team/app', 'v1', own);
  await pull('team/app/sub', 'v1', below);
  await pull('other/app', 'v1', other);
  const { freedBytes } = await purge('team/app');
  expect(freedBytes).toBe(own.bytes.length + MIB);
  expect(await held(['team/app/manifests/v1', ...blobsOf('team/app', own)])).toEqual([
    false,
    false,
    false,
  ]);
  for (const [repository, image] of [
    ['team/app/sub', below],
    ['other/app', other],
  ] as const)
    expect(await held([`${repository}/manifests/v1`, ...blobsOf(repository, image)])).toEqual([
      true,
      true,
    ]);
});

test('purged while it is read: the reader finishes', async () => {
  const { registry, purge, pull, held, larder } = await start();
  const layer = Body.noise(16 * MIB);
  const image = registry.addImage('team/app', 'v1', { layers: [layer] });
  await pull('team/app', 'v1', image);
  const [blob = ''] = blobsOf('team/app', image);
  const reader = client(larder.base, `/v2/${blob}`, { bytesPerSecond: 16 * MIB });
  await eventually('it reads', () => reader.received() > 0);
  await purge('team/app');
  expect(reader.received()).toBeLessThan(layer.size);
  expect((await reader.reply).sha256).toBe(layer.sha256);
  expect(await held([blob])).toEqual([false]);
});
