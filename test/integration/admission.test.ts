// An admission service: asked once for each version or manifest before anything of it is kept.

import { expect, test } from 'vitest';
import { startApp } from '../support/app.ts';
import { json, FaultServer } from '../support/fault-server.ts';
import { text, type Answer } from '../support/answers.ts';
import { request } from '../support/http.ts';
import { expectEnvelope } from '../support/mirror.ts';
import { startRegistry } from '../support/registry.ts';
import { expectGoError, outcomeOf, whenStored } from '../support/replies.ts';
import { eventually } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

async function start(answer: (body: string) => Answer, env: Readonly<Record<string, string>> = {}) {
  const upstream = await startUpstream();
  const registry = await startRegistry();
  const service = await new FaultServer(({ body }) => answer(body)).up();
  const app = await startApp({
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_READ_AHEAD: 'none',
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
    LARDER_ADMISSION_URL: `${service.url}/ask?key=secret`,
    ...env,
  });
  const asked = () => service.log.map(({ body }) => JSON.parse(body) as unknown);
  return { upstream, registry, service, app, asked };
}

test('is asked once a version and once a manifest, and what it lets in is kept', async () => {
  const { upstream, registry, service, app, asked } = await start(() => text(204, ''));
  upstream.add('example.com/M', 'v1.0.0');
  const image = registry.addImage('team/app', 'v1', { layers: ['layer'] });
  const files = ['info', 'mod', 'zip'].map((ext) => `/example.com/!m/@v/v1.0.0.${ext}`);
  await Promise.all(files.map((path) => request(app.base, path)));
  const pulls = [
    'manifests/v1',
    `manifests/${image.digest}`,
    `blobs/${image.layers[0]?.digest ?? ''}`,
  ];
  for (const path of pulls)
    expect((await request(app.base, `/v2/team/app/${path}`)).status).toBe(200);
  for (const path of files) await whenStored(app.base, path);
  expect((await request(app.base, '/example.com/!m/@v/list')).status).toBe(200);
  expect(asked()).toEqual([
    { protocol: 'go', name: 'example.com/M', version: 'v1.0.0', upstream: upstream.url },
    { protocol: 'oci', name: 'main.test/team/app', digest: image.digest, upstream: registry.url },
  ]);
  expect(service.log[0]).toMatchObject({ method: 'POST', path: '/ask' });
  expect(service.log[0]?.headers).toMatchObject({ 'content-type': 'application/json' });
});

test('what it refuses is not kept, not completed, and told with its reason', async () => {
  const { upstream, registry, app, asked } = await start(() => text(403, 'CVE-1 is open\nmore\n'));
  upstream.add('example.com/m', 'v1.0.0', { noise: 300_000 });
  registry.addImage('team/app', 'v1', { layers: ['layer'] });
  expectGoError(await request(app.base, '/example.com/m/@v/v1.0.0.info'), 403, /^CVE-1 is open$/);
  const zip = await request(app.base, '/example.com/m/@v/v1.0.0.zip');
  expect(zip.status === 403 || !zip.complete).toBe(true);
  const manifest = await request(app.base, '/v2/team/app/manifests/v1');
  expectEnvelope(manifest, 403, 'DENIED');
  expect(manifest.text).toContain('CVE-1 is open');
  expect(asked()).toHaveLength(2);
  for (const ext of ['info', 'zip'])
    expect((await request(app.base, `/cached-only/example.com/m/@v/v1.0.0.${ext}`)).status).toBe(
      404,
    );
});

test('clients are not redirected past it', async () => {
  const refuse = (body: string) => text(body.includes('v1.0.0') ? 403 : 200, 'no');
  const { upstream, app } = await start(refuse, { LARDER_MODE: 'redirect' });
  expectGoError(await request(app.base, '/example.com/m/@v/v1.0.0.zip'), 403, /^no$/);
  const other = await request(app.base, '/example.com/m/@v/v1.1.0.zip');
  expect([other.status, outcomeOf(other)]).toEqual([302, 'redirect']);
  expect(upstream.log).toEqual([]);
});

test.each([
  ['deny', 500, 403],
  ['deny', 302, 403],
  ['deny', 404, 403],
  ['allow', 500, 200],
  ['allow', 401, 200],
])('where it cannot be asked: %s after %i', async (onFailure, status, expected) => {
  let answer: Answer = json(status, {});
  const { upstream, service, app } = await start(() => answer, {
    LARDER_ADMISSION_FAIL: onFailure,
  });
  upstream.add('example.com/m', 'v1.0.0');
  const path = '/example.com/m/@v/v1.0.0.mod';
  const reply = await request(app.base, path);
  expect(reply.status).toBe(expected);
  expect(app.lines).toContainEqual(
    expect.objectContaining({
      msg: 'the admission service cannot be asked',
      version: 'v1.0.0',
      onFailure,
    }),
  );
  expect(JSON.stringify(app.lines)).not.toContain('secret');
  // not remembered
  answer = json(200, {});
  service.clearLog();
  await eventually('it is let in', async () => (await request(app.base, path)).status === 200);
});

test('one that is down denies', async () => {
  const { upstream, service, app } = await start(() => json(200, {}));
  upstream.add('example.com/m', 'v1.0.0');
  await service.down();
  expectGoError(await request(app.base, '/example.com/m/@v/v1.0.0.mod'), 403, /cannot be asked/);
});
