// LARDER_OFFLINE: what is stored is served, and nobody is asked for anything.

import { expect, test } from 'vitest';
import { startApp } from '../support/app.ts';
import { request } from '../support/http.ts';
import { expectEnvelope } from '../support/mirror.ts';
import { startRegistry } from '../support/registry.ts';
import { expectGoError, outcomeOf, whenStored } from '../support/replies.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

test('offline, only what is stored is served', async () => {
  const upstream = await startUpstream();
  const registry = await startRegistry();
  const database = await startSumdb({ sums: upstream.sumsTemplate });
  atEnd(() => database.close());
  const env = {
    LARDER_STORAGE_DIR: tempDir(),
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_SUMDB: database.setting,
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url},docker.io=${registry.url}`,
    LARDER_LIST_TTL: '0s',
    LARDER_TAG_TTL: '0s',
  };
  const m = '/example.com/m';
  upstream.add('example.com/m', 'v1.0.0');
  upstream.add('example.com/m', 'v1.1.0');
  upstream.name('example.com/m', 'main', 'v1.0.0');
  const image = registry.addImage('team/app', 'v1', { layers: ['layer'] });
  for (const tag of ['v2', 'v3'])
    registry.addManifest('team/app', tag, image.bytes, image.mediaType);
  const other = registry.addImage('team/other', 'v1', { layers: ['other'] });
  registry.addImage('plain', 'v1', { layers: ['plain'] });
  const layer = `blobs/${image.layers[0]?.digest ?? ''}`;
  const lookup = (version: string) => `/sumdb/${database.name}/lookup/example.com/m@${version}`;

  const before = await startApp(env);
  for (const ext of ['info', 'mod', 'zip']) await whenStored(before.base, `${m}/@v/v1.0.0.${ext}`);
  for (const path of [`${m}/@v/main.info`, `${m}/@v/list`, `${m}/@latest`, lookup('v1.0.0')])
    expect((await request(before.base, path)).status).toBe(200);
  for (const tag of ['v1', 'v2'])
    expect((await request(before.base, `/v2/team/app/manifests/${tag}`)).status).toBe(200);
  await whenStored(before.base, `/v2/team/app/${layer}`);
  await whenStored(before.base, `/v2/team/app/manifests/${image.digest}`);
  expect((await request(before.base, '/v2/docker.io/plain/manifests/v1')).status).toBe(200);
  // known, and never fetched
  await request(before.base, '/v2/team/other/manifests/v1', { method: 'HEAD' });
  await eventually('the version is complete', async () => {
    const list = await request(before.base, `/cached-only${m}/@v/list`);
    return list.text === 'v1.0.0\n';
  });
  await before.stop();

  const { base } = await startApp({
    ...env,
    LARDER_OFFLINE: 'true',
    LARDER_MODE: 'async_redirect',
  });
  for (const server of [upstream, registry]) server.clearLog();
  await database.clearLog();
  const get = (path: string) => request(base, path);

  for (const ext of ['info', 'mod', 'zip'])
    expect(outcomeOf(await get(`${m}/@v/v1.0.0.${ext}`))).toBe('hit');
  expect((await get(`${m}/@v/list`)).text).toBe('v1.0.0\n');
  expect((await get(`${m}/@latest`)).text).toContain('v1.0.0');
  expect((await get(`${m}/@v/main.info`)).text).toContain('v1.0.0');
  expect((await get(lookup('v1.0.0'))).status).toBe(200);
  for (const path of [
    `${m}/@v/v1.1.0.info`,
    `${m}/@v/v1.1.0.zip`,
    `${m}/@v/other.info`,
    '/example.com/n/@v/list',
    '/example.com/n/@latest',
    lookup('v1.1.0'),
  ]) {
    expectGoError(await get(path), 404, /^not in the store, and Larder is offline/);
    expect((await request(base, path, { method: 'HEAD' })).status).toBe(404);
  }

  for (const tag of ['v1', 'v2']) {
    const reply = await get(`/v2/team/app/manifests/${tag}`);
    expect([reply.status, reply.headers['docker-content-digest']]).toEqual([200, image.digest]);
  }
  expect((await get('/v2/docker.io/plain/manifests/v1')).status).toBe(200);
  expect((await get(`/v2/team/app/${layer}`)).status).toBe(200);
  const tags = await get('/v2/team/app/tags/list');
  expect(JSON.parse(tags.text)).toEqual({ name: 'team/app', tags: ['v1', 'v2'] });
  const page = await get('/v2/team/app/tags/list?n=1');
  expect(JSON.parse(page.text)).toEqual({ name: 'team/app', tags: ['v1'] });
  const [, next = ''] = /^<(.*)>; rel="next"$/.exec(String(page.headers['link'])) ?? [];
  const rest = await get(next);
  expect([JSON.parse(rest.text), rest.headers['link']]).toEqual([
    { name: 'team/app', tags: ['v2'] },
    undefined,
  ]);
  for (const path of [
    'team/app/manifests/v3',
    'team/other/manifests/v1',
    `team/other/manifests/${other.digest}`,
    'team/other/tags/list',
    // stored, and nobody has said that this repository holds it
    `team/other/${layer}`,
    `team/app/referrers/${image.digest}`,
  ]) {
    const kind = path.includes('/manifests/')
      ? 'MANIFEST'
      : path.includes('/blobs/')
        ? 'BLOB'
        : 'NAME';
    const reply = await get(`/v2/${path}`);
    expectEnvelope(reply, 404, `${kind}_UNKNOWN`);
    expect(reply.text).toContain('offline');
    expect((await request(base, `/v2/${path}`, { method: 'HEAD' })).status).toBe(404);
  }

  expect([...upstream.log, ...registry.log, ...(await database.log())]).toEqual([]);
  expect((await get('/metrics')).text).not.toMatch(/^larder_upstream_requests_total\{/m);
});
