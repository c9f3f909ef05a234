// Images that are unusual, and a store whose files go away behind Larder (issue 4).

import { createHash } from 'node:crypto';
import { rmSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { FaultServer, json } from '../support/fault-server.ts';
import { request } from '../support/http.ts';
import { imageIndex } from '../support/images.ts';
import { startLarderProcess } from '../support/larder.ts';
import { asked, expectBroken, expectEnvelope, startMirror, stored } from '../support/mirror.ts';
import { expectBytes, outcomeOf } from '../support/replies.ts';
import { eventually, filesBelow } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
const sha512 = (bytes: Uint8Array) => `sha512:${createHash('sha512').update(bytes).digest('hex')}`;

describe('what is unusual', async () => {
  const { registry, larder, get } = await startMirror();

  /** Serves a manifest, and says by which path it is asked for. */
  const manifest = (name: string, content: object, mediaType = IMAGE) => {
    const bytes = Buffer.from(JSON.stringify(content));
    return { bytes, digest: registry.addManifest(name, 'x', bytes, mediaType).digest };
  };

  test('a blob of no bytes', async () => {
    const { digest } = registry.addBlob('zero/app', '');
    const blob = `zero/app/blobs/${digest}`;
    for (const method of ['HEAD', 'GET']) {
      const reply = await get(blob, { method });
      expect(reply).toMatchObject({ status: 200, complete: true, length: 0 });
      expect(reply.headers['content-length']).toBe('0');
    }
    await stored(larder.base, blob);
    for (const range of [undefined, 'bytes=0-', 'bytes=0-0', 'bytes=-1']) {
      const { status, complete } = await get(blob, { headers: { ...(range && { range }) } });
      expect([status, complete]).toEqual([range === undefined ? 200 : 416, true]);
    }
    expect(asked(registry)).toEqual([`HEAD /v2/${blob}`, `GET /v2/${blob}`]);
  });

  test('a blob and a manifest by sha512', async () => {
    const layer = Body.noise(300_000, 'sha512');
    const content = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, layers: [] }));
    registry.addImage('long/app', 'x', { layers: [] });
    const blob = `long/app/blobs/${sha512(layer.bytes())}`;
    const byDigest = `long/app/manifests/${sha512(content)}`;
    const noDigest = { 'docker-content-digest': undefined };
    registry.fault(`/v2/${blob}`, { body: layer });
    registry.fault(`/v2/${byDigest}`, {
      body: content,
      headers: { 'content-type': IMAGE, ...noDigest },
    });
    expectBytes(await get(blob), layer);
    const reply = await get(byDigest);
    expect(reply.body.equals(content)).toBe(true);
    expect(reply.headers).toMatchObject({
      'content-type': IMAGE,
      'docker-content-digest': sha512(content),
      etag: `"${sha512(content)}"`,
    });
    for (const one of [blob, byDigest]) await stored(larder.base, one);
    expectBytes(await get(blob), layer);

    const other = Body.noise(300_000, 'other');
    const wrong = `long/app/blobs/${sha512(other.bytes())}`;
    registry.fault(`/v2/${wrong}`, { body: layer });
    expectBroken(await get(wrong), layer);
  });

  test('foreign layers are not followed', async () => {
    const foreign = await new FaultServer(() => json(200, {})).up();
    const digest = `sha256:${Body.of('foreign').sha256}`;
    const { bytes } = manifest('foreign/app', {
      schemaVersion: 2,
      mediaType: IMAGE,
      layers: [
        {
          mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
          digest,
          size: 7,
          urls: [`${foreign.url}/layer`],
        },
      ],
    });
    expect((await get('foreign/app/manifests/x')).body.equals(bytes)).toBe(true);
    expectEnvelope(await get(`foreign/app/blobs/${digest}`), 404, 'BLOB_UNKNOWN');
    expect(foreign.log).toEqual([]);
  });

  test.for([{}, { chunked: true }])(
    'a manifest of more than 4 MiB is refused before it has come: %j',
    async (fault) => {
      const layers = [{ mediaType: 'a/b', digest: `sha256:${'0'.repeat(64)}`, size: 1 }];
      const annotations = { large: 'x'.repeat(20 * MIB) };
      const { bytes, digest } = manifest(`huge${String('chunked' in fault)}/app`, {
        schemaVersion: 2,
        mediaType: IMAGE,
        layers,
        annotations,
      });
      const byDigest = `huge${String('chunked' in fault)}/app/manifests/${digest}`;
      registry.fault(`/v2/${byDigest}`, fault);
      const reply = await get(byDigest);
      expectEnvelope(reply, 502, 'UNKNOWN');
      const [asking, ...more] = registry.requests(`/v2/${byDigest}`);
      await eventually('the registry is told', () => asking?.state === 'broken');
      expect(asking?.sent).toBeLessThan(bytes.length);
      expect(more).toEqual([]);
    },
  );

  test.for([
    ['says more than there is', 'more', 1, {}],
    ['says less, and the length is told', 'less', -1, {}],
    ['says less, and no length is told', 'chunked', -1, { chunked: true }],
  ] as const)(
    'a layer of which the manifest %s is refused, and nobody else loses by it',
    async ([, name, more, fault]) => {
      const layer = Body.noise(20 * MIB, name);
      const { digest } = registry.addBlob(`lie/${name}`, layer);
      registry.addBlob(`true/${name}`, layer);
      const layers = [{ mediaType: 'a/b', digest, size: layer.size + more * 10 * MIB }];
      manifest(`lie/${name}`, { schemaVersion: 2, mediaType: IMAGE, layers });
      const blob = `lie/${name}/blobs/${digest}`;
      registry.fault(`/v2/${blob}`, fault);
      expect(await get(`lie/${name}/manifests/x`)).toMatchObject({ status: 200 });
      const reply = await get(blob);
      if (reply.status === 200) expectBroken(reply, layer);
      else expectEnvelope(reply, 502, 'UNKNOWN');
      const [asking] = registry.requests(`/v2/${blob}`);
      await eventually('the registry is told', () => asking?.state === 'broken');
      expectBytes(await get(`true/${name}/blobs/${digest}`), layer);
    },
  );

  test.for([
    ['application/vnd.docker.distribution.manifest.v1+prettyjws', { schemaVersion: 1 }],
    ['application/json', { schemaVersion: 1, name: 'old/app', fsLayers: [] }],
  ] as const)('schema 1 (%s) is refused with a sentence', async ([mediaType, content]) => {
    const { digest } = manifest('old/app', { ...content }, mediaType);
    for (const reference of ['x', digest]) {
      const reply = await get(`old/app/manifests/${reference}`);
      expectEnvelope(reply, 502, 'UNKNOWN');
      expect(reply.text).toMatch(/schema 1 .*push it again/);
    }
  });

  test.for(['manifests/blobs', 'blobs/manifests/tags', 'tags/list', 'a/tags/list/blobs'])(
    'a repository called %s',
    async (name) => {
      const image = registry.addImage(name, 'list', { layers: [name] });
      const [layer] = image.layers;
      expect((await get(`${name}/manifests/list`)).body.equals(image.bytes)).toBe(true);
      expectBytes(await get(`${name}/blobs/${layer?.digest ?? ''}`), Body.of(name));
      const { text } = await get(`${name}/tags/list`);
      expect(JSON.parse(text)).toEqual({ name, tags: ['list'] });
      const referrers = await get(`${name}/referrers/${image.digest}`);
      expect(JSON.parse(referrers.text)).toMatchObject({ manifests: [] });
    },
  );

  test('an index, a manifest of Docker, an artifact without config: each as it came', async () => {
    const image = registry.addImage('types/app', 'v1', { layers: ['x'] });
    const index = imageIndex({ amd64: image, arm64: image });
    const docker = 'application/vnd.docker.distribution.manifest.v2+json';
    const artifact = 'application/vnd.oci.artifact.manifest.v1+json';
    const others = [
      index,
      { mediaType: docker, bytes: Buffer.from(`{ "schemaVersion":2,\n"mediaType":"${docker}" }`) },
      { mediaType: artifact, bytes: Buffer.from(`{"mediaType":"${artifact}","blobs":[]}\n`) },
    ];
    for (const { mediaType, bytes } of others) {
      const { digest } = registry.addManifest('types/app', 'x', bytes, mediaType);
      for (const headers of [{}, { accept: 'text/html' }]) {
        const reply = await get(`types/app/manifests/${digest}`, { headers });
        expect(reply.body.equals(bytes)).toBe(true);
        expect(reply.headers['content-type']).toBe(mediaType);
      }
    }
  });
});

