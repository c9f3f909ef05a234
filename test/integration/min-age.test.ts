// Rules that want an age, under a clock of the tests' own.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startApp } from '../support/app.ts';
import { ManualClock } from '../support/engine.ts';
import { request } from '../support/http.ts';
import { imageIndex } from '../support/images.ts';
import { expectEnvelope } from '../support/mirror.ts';
import { startRegistry } from '../support/registry.ts';
import { expectGoError, whenStored } from '../support/replies.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const DAY = 86_400_000;
const clock = new ManualClock();
const start = clock.now();
/** So many days before the tests began. */
const daysAgo = (days: number) => new Date(start - days * DAY).toISOString();
/** A line that says when it opens, for what was published so many days before. */
const opens = (days: number) =>
  new RegExp(
    `too young: a rule lets it in from ${new Date(start + (7 - days) * DAY).toISOString()} on`,
  );

function fileOf(text: string): string {
  const file = join(tempDir(), 'rules.yaml');
  writeFileSync(file, text);
  return file;
}

describe('modules', async () => {
  const upstream = await startUpstream();
  const m = '/example.com/m';
  upstream.add('example.com/m', 'v1.0.0', { time: daysAgo(400) });
  upstream.add('example.com/m', 'v1.1.0', { time: daysAgo(8) });
  upstream.add('example.com/m', 'v1.2.0', { time: daysAgo(6) });
  upstream.add('example.com/m', 'v1.3.0', { time: '2026-01-02T00:00:00+14:00' });
  upstream.name('example.com/m', 'main', 'v1.2.0');
  upstream.add('example.com/new', 'v0.1.0', { time: daysAgo(1) });
  const timeless = upstream.add('example.com/timeless', 'v1.0.0');
  timeless.info = upstream.add('example.com/other', 'v1.0.0').info;
  upstream.fault('/example.com/timeless/@v/v1.0.0.info', { body: '{"Version":"v1.0.0"}' });
  upstream.add('example.com/cold', 'v1.0.0');
  upstream.add('example.org/free', 'v1.0.0', { time: daysAgo(0) });
  const file = fileOf(`go: [{ match: example.com, minAge: 7d }]`);
  const env = {
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_READ_AHEAD: 'all',
    LARDER_RULES_FILE: file,
    LARDER_LIST_TTL: '365d',
  };
  const app = await startApp(env, clock);
  const get = (path: string) => request(app.base, path);

  test('too young ones are refused by their .info, and nothing else of them is asked', async () => {
    for (const ext of ['zip', 'info', 'mod'])
      expectGoError(await get(`${m}/@v/v1.2.0.${ext}`), 403, opens(6));
    expect(upstream.requests(/v1\.2\.0/).map(({ path }) => path)).toEqual([`${m}/@v/v1.2.0.info`]);
    expectGoError(await get(`${m}/@v/v1.3.0.zip`), 403, /from 2026-01-08T10:00:00\.000Z on/);
    expectGoError(await get(`${m}/@v/main.info`), 403, opens(6));
  });

  test('lists do not show them, and @latest is the newest of the others', async () => {
    expect((await get(`${m}/@v/list`)).text).toBe('v1.0.0\nv1.1.0\n');
    expect((await get(`${m}/@latest`)).text).toContain('"v1.1.0"');
    expect((await get('/example.com/new/@v/list')).text).toBe('');
    expectGoError(await get('/example.com/new/@latest'), 403, opens(1));
    expect(upstream.requests(/\.zip$/)).toEqual([]);
  });

  test('what does not say when it was published is refused', async () => {
    expectGoError(await get('/example.com/timeless/@v/v1.0.0.zip'), 403, /does not say when/);
  });

  test('old ones are served, read-ahead included, and so is what no rule is about', async () => {
    expect((await get('/example.com/cold/@v/v1.0.0.info')).status).toBe(200);
    await eventually(
      'the zip came ahead',
      () => upstream.requests('/example.com/cold/@v/v1.0.0.zip').length > 0,
    );
    expect((await get('/example.org/free/@v/v1.0.0.zip')).status).toBe(200);
  });

  test('in mode async the age is found out behind too', async () => {
    const other = await startApp({ ...env, LARDER_MODE: 'async' }, clock);
    upstream.clearLog();
    const young = `${m}/@v/v1.2.0.zip`;
    expectGoError(await request(other.base, young), 404, /^not in the store yet/);
    await eventually('it is known', async () => (await request(other.base, young)).status === 403);
    const old = `${m}/@v/v1.0.0.zip`;
    expectGoError(await request(other.base, old), 404, /^not in the store yet/);
    await whenStored(other.base, old);
    expect(upstream.requests(young)).toEqual([]);
  });

  test('in mode redirect clients are sent to what is old enough', async () => {
    const other = await startApp({ ...env, LARDER_MODE: 'redirect' }, clock);
    expect((await request(other.base, `${m}/@v/v1.2.0.zip`)).status).toBe(403);
    expect((await request(other.base, `${m}/@v/v1.0.0.zip`)).status).toBe(302);
    expect((await request(other.base, `${m}/@v/list`)).text).toBe('v1.0.0\nv1.1.0\n');
  });

  test('the day comes on which they open', async () => {
    clock.advance(DAY - 1);
    expect((await get(`${m}/@v/v1.2.0.mod`)).status).toBe(403);
    clock.advance(1);
    for (const ext of ['info', 'mod', 'zip'])
      expect((await get(`${m}/@v/v1.2.0.${ext}`)).status).toBe(200);
    expect((await get(`${m}/@v/list`)).text).toBe('v1.0.0\nv1.1.0\nv1.2.0\n');
    expect((await get(`${m}/@v/main.info`)).status).toBe(200);
    clock.advance(-DAY);
  });
});

