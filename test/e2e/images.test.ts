// Images through the real program, from a registry with faults (issue 4).

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { Gate } from '../support/faults.ts';
import { request, type Reply } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { asked, expectEnvelope, startMirror, stored } from '../support/mirror.ts';
import { startRegistry } from '../support/registry.ts';
import { outcomeOf } from '../support/replies.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('an image', async () => {
  const { registry, larder, settings, get } = await startMirror();
  const layer = Body.noise(3 * MIB);
  const image = registry.addImage('team/app', 'v1', { layers: [layer, 'small'] });
  const manifest = 'team/app/manifests/v1';
  const blob = `team/app/blobs/sha256:${layer.sha256}`;

  test('comes as it is, with its digest, by tag and by digest', async () => {
    for (const reference of ['v1', image.digest]) {
      const reply = await get(`team/app/manifests/${reference}`);
      expect(reply.status).toBe(200);
      expect(reply.body.equals(image.bytes)).toBe(true);
      expect(reply.headers).toMatchObject({
        'content-type': image.mediaType,
        'content-length': String(image.bytes.length),
        'docker-content-digest': image.digest,
        etag: `"${image.digest}"`,
        'docker-distribution-api-version': 'registry/2.0',
        'oci-namespace': 'main.test',
      });
    }
    const reply = await get(blob);
    expect([reply.status, reply.sha256, reply.headers['accept-ranges']]).toEqual([
      200,
      layer.sha256,
      'bytes',
    ]);
    expect(asked(registry)).toEqual([
      'HEAD /v2/team/app/manifests/v1',
      `GET /v2/team/app/manifests/${image.digest}`,
      `GET /v2/team/app/blobs/sha256:${layer.sha256}`,
    ]);
  });

  test('again: nobody is asked', async () => {
    await stored(larder.base, blob);
    registry.clearLog();
    for (const path of [manifest, `team/app/manifests/${image.digest}`, blob]) {
      const reply = await get(path);
      expect([reply.status, reply.headers['x-larder-cache']]).toEqual([200, 'hit']);
    }
    expect((await get(blob, { headers: { range: 'bytes=5-9' } })).body).toHaveLength(5);
    expect(
      (await get(manifest, { headers: { 'if-none-match': `"${image.digest}"` } })).status,
    ).toBe(304);
    expect(asked(registry)).toEqual([]);
  });

  test('with the registry gone, also after a restart', async () => {
    await larder.stop();
    await registry.down();
    const again = await startLarderProcess({
      ...settings,
      env: { ...settings.env, LARDER_TAG_TTL: '0s' },
    });
    const tagged = await request(again.base, `/v2/${manifest}`);
    expect([tagged.status, tagged.headers['x-larder-cache']]).toEqual([200, 'stale']);
    expect(tagged.headers.warning).toMatch(/^299 /);
    expect(tagged.body.equals(image.bytes)).toBe(true);
    expect((await request(again.base, `/v2/${blob}`)).sha256).toBe(layer.sha256);
    expectEnvelope(await request(again.base, '/v2/team/app/manifests/v2'), 502, 'UNKNOWN');
  });
});