describe('files that are gone from the store behind a warm memory', async () => {
  const { registry, larder, get } = await startMirror({}, { LARDER_TAG_TTL: '1h' });
  const oci = path.join(larder.storageDir, 'oci');
  const filesOf = (hex: string) => filesBelow(oci).filter((file) => file.includes(hex));

  /** What goes: all files of a digest that match, or the rest of them is cut off. */
  test.for<[what: string, match: RegExp, how: 'removed' | 'emptied']>([
    ['the bytes', /blobs\/.*\/[0-9a-f]+$/, 'removed'],
    ['the record', /\.record$/, 'removed'],
    ['the links', /_links/, 'removed'],
    ['all', /^/, 'removed'],
    ['what is in the bytes', /blobs\/.*\/[0-9a-f]+$/, 'emptied'],
    ['what is in all', /^/, 'emptied'],
  ])('%s: never an empty answer, never a wrong one', async ([what, match, how]) => {
    const name = `gone/${what.replaceAll(' ', '-')}`;
    const layer = Body.noise(300_000, what);
    const image = registry.addImage(name, 'v1', { layers: [layer, `small ${what}`] });
    const things: [thing: string, digest: string, body: Body][] = [
      ['manifests/v1', image.digest, Body.of(image.bytes)],
      [`manifests/${image.digest}`, image.digest, Body.of(image.bytes)],
      ...image.layers.map(({ digest, body }): [string, string, Body] => [
        `blobs/${digest}`,
        digest,
        body,
      ]),
    ];
    for (const [thing, digest, body] of things) {
      const wanted = `${name}/${thing}`;
      for (const first of ['HEAD', 'GET']) {
        expectBytes(await get(wanted), body);
        await stored(larder.base, wanted);
        const files = () =>
          filesOf(digest.slice('sha256:'.length)).filter((file) => match.test(file));
        // what is small stays in memory, and is not written again while it is there; links come shortly after the bytes
        if (first === 'HEAD' && thing !== `manifests/${image.digest}`)
          await eventually('there are files to lose', () => files().length > 0);
        for (const file of files()) {
          if (how === 'removed') rmSync(file);
          else truncateSync(file, 0);
        }
        for (const method of first === 'HEAD' ? ['HEAD', 'GET'] : ['GET']) {
          const reply = await get(wanted, { method });
          expect(reply).toMatchObject({ status: 200, complete: true });
          expect(reply.headers).toMatchObject({
            'content-length': String(body.size),
            'docker-content-digest': digest,
          });
          if (method === 'GET') expectBytes(reply, body);
        }
      }
    }
  });

  test('the whole folder: everything is fetched and stored again', async () => {
    const layer = Body.noise(300_000, 'folder');
    const image = registry.addImage('folder/app', 'v1', { layers: [layer] });
    const pull = async () => {
      expect((await get('folder/app/manifests/v1')).body.equals(image.bytes)).toBe(true);
      expectBytes(await get(`folder/app/blobs/sha256:${layer.sha256}`), layer);
      await stored(larder.base, `folder/app/blobs/sha256:${layer.sha256}`);
    };
    await pull();
    rmSync(oci, { recursive: true });
    await pull();
    expect(filesOf(`${layer.sha256}.record`)).not.toEqual([]);
  });

  test('a large blob of which nothing is left is fetched again, and stored again', async () => {
    const layer = Body.noise(300_000, 'again');
    const { digest } = registry.addBlob('again/app', layer);
    const blob = `again/app/blobs/${digest}`;
    expectBytes(await get(blob), layer);
    await stored(larder.base, blob);
    registry.clearLog();
    for (const file of filesOf(layer.sha256)) rmSync(file);
    const again = await get(blob);
    expectBytes(again, layer);
    expect(outcomeOf(again)).toBe('miss');
    await stored(larder.base, blob);
    expect(asked(registry)).toEqual([`GET /v2/${blob}`]);
    expect(filesOf(`${layer.sha256}.record`)).not.toEqual([]);
  });
});

