// Rules at every endpoint of both protocols: what may not enter is never asked for and never served, whatever its spelling.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { startApp } from '../support/app.ts';
import { request } from '../support/http.ts';
import { imageIndex } from '../support/images.ts';
import { expectEnvelope } from '../support/mirror.ts';
import { startRegistry } from '../support/registry.ts';
import { expectGoError, whenStored } from '../support/replies.ts';
import { encodeAll, escape, rulesFile } from '../support/rules.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const PSEUDO = 'v1.4.1-0.20240102030405-0123456789ab';

describe('a module that is denied', async () => {
  const upstream = await startUpstream();
  const database = await startSumdb({ sums: upstream.sumsTemplate });
  atEnd(() => database.close());
  const module = 'example.com/Bad/mod';
  upstream.add(module, 'v1.0.0');
  upstream.name(module, 'main', 'v1.0.0');
  upstream.add('example.com/good', 'v1.0.0');
  const { file, write } = rulesFile();
  const app = await startApp({
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_SUMDB: database.setting,
    LARDER_RULES_FILE: file,
  });
  const files = ['info', 'mod', 'zip'].map((ext) => `/@v/v1.0.0.${ext}`);
  const all = [
    ...files,
    '/@v/list',
    '/@latest',
    '/@v/main.info',
    '/@v/v1.info',
    `/@v/${PSEUDO}.mod`,
  ];
  const lookup = (name: string) => `/sumdb/${database.name}/lookup/${name}@v1.0.0`;
  const DENIED = /^it is not approved$/;

  test('is there before', async () => {
    for (const path of [...files, '/@v/list', '/@latest', '/@v/main.info'])
      await whenStored(app.base, `/${escape(module)}${path}`);
    expect((await request(app.base, lookup(escape(module)))).status).toBe(200);
    await eventually('it is in the feed', async () =>
      (await request(app.base, '/index')).text.includes(module),
    );
  });

  test('is refused by every path and spelling, stored or not, and nobody is asked', async () => {
    write(`go: [{ match: example.com/Bad, deny: it is not approved }]`);
    app.reload();
    upstream.clearLog();
    const spellings = [escape(module), encodeAll(escape(module))];
    const paths = spellings.flatMap((name) => [
      ...all.map((path) => `/${name}${path}`),
      lookup(name),
    ]);
    for (const path of paths) {
      for (const prefix of ['', '/cached-only'])
        expectGoError(await request(app.base, prefix + path), 403, DENIED);
      const head = await request(app.base, path, { method: 'HEAD' });
      expect([head.status, head.headers['x-larder-cache']]).toEqual([403, 'bypass']);
      expect(head.headers['cache-control']).toBe('no-store');
    }
    expect((await request(app.base, '/index')).text).not.toContain(module);
    expect(upstream.log).toEqual([]);
    expect((await request(app.base, '/example.com/good/@v/v1.0.0.mod')).status).toBe(200);
  });

  test('stays so when the new rules are bad, which is logged', async () => {
    write('go: [{ match: example.com/Bad, deny: }]');
    app.reload();
    expect(app.lines.at(-1)).toMatchObject({ msg: 'the new rules are bad: the old ones stay' });
    expect(String(app.lines.at(-1)?.['reason'])).toContain(`${file}:1: go rule 1, deny`);
    expectGoError(await request(app.base, `/${escape(module)}/@v/list`), 403, DENIED);
  });

  test('is there again when the rules let it in', async () => {
    write('');
    app.reload();
    for (const path of all.slice(0, -2))
      expect((await request(app.base, `/${escape(module)}${path}`)).status).toBe(200);
  });
});