describe('a tag', async () => {
  const { registry, get } = await startMirror({}, { LARDER_TAG_TTL: '0s' });

  test('that has not moved costs a HEAD, one that has a GET by digest', async () => {
    const first = registry.addImage('a/b', 'latest', { layers: ['one'] });
    expect((await get('a/b/manifests/latest')).body.equals(first.bytes)).toBe(true);
    await eventually(
      'the tag is kept',
      async () => outcomeOf(await get('a/b/manifests/latest')) === 'revalidated',
    );
    registry.clearLog();
    const same = await get('a/b/manifests/latest');
    expect(same.headers['x-larder-cache']).toBe('revalidated');
    expect(asked(registry)).toEqual(['HEAD /v2/a/b/manifests/latest']);
    const second = registry.addImage('a/b', 'latest', { layers: ['two'] });
    registry.clearLog();
    const moved = await get('a/b/manifests/latest');
    expect(moved.headers['docker-content-digest']).toBe(`sha256:${sha256(moved.body)}`);
    expect(moved.body.equals(second.bytes)).toBe(true);
    expect(asked(registry)).toEqual([
      'HEAD /v2/a/b/manifests/latest',
      `GET /v2/a/b/manifests/${second.digest}`,
    ]);
  });

  test.each([401, 403, 404])(
    'that the registry answers with %i is not there, stale or not',
    async (status) => {
      const name = `gone/s${String(status)}`;
      registry.addImage(name, 'latest', { layers: ['x'] });
      expect((await get(`${name}/manifests/latest`)).status).toBe(200);
      const mended = registry.fault(/^\/v2\/gone\//, { status });
      expectEnvelope(await get(`${name}/manifests/latest`), 404, 'MANIFEST_UNKNOWN');
      mended();
    },
  );

  test('is asked by HEAD alone where only its head is wanted', async () => {
    const image = registry.addImage('head/only', 'x', { layers: ['x'] });
    registry.clearLog();
    const reply = await get('head/only/manifests/x', { method: 'HEAD' });
    expect(reply.headers).toMatchObject({
      'content-type': image.mediaType,
      'content-length': String(image.bytes.length),
      'docker-content-digest': image.digest,
    });
    expect(asked(registry)).toEqual(['HEAD /v2/head/only/manifests/x']);
  });
});

describe('a blob', async () => {
  const { registry, larder, get } = await startMirror();

  test('of two repositories is fetched once, and read only where the registry grants it', async () => {
    const layer = Body.noise(2 * MIB);
    registry.addImage('owner/a', 'x', { layers: [layer] });
    registry.addImage('owner/b', 'x', { layers: [layer] });
    registry.addImage('stranger/c', 'x', { layers: ['other'] });
    const blob = `blobs/sha256:${layer.sha256}`;
    expect((await get(`owner/a/${blob}`)).sha256).toBe(layer.sha256);
    await stored(larder.base, `owner/a/${blob}`);
    registry.clearLog();
    expect((await get(`owner/b/${blob}`)).sha256).toBe(layer.sha256);
    expectEnvelope(await get(`stranger/c/${blob}`), 404, 'BLOB_UNKNOWN');
    expect(asked(registry)).toEqual([`HEAD /v2/owner/b/${blob}`, `HEAD /v2/stranger/c/${blob}`]);
  });

  test('that one repository lacks is had by another that has it, at once', async () => {
    const layer = Body.noise(MIB, 'had by one');
    registry.addImage('has/it', 'x', { layers: [layer] });
    registry.addImage('lacks/it', 'x', { layers: ['other'] });
    const blob = `blobs/sha256:${layer.sha256}`;
    const gate = new Gate();
    registry.fault(/\/lacks\/it\/blobs\//, { gate, times: 1 });
    const lacking = get(`lacks/it/${blob}`);
    await gate.reached;
    const having = get(`has/it/${blob}`);
    const head = get(`has/it/${blob}`, { method: 'HEAD' });
    gate.open();
    expectEnvelope(await lacking, 404, 'BLOB_UNKNOWN');
    expect((await having).sha256).toBe(layer.sha256);
    expect((await head).status).toBe(200);
    expectEnvelope(await get(`lacks/it/${blob}`), 404, 'BLOB_UNKNOWN');
  });

  test('with other bytes than its digest is completed by nobody, and fetched anew', async () => {
    const layer = Body.noise(MIB);
    registry.addImage('wrong/app', 'x', { layers: [layer] });
    const path = `wrong/app/blobs/sha256:${layer.sha256}`;
    registry.fault(/\/wrong\/app\/blobs\//, { body: Body.noise(MIB, 'other'), times: 1 });
    expect((await get(path)).complete).toBe(false);
    await eventually('the failure is forgotten', async () => {
      expect((await get(path)).sha256).toBe(layer.sha256);
      return true;
    });
  });
});

describe('lists', async () => {
  const { registry, get } = await startMirror({ pageSize: 2 });
  const subject = registry.addImage('list/app', 'v1', { layers: ['x'] });
  for (const tag of ['v2', 'v3']) registry.addImage('list/app', tag, { layers: [tag] });
  registry.addImage('list/app', undefined, { layers: ['sig'], subject, artifactType: 'a/sig' });
  registry.addImage('list/app', undefined, { layers: ['bom'], subject, artifactType: 'a/bom' });

  test('of tags, page by page, with links that lead here', async () => {
    const first = await get('list/app/tags/list?ns=main.test');
    expect(JSON.parse(first.text)).toEqual({ name: 'list/app', tags: ['v1', 'v2'] });
    const [, next = ''] = /^<\/v2\/([^>]*)>; rel="next"$/.exec(String(first.headers['link'])) ?? [];
    expect(next).toContain('ns=main.test');
    const second = await get(next);
    expect(JSON.parse(second.text)).toEqual({ name: 'list/app', tags: ['v3'] });
    expect(second.headers['link']).toBeUndefined();
  });

  test('of referrers, all and of one type', async () => {
    const types = (reply: Reply) =>
      (JSON.parse(reply.text) as { manifests: { artifactType: string }[] }).manifests
        .map((one) => one.artifactType)
        .sort();
    const path = `list/app/referrers/${subject.digest}`;
    expect(types(await get(path))).toEqual(['a/bom', 'a/sig']);
    const some = await get(`${path}?artifactType=${encodeURIComponent('a/sig')}`);
    expect(types(some)).toEqual(['a/sig']);
    expect(some.headers['oci-filters-applied']).toBe('artifactType');
    const none = await get(`list/app/referrers/sha256:${'0'.repeat(64)}`);
    expect([none.status, types(none)]).toEqual([200, []]);
    expect(none.headers['content-type']).toBe('application/vnd.oci.image.index.v1+json');
  });
});

describe('what nobody is asked', async () => {
  const { registry, other, larder, get } = await startMirror();

  test.each([
    ['quay.test/a/manifests/x', 404, 'MANIFEST_UNKNOWN'],
    ['a/manifests/x?ns=quay.test', 404, 'MANIFEST_UNKNOWN'],
    ['a/manifests/x?ns=main.test&ns=other.test', 400, 'NAME_INVALID'],
    ['A/manifests/x', 400, 'NAME_INVALID'],
    ['a/manifests/-x', 400, 'TAG_INVALID'],
    ['a/blobs/sha256:abc', 400, 'DIGEST_INVALID'],
    ['a/tags/list?n=x', 400, 'NAME_INVALID'],
    ['_catalog', 404, 'NAME_UNKNOWN'],
  ])('%s', async (path, status, code) => {
    const reply = await get(path);
    expectEnvelope(reply, status, code);
    expect(reply.headers['docker-distribution-api-version']).toBe('registry/2.0');
    expect([...registry.log, ...other.log]).toEqual([]);
  });

  test('the version, and that nothing can be written', async () => {
    for (const path of ['/v2', '/v2/']) {
      const reply = await request(larder.base, path);
      expect([reply.status, reply.text]).toEqual([200, '{}']);
    }
    const push = await get('a/blobs/uploads/', { method: 'POST' });
    expectEnvelope(push, 405, 'UNSUPPORTED');
    expect(push.headers.allow).toBe('GET, HEAD');
    expect([...registry.log, ...other.log]).toEqual([]);
  });
});

test('another registry by name and by ns', async () => {
  const { registry, other, get } = await startMirror();
  const image = other.addImage('x/y', 'v1', { layers: ['other'] });
  for (const path of [
    'other.test/x/y/manifests/v1',
    'x/y/manifests/v1?ns=other.test',
    'other.test/x/y/manifests/v1?ns=other.test',
  ]) {
    const reply = await get(path);
    expect(reply.body.equals(image.bytes)).toBe(true);
    expect(reply.headers['oci-namespace']).toBe('other.test');
  }
  expect(registry.log).toEqual([]);
});

test('on Docker Hub a name of one element is an official image', async () => {
  const hub = await startRegistry();
  const larder = await startLarderProcess({
    env: { LARDER_OCI_UPSTREAMS: `docker.io=${hub.url}` },
  });
  const official = hub.addImage('library/alpine', '3', { layers: ['official'] });
  for (const path of ['alpine', 'docker.io/alpine', 'library/alpine', 'index.docker.io/alpine']) {
    const reply = await request(larder.base, `/v2/${path}/manifests/3`);
    expect(reply.body.equals(official.bytes)).toBe(true);
  }
  expect(hub.requests(/^\/v2\/alpine\//)).toEqual([]);
  const own = hub.addImage('solo', '1', { layers: ['of a stand-in'] });
  const reply = await request(larder.base, '/v2/solo/manifests/1');
  expect(reply.body.equals(own.bytes)).toBe(true);
  expectEnvelope(await request(larder.base, '/v2/none/manifests/1'), 404, 'MANIFEST_UNKNOWN');
});

test('two in a chain: heads, ranges, tags and referrers pass through', async () => {
  const registry = await startRegistry();
  const layer = Body.noise(2 * MIB);
  const image = registry.addImage('team/app', 'v1', { layers: [layer] });
  registry.addImage('team/app', undefined, {
    layers: ['sig'],
    subject: image,
    artifactType: 'a/sig',
  });
  const inner = await startLarderProcess({
    env: { LARDER_OCI_UPSTREAMS: `main.test=${registry.url}` },
  });
  const outer = await startLarderProcess({
    env: { LARDER_OCI_UPSTREAMS: `main.test=${inner.base}` },
  });
  const get = (path: string, options?: Parameters<typeof request>[2]) =>
    request(outer.base, `/v2/team/app/${path}`, options);
  const head = await get('manifests/v1', { method: 'HEAD' });
  expect(head.headers['docker-content-digest']).toBe(image.digest);
  expect((await get('manifests/v1')).body.equals(image.bytes)).toBe(true);
  const blob = `blobs/sha256:${layer.sha256}`;
  expect((await get(blob, { method: 'HEAD' })).headers['content-length']).toBe(String(layer.size));
  const part = await get(blob, { headers: { range: 'bytes=100-299' } });
  expect([part.status, part.body.length]).toEqual([206, 200]);
  expect(part.body.equals(layer.bytes().subarray(100, 300))).toBe(true);
  expect((await get(blob)).sha256).toBe(layer.sha256);
  expect(registry.requests(/\/blobs\/.*/).filter(({ method }) => method === 'GET')).toHaveLength(1);
  expect(JSON.parse((await get('tags/list')).text)).toEqual({ name: 'team/app', tags: ['v1'] });
  const referrers = await get(
    `referrers/${image.digest}?artifactType=${encodeURIComponent('a/sig')}`,
  );
  expect((JSON.parse(referrers.text) as { manifests: unknown[] }).manifests).toHaveLength(1);
});