test.for(['hang', 'down'] as const)(
  'Larder starts with every registry %s, and serves what it has',
  async (how) => {
    const { registry, other, larder, settings } = await startMirror();
    const layer = Body.noise(300_000);
    const image = registry.addImage('team/app', 'v1', { layers: [layer] });
    const things = ['manifests/v1', `manifests/${image.digest}`, `blobs/sha256:${layer.sha256}`];
    for (const thing of things) {
      await request(larder.base, `/v2/team/app/${thing}`);
      await stored(larder.base, `team/app/${thing}`);
    }
    await larder.stop();
    for (const server of [registry, other]) {
      if (how === 'hang') server.fault(/^/, { hang: true });
      else await server.down();
    }
    const env = {
      ...settings.env,
      LARDER_TAG_TTL: '0s',
      LARDER_OCI_FIRST_BYTE_TIMEOUT: '2s',
    };
    const again = await startLarderProcess({ ...settings, env });
    const get = (rest: string) => request(again.base, `/v2/${rest}`);
    expect((await request(again.base, '/readyz')).status).toBe(200);
    const [tag = '', byDigest = '', blob = ''] = things.map((thing) => `team/app/${thing}`);
    const hit = await get(byDigest);
    expect([hit.body.equals(image.bytes), outcomeOf(hit)]).toEqual([true, 'hit']);
    expectBytes(await get(blob), layer);
    const tagged = await get(tag);
    expect([tagged.body.equals(image.bytes), outcomeOf(tagged)]).toEqual([true, 'stale']);
    expect(tagged.headers.warning).toMatch(/^299 - "/);
    expectEnvelope(await get('other.test/a/manifests/v1'), how === 'hang' ? 504 : 502, 'UNKNOWN');
  },
);