describe('versions that are denied', async () => {
  const upstream = await startUpstream();
  const versions = ['v1.3.0', 'v1.4.0-rc.1', 'v1.4.0', 'v1.5.0', 'v1.20.0'];
  for (const version of versions) upstream.add('example.com/m', version);
  upstream.name('example.com/m', 'old', 'v1.3.0');
  upstream.name('example.com/m', 'new', 'v1.5.0');
  upstream.add('example.com/young', 'v0.0.0-20240102030405-0123456789ab');
  const { file } = rulesFile(`
go:
  - { match: example.com/m, versions: "<v1.4.0", deny: use v1.4.0 or later }
  - { match: example.com/m, versions: ">v1.5.0", deny: not yet }
  - { match: example.com/young, versions: v0.0, deny: no untagged ones }
  - { match: example.com/only, versions: v1.2, allow: true }
  - { match: example.com/only, deny: only v1.2 }
`);
  for (const version of ['v1.2.0', 'v1.2.1-rc.1', 'v1.20.0', 'v1.3.0'])
    upstream.add('example.com/only', version);
  const app = await startApp({
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_RULES_FILE: file,
    LARDER_GO_READ_AHEAD: 'all',
    LARDER_MODE: 'sync',
  });
  const get = (path: string) => request(app.base, `/example.com/${path}`);

  test('are left out of lists, and @latest is the newest of the others', async () => {
    expect((await get('m/@v/list')).text).toBe('v1.4.0\nv1.5.0\n');
    expect(JSON.parse((await get('m/@latest')).text)).toMatchObject({ Version: 'v1.5.0' });
    expect((await get('only/@v/list')).text).toBe('v1.2.0\nv1.2.1-rc.1\n');
    expect(JSON.parse((await get('only/@latest')).text)).toMatchObject({ Version: 'v1.2.0' });
  });

  test('are refused themselves, and nobody is asked for them, read-ahead included', async () => {
    upstream.clearLog();
    for (const ext of ['info', 'mod', 'zip']) {
      expectGoError(await get(`m/@v/v1.4.0-rc.1.${ext}`), 403, /^use v1\.4\.0 or later$/);
      expectGoError(await get(`m/@v/v1.20.0.${ext}`), 403, /^not yet$/);
      expectGoError(await get(`only/@v/v1.3.0.${ext}`), 403, /^only v1\.2$/);
    }
    expect(upstream.log).toEqual([]);
    expect((await get('m/@v/v1.4.0.zip')).status).toBe(200);
    expect((await get('only/@v/v1.2.1-rc.1.zip')).status).toBe(200);
  });

  test('are refused by the name of a branch too', async () => {
    expectGoError(await get('m/@v/old.info'), 403, /^use v1\.4\.0 or later$/);
    expect(JSON.parse((await get('m/@v/new.info')).text)).toMatchObject({ Version: 'v1.5.0' });
    upstream.clearLog();
    expectGoError(await get('m/@v/old.mod'), 400);
    expect(upstream.requests(/v1\.3\.0/)).toEqual([]);
  });

  test('@latest is refused where there is no other', async () => {
    expectGoError(await get('young/@latest'), 403, /^no untagged ones$/);
    expect((await get('young/@v/list')).text).toBe('');
  });

  test('are in no list or @latest that clients are redirected to', async () => {
    const redirecting = await startApp({
      LARDER_GO_UPSTREAM: upstream.url,
      LARDER_RULES_FILE: file,
      LARDER_MODE: 'redirect',
    });
    const reply = await request(redirecting.base, '/example.com/m/@v/list');
    expect(reply.text).toBe('v1.4.0\nv1.5.0\n');
    expect((await request(redirecting.base, '/example.com/m/@v/old.info')).status).toBe(403);
    expect((await request(redirecting.base, '/example.com/m/@v/v1.4.0.zip')).status).toBe(302);
    expect((await request(redirecting.base, '/example.com/m/@v/v1.3.0.zip')).status).toBe(403);
  });
});