describe('images', async () => {
  const registry = await startRegistry();
  const created = 'org.opencontainers.image.created';
  const image = (name: string, options: { config?: number; annotation?: number }) =>
    registry.addImage('team/app', name, {
      layers: [name],
      ...(options.config !== undefined && { created: daysAgo(options.config) }),
      ...(options.annotation !== undefined && {
        annotations: { [created]: daysAgo(options.annotation) },
      }),
    });
  const old = image('old', { config: 30, annotation: 40 });
  const young = image('young', { config: 3 });
  const silent = image('silent', {});
  image('by-annotation', { config: 30, annotation: 2 });
  image('by-config', { config: 4, annotation: 30 });
  image('annotated', { annotation: 30 });
  const withSilent = imageIndex({ amd64: old, unknown: silent });
  const withYoung = imageIndex({ amd64: old, arm64: young });
  registry.addManifest('team/app', 'index', withSilent.bytes, withSilent.mediaType);
  const youngIndex = registry.addManifest(
    'team/app',
    'young-index',
    withYoung.bytes,
    withYoung.mediaType,
  );
  const file = fileOf(`
oci:
  - { match: "main.test/team/app:*-amd64", minAge: 7d, platforms: [linux/amd64] }
  - { match: main.test/team/app, minAge: 7d }
`);
  registry.addManifest('team/app', 'young-index-amd64', withYoung.bytes, withYoung.mediaType);
  const app = await startApp(
    {
      LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
      LARDER_RULES_FILE: file,
      LARDER_TAG_TTL: '365d',
    },
    clock,
  );
  const get = (reference: string, method = 'GET') =>
    request(app.base, `/v2/team/app/manifests/${reference}`, { method });

  test.each([
    ['young', 3],
    ['by-annotation', 2],
    ['by-config', 4],
    ['young-index', 3],
    [young.digest, 3],
    [youngIndex.digest, 3],
  ])('%s is refused until its day', async (reference, days) => {
    expect((await get(reference, 'HEAD')).status).toBe(403);
    const reply = await get(reference);
    expectEnvelope(reply, 403, 'DENIED');
    expect(reply.text).toMatch(opens(days));
  });

  test('what says nothing is refused, unless an index speaks for it', async () => {
    expect((await get('silent')).text).toMatch(/does not say when/);
    expect((await get('index')).status).toBe(200);
    expect((await get(silent.digest)).status).toBe(200);
  });

  test.each(['old', 'annotated', 'index', old.digest])('%s is served', async (reference) => {
    expect((await get(reference, 'HEAD')).status).toBe(200);
    expect((await get(reference)).status).toBe(200);
  });

  test('of an index, what is for other platforms than those of its rule is not looked at', async () => {
    registry.clearLog();
    expect((await get('young-index-amd64')).status).toBe(200);
    expect(registry.requests(new RegExp(young.digest))).toEqual([]);
  });

  test('the day comes', async () => {
    clock.advance(4 * DAY);
    for (const reference of ['young', young.digest, 'young-index'])
      expect((await get(reference)).status).toBe(200);
    expect((await get('by-annotation')).status).toBe(403);
    clock.advance(-4 * DAY);
  });
});
