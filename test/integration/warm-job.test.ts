// POST /admin/warm through the whole program: what is fetched, what is kept, and what it tells.

import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { WarmResult } from '../../src/references/warm.ts';
import { startApp } from '../support/app.ts';
import { Body } from '../support/body.ts';
import { runJob } from '../support/collections.ts';
import { request } from '../support/http.ts';
import { imageIndex, imageManifest } from '../support/images.ts';
import { ADMIN } from '../support/purges.ts';
import { startRegistry } from '../support/registry.ts';
import { outcomeOf } from '../support/replies.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const MIB = 1024 * 1024;

async function start(env: Readonly<Record<string, string>> = {}) {
  const upstream = await startUpstream();
  const registry = await startRegistry();
  const app = await startApp({
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
    ...ADMIN,
    ...env,
  });
  const warm = (body: object) => runJob<WarmResult>(app.base, 'warm', body);
  const post = (body: string) =>
    request(app.base, '/admin/warm', {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` },
      body,
    });
  /** What is answered out of the store. */
  const held = async (paths: readonly string[]) => {
    const outcomes = await Promise.all(
      paths.map((path) => request(app.base, path, { method: 'HEAD' })),
    );
    return paths.filter((_, at) => outcomes[at] && outcomeOf(outcomes[at]) === 'hit');
  };
  return { ...app, upstream, registry, warm, post, held };
}

/** An index of two platforms, one attested, the other signed. */
function addImage(registry: Awaited<ReturnType<typeof startRegistry>>) {
  const shared = Body.noise(100_000, 'shared');
  const [amd, arm] = ['amd', 'arm'].map((one) =>
    registry.addImage('team/app', undefined, { layers: [shared, Body.noise(MIB, one)] }),
  );
  if (!amd || !arm) throw new Error('there are two');
  const index = imageIndex({ amd64: amd, arm64: arm });
  const { digest } = registry.addManifest('team/app', 'v1', index.bytes, index.mediaType);
  const signature = imageManifest({ layers: ['signature'], artifactType: 'x/sig', subject: arm });
  registry.addImage('team/app', undefined, {
    layers: ['signature'],
    artifactType: 'x/sig',
    subject: arm,
  });
  const path = (kind: string, of: string) => `/v2/main.test/team/app/${kind}/${of}`;
  const pathsOf = (image: typeof amd) => [
    path('manifests', image.digest),
    ...[image.config, ...image.layers].map((one) => path('blobs', one.digest)),
  ];
  return {
    root: [path('manifests', 'v1'), path('manifests', digest)],
    amd: pathsOf(amd),
    arm: pathsOf(arm),
    signature: [...pathsOf(signature), path('referrers', arm.digest)],
  };
}

const files = (module: string, version: string) =>
  ['info', 'mod', 'zip'].map((ext) => `/${module}/@v/${version}.${ext}`);

describe('a job', async () => {
  const { upstream, registry, warm, held } = await start();
  upstream.add('example.com/a', 'v1.0.0', { noise: MIB });
  upstream.add('example.com/b', 'v1.1.0');
  const { root, amd, arm, signature } = addImage(registry);
  const modules = [...files('example.com/a', 'v1.0.0'), ...files('example.com/b', 'v1.1.0')];
  const all = [...root, ...amd, ...arm, ...signature];

  test('of one platform fetches that alone', async () => {
    const body = { oci: 'main.test/team/app:v1', platforms: 'linux/amd64' };
    expect(await warm(body)).toEqual({ stored: 1, present: 0, failed: [] });
    expect(await held([...root, ...amd])).toEqual([...root, ...amd]);
    const kept = registry.log.map(({ path }) => path);
    const [manifest = ''] = arm.map((path) => path.replace('main.test/', ''));
    expect(kept).not.toContain(manifest);
  });

  test('fetches everything, and knows the second time that it is there', async () => {
    const body = {
      go: ['example.com/a@v1.0.0', 'example.com/b@v1.1.0', 'example.com/b@v1.1.0'],
      oci: ['main.test/team/app:v1'],
    };
    expect(await warm(body)).toEqual({ stored: 3, present: 0, failed: [] });
    expect(await held([...modules, ...all])).toEqual([...modules, ...all]);
    upstream.clearLog();
    registry.clearLog();
    expect(await warm(body)).toEqual({ stored: 0, present: 3, failed: [] });
    expect([...upstream.log, ...registry.log]).toEqual([]);
  });

  test('goes on past what fails, and tells of it', async () => {
    upstream.add('example.com/c', 'v1.0.0');
    const takeAway = upstream.fault('/example.com/c/@v/v1.0.0.zip', { body: 'no zip' });
    const broken = registry.addImage('team/broken', 'v1', { layers: ['one', 'two'] });
    registry.remove('team/broken', broken.layers[0]?.digest ?? '');
    const body = {
      go: ['example.com/none@v1.0.0', 'example.com/c@v1.0.0'],
      oci: ['main.test/team/none:v1', 'main.test/team/broken', 'other.test/x:v1'],
    };
    registry.addManifest('team/broken', 'latest', broken.bytes, broken.mediaType);
    const result = await warm(body);
    expect(result).toMatchObject({ stored: 0, present: 0 });
    expect(result.failed.map(({ name }) => name)).toEqual([
      'go:example.com/none@v1.0.0',
      'go:example.com/c@v1.0.0',
      'oci:main.test/team/none:v1',
      'oci:main.test/team/broken:latest',
      'oci:other.test/x:v1',
    ]);
    const [, zip, none, blob, other] = result.failed.map(({ error }) => error);
    expect(zip).toMatch(/^\.zip: .*zip/);
    expect(none).not.toBe('');
    expect(blob).toContain(`blob ${broken.layers[0]?.digest ?? 'none'}: `);
    expect(other).toMatch(/not mirrored/);
    expect(await held(files('example.com/c', 'v1.0.0'))).toHaveLength(2);
    takeAway();
  });

  test.each([
    ['nothing', '{}', /names nothing/],
    ['a module alone', '{"go":"example.com/a"}', /has no version/],
    ['a branch', '{"go":["example.com/a@main"]}', /not a semantic version/],
    ['an image without a host', '{"oci":["nginx"]}', /registry's host/],
    ['no platform', '{"oci":["main.test/a"],"platforms":["linux"]}', /no platform/],
    ['a number', '{"go":[1]}', /neither a string nor a list/],
    ['another member', '{"goSum":"x"}', /no member/],
    ['no JSON', 'x', /not JSON/],
  ])('for %s is refused', async (_what, body, sentence) => {
    const { post } = await start();
    const { status, text } = await post(body);
    expect([status, text]).toEqual([400, expect.stringMatching(sentence)]);
  });
});

test('a job is in the audit log with its names', async () => {
  const { upstream, warm, lines } = await start();
  upstream.add('example.com/a', 'v1.0.0');
  await warm({ go: 'example.com/a@v1.0.0' });
  expect(lines.filter(({ action }) => action === 'warm')).toMatchObject([
    {
      state: 'done',
      go: ['example.com/a@v1.0.0'],
      result: { stored: 1, present: 0, failed: 0 },
    },
  ]);
});

test.each(['async', 'redirect', 'async_redirect', 'none'])('with the mode %s', async (mode) => {
  const { upstream, registry, warm, held } = await start({ LARDER_MODE: mode });
  upstream.add('example.com/a', 'v1.0.0');
  registry.addImage('team/app', 'v1', { layers: ['a layer'] });
  const { stored, failed } = await warm({
    go: 'example.com/a@v1.0.0',
    oci: 'main.test/team/app:v1',
  });
  expect([stored, failed.length]).toEqual(mode === 'none' ? [0, 2] : [2, 0]);
  const kept = await held(files('example.com/a', 'v1.0.0'));
  expect(kept).toHaveLength(mode === 'none' ? 0 : 3);
});

test('offline nothing is asked of anybody', async () => {
  const { upstream, registry, warm } = await start({ LARDER_OFFLINE: 'true' });
  const { failed } = await warm({ go: 'example.com/a@v1.0.0', oci: 'main.test/team/app:v1' });
  expect(failed.map(({ error }) => error)).toEqual([
    expect.stringMatching(/offline/),
    expect.stringMatching(/offline/),
  ]);
  expect([...upstream.log, ...registry.log]).toEqual([]);
});

test('what rules deny is not asked for', async () => {
  const rules = `${tempDir()}/rules.yaml`;
  writeFileSync(
    rules,
    'go:\n  - { match: example.com/a, deny: not this }\noci:\n  - { match: main.test/team/*, deny: nor that }\n',
  );
  const { upstream, registry, warm } = await start({ LARDER_RULES_FILE: rules });
  const { failed } = await warm({ go: 'example.com/a@v1.0.0', oci: 'main.test/team/app:v1' });
  expect(failed.map(({ error }) => error)).toEqual(['.info: not this', 'nor that']);
  expect([...upstream.log, ...registry.log]).toEqual([]);
});

test('a job that is cancelled ends, and what it fetched stays', async () => {
  const { upstream, base, post, held } = await start();
  upstream.add('example.com/a', 'v1.0.0');
  upstream.add('example.com/b', 'v1.0.0');
  upstream.fault(/example.com\/b/, { hang: true });
  const { text } = await post('{"go":["example.com/a@v1.0.0","example.com/b@v1.0.0"]}');
  const { id } = JSON.parse(text) as { id: string };
  const headers = { authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` };
  const job = async (method: string) =>
    JSON.parse((await request(base, `/admin/jobs/${id}`, { method, headers })).text) as object;
  await eventually(
    'one is done',
    async () => (await held(files('example.com/a', 'v1.0.0'))).length === 3,
  );
  await job('DELETE');
  expect(
    await eventually('it has ended', async () => {
      const now = await job('GET');
      return 'state' in now && now.state !== 'running' && now;
    }),
  ).toMatchObject({ state: 'cancelled', result: null });
  upstream.clearFaults();
});
