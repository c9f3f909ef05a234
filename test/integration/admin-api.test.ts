// The rest of the admin API over real sockets: pins, listings, what goes on, and its OpenAPI document.

import { describe, expect, test } from 'vitest';
import { adminRoutes } from '../../src/admin/routes.ts';
import type { AuditLine } from '../../src/admin/audit.ts';
import { openApi } from '../../src/admin/openapi.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import type { FillProgress } from '../../src/engine/fill.ts';
import { goPurgeable } from '../../src/go/purge.ts';
import { TreeList } from '../../src/go/tree-list.ts';
import { ociPurgeable } from '../../src/oci/purge.ts';
import { Purger } from '../../src/references/purge.ts';
import { adminParts } from '../support/admin.ts';
import { digestText } from '../../src/oci/digest.ts';
import { HeldImages, image, sizeOf, allOf } from '../support/held-images.ts';
import { recordOf } from '../support/records.ts';
import { ask, serve } from '../support/server.ts';

const token = 'token-of-the-tests';

async function setUp() {
  const held = new HeldImages();
  const { store } = held;
  for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0']) {
    for (const ext of ['info', 'mod', 'zip']) {
      const bytes = Buffer.from(`${version}${ext}`);
      await store.stash(`go/example.com/m/@v/${version}.${ext}`, { bytes }, recordOf(bytes));
    }
  }
  const app = image('app');
  await held.pull('a.test:5000/team/app', 'v1', app);
  const audited: AuditLine[] = [];
  const announcements = { announce: () => Promise.resolve(), subscribe: () => undefined };
  const parts = adminParts(store);
  const progress: FillProgress[] = [];
  const answers = { read: () => Promise.resolve(undefined) };
  const admin = adminRoutes({
    ...parts,
    token,
    fills: { progress: () => progress },
    purger: new Purger({ store, lock: new LocalLock(), announcements }),
    purgeables: {
      go: (text) => goPurgeable({ store, treeList: new TreeList(store) }, text),
      oci: (text) => ociPurgeable({ store, answers, upstreams: { has: () => false } }, text),
    },
    audit: (line) => audited.push(line),
    requestId: (res) => String(res.getHeader('X-Request-Id')),
  });
  const { base } = await serve({ admin });
  const call = async (method: string, path: string, body?: string) => {
    // Node does not say so by itself where the method is DELETE
    const length = body && { 'content-length': Buffer.byteLength(body) };
    const headers = { authorization: `Bearer ${token}`, ...length };
    const { status, text } = await ask(base, path, { method, headers, ...(body && { body }) });
    return [status, text === '' ? undefined : (JSON.parse(text) as unknown)] as const;
  };
  const get = (path: string) => call('GET', `/admin/${path}`);
  return { ...parts, store, app, admin, audited, progress, call, get };
}

