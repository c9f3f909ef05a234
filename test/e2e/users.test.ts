// Who may read, with LARDER_AUTH_HTPASSWD (issue 6).

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { request, type Reply } from '../support/http.ts';
import { runLarder, startLarderProcess } from '../support/larder.ts';
import { expectEnvelope } from '../support/mirror.ts';
import { startRegistry } from '../support/registry.ts';
import { expectGoError, outcomeOf } from '../support/replies.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { basic, writeUsers } from '../support/users.ts';

const CHALLENGE = 'Basic realm="larder"';
const users = join(tempDir(), 'users');
writeUsers(users, { alice: 'sesame', bob: 'with:colon and ümlaut' });
const alice = basic('alice', 'sesame');

const upstream = await startUpstream();
const sumdb = await startSumdb({ sums: upstream.sumsTemplate });
atEnd(() => sumdb.close());
const registry = await startRegistry();
const module = upstream.add('example.com/m', 'v1.0.0');
const image = registry.addImage('team/app', 'v1', { layers: ['layer'] });
const larder = await startLarderProcess({
  env: {
    LARDER_AUTH_HTPASSWD: users,
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_SUMDB: sumdb.setting,
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
    LARDER_LOG_LEVEL: 'info',
  },
});
const get = (path: string, headers = {}, method = 'GET') =>
  request(larder.base, path, { headers, method });
const asked = () => upstream.log.length + registry.log.length;

const open = ['/healthz', '/readyz', '/version', '/metrics', '/'];
const go = [
  '/example.com/m/@v/list',
  '/example.com/m/@latest',
  '/example.com/m/@v/v1.0.0.info',
  '/example.com/m/@v/v1.0.0.mod',
  '/example.com/m/@v/v1.0.0.zip',
  '/cached-only/example.com/m/@v/list',
  `/sumdb/${sumdb.name}/supported`,
  `/sumdb/${sumdb.name}/latest`,
  '/index',
];
const noGo = ['/example.com/none/@v/v1.0.0.zip', '/UPPER/@v/x.zip', '/a/@v/%zz.zip', '/admin/@v/x'];
const oci = [
  '/v2/',
  '/v2',
  '/v2/team/app/manifests/v1',
  `/v2/team/app/manifests/${image.digest}`,
  `/v2/team/app/blobs/${image.config.digest}`,
  '/v2/team/app/tags/list',
  `/v2/team/app/referrers/${image.digest}`,
];
const noOci = [
  '/v2/nothing',
  '/v2/%zz',
  '/v2/UPPER/manifests/v1',
  '/v2/team/app/manifests/v1?ns=elsewhere.test',
];
const bad = {
  'no header': {},
  'a wrong password': basic('alice', 'Sesame'),
  nobody: basic('mallory', 'sesame'),
  'no password': basic('alice', ''),
  'another scheme': { authorization: 'Bearer sesame' },
  'what is no base64': { authorization: 'Basic !' },
  'what has no colon': { authorization: `Basic ${Buffer.from('alice').toString('base64')}` },
  'a very long header': basic('alice', 'x'.repeat(12_000)),
};

function expectUnauthorized(reply: Reply): void {
  expect(reply).toMatchObject({ status: 401, complete: true });
  expect(reply.headers).toMatchObject({
    'www-authenticate': CHALLENGE,
    'cache-control': 'no-store',
    'x-larder-cache': 'bypass',
  });
  expect(reply.headers['x-request-id']).toMatch(/./);
}

describe.each(Object.entries(bad))('with %s', (_, headers) => {
  test.each(open)('%s is open', async (path) => {
    expect((await get(path, headers)).status).toBe(200);
  });

  test.each([...go, ...noGo])('%s is 401 in the words of Go, and nobody is asked', async (path) => {
    const before = asked();
    const reply = await get(path, headers);
    expectUnauthorized(reply);
    expectGoError(reply, 401, /^unauthorized: .*netrc/);
    const head = await get(path, headers, 'HEAD');
    expectUnauthorized(head);
    expect(head.length).toBe(0);
    expectUnauthorized(await get(path, headers, 'POST'));
    expect(asked()).toBe(before);
  });

  test.each([...oci, ...noOci])(
    '%s is 401 in the words of OCI, and nobody is asked',
    async (path) => {
      const before = asked();
      const reply = await get(path, headers);
      expectUnauthorized(reply);
      expectEnvelope(reply, 401, 'UNAUTHORIZED');
      const head = await get(path, headers, 'HEAD');
      expectUnauthorized(head);
      for (const { headers: given } of [reply, head])
        expect(given['docker-distribution-api-version']).toBe('registry/2.0');
      expect(asked()).toBe(before);
    },
  );

  test("what is nobody's is not there", async () => {
    for (const path of ['/nothing', '/admin/purge'])
      expect((await get(path, headers)).status).toBe(404);
  });
});

