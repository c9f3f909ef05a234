// How a miss is handled, mode by mode: what the client gets, what the upstream is asked, what is kept.

import { describe, expect, test } from 'vitest';
import { MODES, type Mode } from '../../src/engine/policy.ts';
import { startApp } from '../support/app.ts';
import { Body } from '../support/body.ts';
import { request, type Reply } from '../support/http.ts';
import { startCdn, startRegistry } from '../support/registry.ts';
import { outcomeOf, whenStored } from '../support/replies.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const module = 'example.com/Mixed';
const escaped = '/example.com/!mixed';
const FILES = ['info', 'mod', 'zip'].map((ext) => `${escaped}/@v/v1.0.0.${ext}`);
const LIST = `${escaped}/@v/list`;
const LATEST = `${escaped}/@latest`;
const BRANCH = `${escaped}/@v/main.info`;

const upstream = await startUpstream();
upstream.add(module, 'v1.0.0');
upstream.name(module, 'main', 'v1.0.0');
const cdn = await startCdn();
const registry = await startRegistry({ cdn });
const layer = Body.noise(100_000);
registry.addImage('team/app', 'v1', { layers: [layer] });
const BLOB = `/v2/team/app/blobs/sha256:${layer.sha256}`;
const MANIFEST = '/v2/team/app/manifests/v1';
const TAGS = '/v2/team/app/tags/list';

const env = {
  LARDER_GO_UPSTREAM: upstream.url,
  LARDER_GO_READ_AHEAD: 'none',
  LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
  LARDER_LIST_TTL: '1h',
  LARDER_TAG_TTL: '1h',
};

/** What was asked of everybody since the last time, as `GET /path`. */
function asked(): string[] {
  const servers = [upstream, registry, cdn];
  const log = servers.flatMap((server) =>
    server.log.map(({ method, path }) => `${method} ${path}`),
  );
  for (const server of servers) server.clearLog();
  return log;
}

const seen = ({ status, headers }: Reply) => ({
  status,
  outcome: headers['x-larder-cache'],
  location: headers.location,
});

/** Whether it is in the store: no GET is sent for the answer. */
async function isKept(base: string, path: string): Promise<boolean> {
  const reply = path.startsWith('/v2/')
    ? await request(base, path, { method: 'HEAD' })
    : await request(base, `/cached-only${path}`);
  return reply.status === 200 && outcomeOf(reply) === 'hit';
}

/** What a miss gets, and whether the upstream is asked for it and it is kept in the end. */
const MISS: Record<Mode, { status: number; outcome: string; fetched: boolean }> = {
  sync: { status: 200, outcome: 'miss', fetched: true },
  async: { status: 404, outcome: 'miss', fetched: true },
  redirect: { status: 302, outcome: 'redirect', fetched: false },
  async_redirect: { status: 302, outcome: 'redirect', fetched: true },
  none: { status: 404, outcome: 'miss', fetched: false },
};