describe('a pin', async () => {
  const { call, get, audited, pins, store } = await setUp();

  test('is set, is seen, is undone, and each is one line in the audit log', async () => {
    const body = '{"go":"example.com/m@v1.1.0"}';
    const name = 'go:example.com/m@v1.1.0';
    for (let i = 0; i < 2; i++)
      expect(await call('POST', '/admin/pin', body)).toEqual([200, { name, pinned: true }]);
    expect((await pins.pinned()).has(name)).toBe(true);
    const [, listed] = await get('modules');
    expect(listed).toMatchObject({
      modules: [{ pinned: false }, { name, pinned: true }, { pinned: false }],
    });
    for (let i = 0; i < 2; i++)
      expect(await call('DELETE', '/admin/pin', body)).toEqual([200, { name, pinned: false }]);
    expect((await pins.pinned()).has(name)).toBe(false);
    expect(audited.map(({ action, name: of }) => [action, of])).toEqual([
      ['pin', name],
      ['pin', name],
      ['unpin', name],
      ['unpin', name],
    ]);
    expect(audited[0]?.requestId).toMatch(/./);
  });

  test('of a module or a repository keeps all that is below it', async () => {
    await call('POST', '/admin/pin', '{"go":"example.com/m"}');
    await call('POST', '/admin/pin', '{"oci":"a.test:5000/team/app"}');
    const [, version] = await get('modules/example.com/m@v1.0.0');
    const [, tag] = await get('images/a.test:5000/team/app:v1');
    expect([version, tag]).toMatchObject([{ pinned: true }, { pinned: true }]);
  });

  test.each([
    ['no JSON', 'nonsense', /not JSON/],
    ['both protocols', '{"go":"example.com/m","oci":"a.test/b"}', /either go/],
    ['a dry run', '{"go":"example.com/m","dryRun":true}', /no member/],
    ['no name', '{"oci":"nginx"}', /registry's host/],
  ])('is refused for %s, and nothing changes', async (_what, body, sentence) => {
    audited.length = 0;
    store.calls.length = 0;
    for (const method of ['POST', 'DELETE'])
      expect(await call(method, '/admin/pin', body)).toEqual([
        400,
        { error: expect.stringMatching(sentence) as string },
      ]);
    expect([audited, store.calls]).toEqual([[], []]);
  });

  test('that the store refuses is 503, and in the log', async () => {
    store.refuse('writeDocument');
    expect((await call('POST', '/admin/pin', '{"go":"example.com/x"}'))[0]).toBe(503);
    store.recover();
    expect(audited).toMatchObject([
      { action: 'pin', reason: expect.stringMatching(/down/) as string },
    ]);
  });
});

describe('what is stored', async () => {
  const { get, lastUse, app, now } = await setUp();

  test('is listed page by page, with sizes and last use', async () => {
    lastUse.used('go/example.com/m/@v/v1.1.0.zip');
    const [status, first] = await get('modules?limit=2');
    expect([status, first]).toEqual([
      200,
      {
        modules: [
          {
            name: 'go:example.com/m@v1.0.0',
            module: 'example.com/m',
            version: 'v1.0.0',
            bytes: 'v1.0.0info'.length + 2 * 'v1.0.0zip'.length,
            storedAt: '2026-01-02T03:04:05.000Z',
            lastUse: null,
            pinned: false,
          },
          expect.objectContaining({ lastUse: new Date(now()).toISOString() }),
        ],
        next: 'example.com/m@v1.1.0',
      },
    ]);
    expect(await get('modules?limit=2&after=example.com%2Fm%40v1.1.0')).toEqual([
      200,
      { modules: [expect.objectContaining({ version: 'v1.2.0' })] },
    ]);
    expect(await get('modules?prefix=example.com/n')).toEqual([200, { modules: [] }]);
    expect(await get('images?prefix=a.test:5000/')).toMatchObject([
      200,
      {
        images: [
          {
            name: 'oci:a.test:5000/team/app:v1',
            tag: 'v1',
            digest: digestText(app.digest),
            bytes: sizeOf(...allOf(app)),
            pinned: false,
          },
        ],
      },
    ]);
  });

  test('is shown one by one', async () => {
    expect(await get('modules/example.com/m@v1.0.0')).toMatchObject([
      200,
      { name: 'go:example.com/m@v1.0.0', complete: true, files: [{ name: 'info' }, {}, {}] },
    ]);
    expect(await get(`images/a.test:5000/team/app@${digestText(app.digest)}`)).toMatchObject([
      200,
      {
        mediaType: app.mediaType,
        referredBy: [{ name: 'oci:a.test:5000/team/app:v1', by: 'tag' }],
      },
    ]);
    for (const path of ['modules/example.com/m@v1.9.0', 'images/a.test:5000/team/app:v9'])
      expect(await get(path)).toEqual([404, { error: expect.any(String) as string }]);
  });

  test.each([
    'modules?limit=0',
    'modules?limit=1001',
    'images?limit=x',
    'images?limit=1&limit=2',
    'modules?after=nonsense%20',
    'images?after=nonsense',
    'images?what=1',
    `modules?prefix=${'x'.repeat(1001)}`,
    'modules/example.com/m',
    'modules/EXAMPLE@v1',
    'modules/example.com/m@v1.0.0?x=1',
    'images/nginx',
    'fills?x',
    'stats?x=1',
  ])('is asked for in vain by %s', async (path) => {
    expect(await get(path)).toEqual([400, { error: expect.stringMatching(/\w+ \w+/) as string }]);
  });
});

test('fills and stats are told as they are', async () => {
  const { get, progress, size, now } = await setUp();
  const since = now() - 2000;
  progress.push(
    {
      key: 'go/example.com/!m/@v/v1.0.0.zip',
      failureKey: 'go/example.com/!m/@v/v1.0.0.zip',
      startedAt: since,
      bytes: 1000,
      size: undefined,
      readers: 3,
    },
    {
      key: `oci/blobs/sha256/ab/ab${'0'.repeat(62)}`,
      failureKey: `oci/repos/a.test/app@oci/blobs/sha256/ab/ab${'0'.repeat(62)}`,
      startedAt: now(),
      bytes: 0,
      size: 77,
      readers: 1,
    },
  );
  expect(await get('fills')).toEqual([
    200,
    {
      fills: [
        {
          name: 'go:example.com/M@v1.0.0 .zip',
          bytes: 1000,
          size: null,
          bytesPerSecond: 500,
          waiters: 3,
          since: new Date(since).toISOString(),
        },
        expect.objectContaining({ name: `oci:a.test/app@sha256:ab${'0'.repeat(62)}`, size: 77 }),
      ],
    },
  ]);
  const unknown = { objects: null, bytes: null, maxBytes: 1000, hits: 3, misses: 1, upstreams: [] };
  expect(await get('stats')).toEqual([200, unknown]);
  const sum = { bytes: 10, objects: 1 };
  size.wasTold({ bytes: 0, objects: 0 }, sum);
  expect(await get('stats')).toEqual([200, { ...unknown, ...sum }]);
});

describe('the OpenAPI document', async () => {
  const { admin, get } = await setUp();

  test('has the routes that there are, and no others', () => {
    const routes = admin.stack.flatMap(({ route }) => {
      if (route === undefined) return [];
      const methods = route.stack.map(({ method }) => method).filter((method) => method);
      return [...new Set(methods)].map(
        (method) => `${method} ${route.path.replace(/\*(\w+)|:(\w+)/, '{$1$2}')}`,
      );
    });
    const documented = Object.entries(openApi.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(documented.sort()).toEqual(routes.sort());
  });

  test('tells of bodies that are too long, wherever there is one', () => {
    const bodies = Object.values(openApi.paths).flatMap((methods) =>
      Object.values(methods as Readonly<Record<string, object>>).filter(
        (method) => 'requestBody' in method,
      ),
    );
    expect(bodies).toHaveLength(6);
    for (const body of bodies) expect(body).toHaveProperty('responses.413');
  });

  test('is served', async () => {
    expect(await get('openapi.json')).toEqual([200, JSON.parse(JSON.stringify(openApi))]);
  });
});