describe('a user', () => {
  test.each([...go, ...oci])('gets %s', async (path) => {
    const reply = await eventually(`${path} is there`, async () => {
      const one = await get(path, alice);
      return one.status !== 404 && one;
    });
    expect(reply.status).toBe(200);
    expect(reply.headers['cache-control'] ?? '').not.toContain('public');
    expect((await get(path, basic('bob', 'with:colon and ümlaut'))).status).toBe(200);
  });

  test('gets what is private to users, for as long as ever', async () => {
    const zip = await get('/example.com/m/@v/v1.0.0.zip', alice);
    expect(zip.sha256).toBe(module.zip.sha256);
    const forEver = 'private, max-age=31536000, immutable';
    expect(zip.headers['cache-control']).toBe(forEver);
    const blob = await get(`/v2/team/app/blobs/${image.config.digest}`, alice);
    expect(blob.headers['cache-control']).toBe(forEver);
    for (const path of ['/example.com/m/@v/list', '/v2/team/app/manifests/v1']) {
      const reply = await get(path, alice);
      expect(reply.headers['cache-control']).toMatch(/^private, max-age=\d+$/);
    }
  });

  test.each([
    ['/example.com/none/@v/v1.0.0.zip', 404],
    ['/UPPER/@v/x.zip', 400],
    ['/v2/nothing', 404],
  ])('is told of %s as ever', async (path, status) => {
    expect((await get(path, alice)).status).toBe(status);
  });

  test('sends nothing of it on', () => {
    const sent = [...upstream.log, ...registry.log].map(({ headers }) => headers.authorization);
    expect(sent.length).toBeGreaterThan(0);
    expect(sent.filter((header) => header !== undefined)).toEqual([]);
  });

  test('is named in the log, others and passwords are not', async () => {
    await get('/index', alice);
    await get('/index', basic('mallory', 'hunter2'));
    await eventually('the request is logged', () =>
      larder.log().some(({ user, path }) => user === 'alice' && path === '/index'),
    );
    const log = JSON.stringify(larder.log());
    for (const secret of ['mallory', 'sesame', 'hunter2', alice.authorization.slice(6)])
      expect(log).not.toContain(secret);
  });

  test('who is new has herds wait for one check, and all get in', async () => {
    const path = '/example.com/m/@v/v1.0.0.info';
    const replies = await Promise.all(
      Array.from({ length: 100 }, () => get(path, basic('bob', 'with:colon and ümlaut'))),
    );
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  });
});

test('whoever is known waits for no password of others, and too many of those are 503', async () => {
  const file = join(tempDir(), 'users');
  // a dear one: each takes a good part of a second
  writeUsers(file, { alice: 'sesame' }, 12);
  const own = await startLarderProcess({ env: { LARDER_AUTH_HTPASSWD: file } });
  const status = async (user: string, password: string) =>
    (await request(own.base, '/v2/', { headers: basic(user, password) })).status;
  expect(await status('alice', 'sesame')).toBe(200);
  const ended: number[] = [];
  const guesses = Array.from({ length: 1200 }, async (_, i) => {
    const reply = await request(own.base, '/index', { headers: basic('alice', String(i)) });
    if (reply.status === 503) expect(reply.headers['retry-after']).toMatch(/^\d+$/);
    ended.push(reply.status);
  });
  await eventually('what is too many is refused', () => ended.includes(503));
  expect(await status('alice', 'sesame')).toBe(200);
  expect(ended.length).toBeLessThan(guesses.length);
  expect(ended).not.toContain(200);
  // the rest would take its time
  await own.kill9();
  await Promise.all(guesses);
});

describe('the file', () => {
  const path = `/v2/team/app/blobs/${image.config.digest}`;

  test('changes who may read, and a bad one changes nothing', async () => {
    const file = join(tempDir(), 'users');
    writeUsers(file, { alice: 'one' });
    const own = await startLarderProcess({
      env: { LARDER_AUTH_HTPASSWD: file, LARDER_OCI_UPSTREAMS: `main.test=${registry.url}` },
    });
    const status = async (user: string, password: string) =>
      (await request(own.base, path, { headers: basic(user, password) })).status;
    expect([await status('alice', 'one'), await status('carol', 'three')]).toEqual([200, 401]);

    writeUsers(file, { carol: 'three' });
    await eventually('carol may read', async () => (await status('carol', 'three')) === 200);
    expect(await status('alice', 'one')).toBe(401);

    writeFileSync(file, 'carol:{SHA}nothing\n');
    await eventually('the bad file is told', () =>
      own
        .log()
        .some(
          ({ level, reason }) =>
            level === 'warn' && String(reason).startsWith('line 1 has no bcrypt'),
        ),
    );
    expect([await status('carol', 'three'), await status('alice', 'one')]).toEqual([200, 401]);

    rmSync(file);
    await eventually('the missing file is told', () =>
      own
        .log()
        .some(({ level, reason }) => level === 'warn' && String(reason).includes('no such file')),
    );
    expect(await status('carol', 'three')).toBe(200);

    writeUsers(file, { alice: 'two' });
    await eventually('alice may read', async () => (await status('alice', 'two')) === 200);
    expect([await status('carol', 'three'), await status('alice', 'one')]).toEqual([401, 401]);
  });

  test.each([
    ['missing', undefined, /LARDER_AUTH_HTPASSWD="[^"]+" cannot be used: there is no such file/],
    [
      'of another kind',
      'alice:$apr1$x$y\n',
      /cannot be used: line 1 has no bcrypt hash .*htpasswd -B/,
    ],
    ['empty', '', /has no user/],
  ])('that is %s stops the start', async (_, content, sentence) => {
    const file = join(tempDir(), 'users');
    if (content !== undefined) writeFileSync(file, content);
    const env = {
      LARDER_AUTH_HTPASSWD: file,
      LARDER_GO_UPSTREAM: 'off',
      LARDER_STORAGE_DIR: tempDir(),
    };
    const { code, stderr } = await runLarder([], { env });
    expect(code).toBe(2);
    expect(stderr).toMatch(sentence);
    expect(stderr).not.toContain('apr1');
  });
});

test('without users, anybody gets what is for any cache', async () => {
  const own = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const reply = await request(own.base, '/example.com/m/@v/v1.0.0.zip', {
    headers: basic('x', 'y'),
  });
  expect([reply.status, reply.headers['cache-control']]).toEqual([
    200,
    'public, max-age=31536000, immutable',
  ]);
  expect(outcomeOf(reply)).toBe('miss');
});