describe.each(MODES)('mode %s', async (mode) => {
  const { status, outcome, fetched } = MISS[mode];
  const app = await startApp({ ...env, LARDER_MODE: mode });

  test.each(FILES)('a miss of %s', async (path) => {
    asked();
    const reply = await request(app.base, path);
    const location = status === 302 ? upstream.url + path : undefined;
    expect(seen(reply)).toEqual({ status, outcome, location });
    if (status === 404) expect(reply.text).toMatch(/^not in the store/);
    if (fetched) await whenStored(app.base, path);
    else expect(await isKept(app.base, path)).toBe(false);
    expect(asked()).toEqual(fetched ? [`GET ${path}`] : []);
  });

  test('a miss of a blob', async () => {
    asked();
    const reply = await request(app.base, BLOB);
    expect(seen(reply)).toMatchObject({ status, outcome });
    if (status === 302) {
      expect(reply.headers.location).toMatch(cdn.url);
      const direct = await request(String(reply.headers.location), '');
      expect(direct.sha256).toBe(layer.sha256);
    }
    if (fetched) await eventually('the blob is kept', () => isKept(app.base, BLOB));
    else expect(await isKept(app.base, BLOB)).toBe(false);
    const blobs = asked().filter((one) => one === `GET ${BLOB}`).length;
    const expected = { sync: 1, async: 1, redirect: 1, async_redirect: 2, none: 0 };
    expect(blobs).toBe(expected[mode]);
  });

  test('a manifest and a list of tags are answered whatever the mode', async () => {
    for (const path of [MANIFEST, TAGS]) expect((await request(app.base, path)).status).toBe(200);
  });

  test('HEAD of a miss is never redirected, and never fills', async () => {
    const other = await startApp({ ...env, LARDER_MODE: mode });
    asked();
    for (const path of [FILES[2] ?? '', BLOB]) {
      const reply = await request(other.base, path, { method: 'HEAD' });
      expect([reply.status, reply.headers.location]).toEqual([
        status === 404 ? 404 : 200,
        undefined,
      ]);
      expect(asked().filter((one) => one.startsWith('GET'))).toEqual([]);
    }
  });

  test.each([LIST, LATEST, BRANCH])('a miss of %s', async (path) => {
    const other = await startApp({ ...env, LARDER_MODE: mode });
    asked();
    const reply = await request(other.base, path);
    const location = status === 302 ? upstream.url + path : undefined;
    expect(seen(reply)).toEqual({ status, outcome, location });
    // what is listed in mode async is stored already
    const isAsked = mode === 'async' ? path === BRANCH : fetched;
    if (isAsked)
      await eventually(
        `${path} is a hit`,
        async () => outcomeOf(await request(other.base, path)) === 'hit',
      );
    expect(asked()).toEqual(isAsked ? [`GET ${path}`] : []);
  });

  test('a hit is served, and nobody is asked', async () => {
    const dir = tempDir();
    const before = await startApp({ ...env, LARDER_STORAGE_DIR: dir });
    const paths = [...FILES, LIST, LATEST, BRANCH, BLOB, MANIFEST];
    for (const path of paths) await whenStored(before.base, path);
    await eventually('the version is complete', () => isKept(before.base, LIST));
    await before.stop();
    const other = await startApp({ ...env, LARDER_STORAGE_DIR: dir, LARDER_MODE: mode });
    asked();
    for (const path of paths) {
      const reply = await request(other.base, path);
      expect([path, reply.status, outcomeOf(reply)]).toEqual([path, 200, 'hit']);
    }
    expect((await request(other.base, LIST)).text).toBe('v1.0.0\n');
    expect(asked()).toEqual([]);
  });
});

test('what clients cannot get by themselves is served through', async () => {
  const secret = upstream.url.replace('http://', 'http://user:secret@');
  const app = await startApp({
    ...env,
    LARDER_GO_UPSTREAM: secret,
    LARDER_MODE: 'redirect',
  });
  const direct = await startRegistry();
  direct.addImage('team/app', 'v1', { layers: [layer] });
  const own = await startApp({
    ...env,
    LARDER_OCI_UPSTREAMS: `main.test=${direct.url}`,
    LARDER_MODE: 'redirect',
  });
  for (const path of [...FILES, LIST, LATEST])
    expect((await request(app.base, path)).status).toBe(200);
  const blob = await request(own.base, BLOB);
  expect([blob.status, blob.sha256]).toEqual([200, layer.sha256]);
});

test.for(['redirect', 'async_redirect'])(
  'mode %s, before a registry that serves blobs itself: 10 clients, one question, of which the answer is served',
  async (mode) => {
    const direct = await startRegistry();
    const large = Body.noise(2_000_000);
    direct.addImage('team/app', 'v1', { layers: [large] });
    const LARDER_OCI_UPSTREAMS = `main.test=${direct.url}`;
    const app = await startApp({ ...env, LARDER_OCI_UPSTREAMS, LARDER_MODE: mode });
    const path = `/v2/team/app/blobs/sha256:${large.sha256}`;
    const replies = await Promise.all(Array.from({ length: 10 }, () => request(app.base, path)));
    for (const reply of replies) expect([reply.status, reply.sha256]).toEqual([200, large.sha256]);
    expect(direct.log.map(({ method, path: asked }) => `${method} ${asked}`)).toEqual([
      `GET ${path}`,
    ]);
    await eventually('it is kept', () => isKept(app.base, path));
  },
);

test('in mode async what is known not to be there is said so', async () => {
  const app = await startApp({ ...env, LARDER_MODE: 'async' });
  const path = '/example.com/missing/@v/v1.0.0.zip';
  await eventually(
    'the upstream has said so',
    async () => outcomeOf(await request(app.base, path)) === 'negative',
  );
  expect((await request(app.base, path)).status).toBe(404);
});