describe('images that are denied', async () => {
  const registry = await startRegistry();
  const bad = registry.addImage('team/bad', 'v1', { layers: ['bytes of bad'] });
  const good = registry.addImage('team/good', 'v1', { layers: ['bytes of good'] });
  registry.addManifest('team/good', 'v2', good.bytes, good.mediaType);
  const index = imageIndex({ amd64: bad });
  const indexed = registry.addManifest('team/bad', 'all', index.bytes, index.mediaType);
  registry.addImage('library/plain', 'v1', { layers: ['x'] });
  const { file, write } = rulesFile();
  const app = await startApp({
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url},docker.io=${registry.url}`,
    LARDER_RULES_FILE: file,
  });
  const layer = bad.layers[0]?.digest ?? '';
  const paths = [
    'manifests/v1',
    'manifests/all',
    'manifests/unknown',
    `manifests/${bad.digest}`,
    `manifests/${indexed.digest}`,
    `blobs/${layer}`,
    'tags/list',
    'tags/list?n=1',
    `referrers/${bad.digest}`,
  ];

  test('are refused by every path, stored or not, and nobody is asked', async () => {
    for (const path of ['manifests/v1', `blobs/${layer}`])
      await whenStored(app.base, `/v2/team/bad/${path}`);
    write(`oci: [{ match: main.test/team/bad, deny: it is not approved }]`);
    app.reload();
    registry.clearLog();
    for (const path of paths) {
      for (const name of ['team/bad', 'main.test/team/bad', 'team/b%61d']) {
        const reply = await request(app.base, `/v2/${name}/${path}`);
        expectEnvelope(reply, 403, 'DENIED');
        expect(reply.text).toContain('it is not approved');
        const head = await request(app.base, `/v2/${name}/${path}`, { method: 'HEAD' });
        expect(head.status).toBe(403);
      }
      const separator = path.includes('?') ? '&' : '?';
      const spaced = await request(app.base, `/v2/team/bad/${path}${separator}ns=MAIN.test`);
      expect(spaced.status).toBe(403);
    }
    expect(registry.log).toEqual([]);
    expect((await request(app.base, '/v2/team/good/manifests/v1')).status).toBe(200);
  });

  test('a tag is denied alone, what has a digest is not', async () => {
    write(`oci: [{ match: "main.test/team/good:v1", deny: use v2 }]`);
    app.reload();
    expectEnvelope(await request(app.base, '/v2/team/good/manifests/v1'), 403, 'DENIED');
    for (const reference of ['v2', good.digest])
      expect((await request(app.base, `/v2/team/good/manifests/${reference}`)).status).toBe(200);
  });

  test('an official image of Docker Hub is denied in all of its spellings', async () => {
    for (const match of ['docker.io/plain', 'docker.io/library/plain', 'index.docker.io/plain']) {
      write(`oci: [{ match: ${match}, deny: no }]`);
      app.reload();
      registry.clearLog();
      for (const name of [
        'docker.io/plain',
        'docker.io/library/plain',
        'registry-1.docker.io/plain',
      ])
        expectEnvelope(await request(app.base, `/v2/${name}/manifests/v1`), 403, 'DENIED');
      expect((await request(app.base, '/v2/plain/manifests/v1?ns=docker.io')).status).toBe(403);
      expect(registry.log).toEqual([]);
    }
  });
});

describe('where things come from', () => {
  test('a module comes from where its rule says, and from nowhere else', async () => {
    const [usual, own, second] = [
      await startUpstream(),
      await startUpstream(),
      await startUpstream(),
    ];
    for (const server of [usual, own, second]) server.add('example.com/own', 'v1.0.0');
    second.add('example.com/own', 'v2.0.0+incompatible');
    usual.add('example.com/other', 'v1.0.0');
    const { file } = rulesFile(`
go:
  - { match: example.com/own, versions: v2, upstream: "${own.url},${second.url}" }
  - { match: example.com/own, upstream: ${own.url} }
  - { match: example.com/off, upstream: off }
`);
    const env = { LARDER_GO_UPSTREAM: usual.url, LARDER_RULES_FILE: file };
    const app = await startApp(env);
    for (const path of ['@v/v1.0.0.info', '@v/v1.0.0.zip', '@v/list', '@latest'])
      expect((await request(app.base, `/example.com/own/${path}`)).status).toBe(200);
    expect(second.log).toEqual([]);
    const later = '/example.com/own/@v/v2.0.0+incompatible.mod';
    expect((await request(app.base, later)).status).toBe(200);
    expect(second.requests(later)).toHaveLength(1);
    expectGoError(await request(app.base, '/example.com/off/@v/list'), 404, /look-ups are off/);
    expect(usual.log).toEqual([]);
    expect((await request(app.base, '/example.com/other/@v/v1.0.0.mod')).status).toBe(200);
    const redirecting = await startApp({ ...env, LARDER_MODE: 'redirect' });
    const reply = await request(redirecting.base, '/example.com/own/@v/v1.0.0.zip');
    expect(reply.headers.location).toBe(`${own.url}/example.com/own/@v/v1.0.0.zip`);
  });

  test('an image too, and credentials of its registry stay with that', async () => {
    const usual = await startRegistry({ basic: 'user:secret' });
    const own = await startRegistry({ basic: 'other:word' });
    own.addImage('team/app', 'v1', { layers: ['from elsewhere'] });
    usual.addImage('team/lib', 'v1', { layers: ['from here'] });
    const { file } = rulesFile(`oci: [{ match: main.test/team/app, upstream: "${own.url}" }]`);
    const auth = join(tempDir(), 'config.json');
    const entry = (pair: string) => ({ auth: Buffer.from(pair).toString('base64') });
    writeFileSync(auth, JSON.stringify({ auths: { 'main.test': entry('user:secret') } }));
    const app = await startApp({
      LARDER_OCI_UPSTREAMS: `main.test=${usual.url}`,
      LARDER_OCI_AUTH_FILE: auth,
      LARDER_RULES_FILE: file,
    });
    expect((await request(app.base, '/v2/team/lib/manifests/v1')).status).toBe(200);
    usual.clearLog();
    expect((await request(app.base, '/v2/team/app/manifests/v1')).status).toBe(404);
    expect(own.log.map(({ headers }) => headers.authorization)).toEqual([undefined]);
    writeFileSync(auth, JSON.stringify({ auths: { [own.host]: entry('other:word') } }));
    const again = await startApp({
      LARDER_OCI_UPSTREAMS: `main.test=${usual.url}`,
      LARDER_OCI_AUTH_FILE: auth,
      LARDER_RULES_FILE: file,
    });
    const image = await request(again.base, '/v2/team/app/manifests/v1');
    expect([image.status, image.headers['oci-namespace']]).toEqual([200, 'main.test']);
    expect(usual.log).toEqual([]);
  });
});
