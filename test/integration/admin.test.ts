// The admin API over real sockets: who is let in, what is refused, and what is written down.

import { describe, expect, test } from 'vitest';
import { adminRoutes } from '../../src/admin/routes.ts';
import type { AuditLine } from '../../src/admin/audit.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { LarderError } from '../../src/engine/errors.ts';
import { goPurgeable } from '../../src/go/purge.ts';
import { TreeList } from '../../src/go/tree-list.ts';
import { Purger } from '../../src/references/purge.ts';
import { adminParts } from '../support/admin.ts';
import { MemoryStore, sha256 } from '../support/engine.ts';
import { ask, serve } from '../support/server.ts';

const TOKEN = 'a-token_of.this~test+/=';
const KEYS = ['info', 'mod', 'zip'].map((ext) => `go/example.com/m/@v/v1.0.0.${ext}`);

async function setUp() {
  const store = new MemoryStore();
  for (const key of KEYS) {
    const bytes = Buffer.from(key);
    await store.stash(
      key,
      { bytes },
      {
        size: bytes.length,
        sha256: sha256(bytes),
        time: '2026-01-02T03:04:05.000Z',
        source: 'http://upstream.test',
        extra: {},
      },
    );
  }
  store.calls.length = 0;
  const audited: AuditLine[] = [];
  const announcements = { announce: () => Promise.resolve(), subscribe: () => undefined };
  const admin = adminRoutes({
    ...adminParts(store),
    token: TOKEN,
    purger: new Purger({ store, lock: new LocalLock(), announcements }),
    purgeables: {
      go: (text) => goPurgeable({ store, treeList: new TreeList(store) }, text),
      oci: (text) => {
        throw new LarderError('invalid', `${text} is no image`);
      },
    },
    audit: (line) => audited.push(line),
    requestId: (res) => String(res.getHeader('X-Request-Id')),
  });
  const { base, lines } = await serve({ admin });
  const post = (body: string, headers: Record<string, string> = {}) =>
    ask(base, '/admin/purge', {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      body,
    });
  return { store, audited, base, lines, post };
}

const BYTES = KEYS.join('').length;
const purged = ['go:example.com/m@v1.0.0'];

describe('who has no token', async () => {
  const { store, audited, base, lines } = await setUp();

  test.each([
    ['none', {}, 'Bearer realm="larder"'],
    ['another scheme', { authorization: 'Basic YTpi' }, 'Bearer realm="larder"'],
    ['no token behind the scheme', { authorization: 'Bearer ' }, 'Bearer realm="larder"'],
    [
      'a wrong one',
      { authorization: 'Bearer wrong' },
      'Bearer realm="larder", error="invalid_token"',
    ],
    [
      'the beginning of it',
      { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
      'Bearer realm="larder", error="invalid_token"',
    ],
  ])('(%s) is let in nowhere', async (_what, headers, challenge) => {
    for (const [method, path, body] of [
      ['POST', '/admin/purge', '{"go":"example.com/m"}'],
      ['POST', '/admin/purge', 'nonsense'],
      ['GET', '/admin/purge', undefined],
      ['GET', '/admin/nothing', undefined],
      ['GET', '/admin', undefined],
    ] as const) {
      const answer = await ask(base, path, { method, headers, ...(body && { body }) });
      expect(answer).toMatchObject({ status: 401, headers: { 'www-authenticate': challenge } });
      expect(JSON.parse(answer.text)).toEqual({ error: expect.stringMatching(/token/) as string });
    }
    expect([store.calls, audited]).toEqual([[], []]);
    expect(JSON.stringify(lines)).not.toContain(TOKEN.slice(0, -1));
  });
});

test('without a token in the settings there is nothing below /admin', async () => {
  const { base } = await serve();
  const unknown = await ask(base, '/nothing');
  for (const path of ['/admin', '/admin/purge']) {
    const { status, text, headers } = await ask(base, path, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect([status, text]).toEqual([404, unknown.text]);
    expect(headers['www-authenticate']).toBeUndefined();
  }
});

describe('a purge', () => {
  test('takes the name, and is written down once', async () => {
    const { store, audited, post } = await setUp();
    const answer = await post('{"go":"example.com/m@v1.0.0"}', { 'x-request-id': 'mine' });
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
        'x-request-id': 'mine',
        'x-larder-cache': 'bypass',
      },
    });
    expect(JSON.parse(answer.text)).toEqual({ purged, freedBytes: BYTES });
    expect(store.content.size).toBe(0);
    expect(audited).toEqual([
      {
        action: 'purge',
        name: 'go:example.com/m@v1.0.0',
        requestId: 'mine',
        remote: '127.0.0.1',
        dryRun: false,
        freedBytes: BYTES,
        purged: 1,
      },
    ]);
    const again = await post('{"go":"example.com/m@v1.0.0"}');
    expect([again.status, JSON.parse(again.text)]).toEqual([200, { purged: [], freedBytes: 0 }]);
    expect(audited).toHaveLength(2);
  });

  test('that is a dry run says what would go', async () => {
    const { store, audited, post } = await setUp();
    const answer = await post('{"go":"example.com/m","dryRun":true}');
    expect(JSON.parse(answer.text)).toEqual({ purged, freedBytes: BYTES });
    expect(store.content.size).toBe(3);
    expect(audited).toMatchObject([{ name: 'go:example.com/m', dryRun: true }]);
  });

  test.each(['text/plain; charset=latin1', 'application/x-www-form-urlencoded', ''])(
    'is read as JSON though it is called %j',
    async (type) => {
      const { store, post } = await setUp();
      const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
      expect((await post('{"go":"example.com/m"}', headers)).status).toBe(200);
      expect(store.content.size).toBe(0);
    },
  );

  test('whose store fails is a 503 that says when to try again, and is written down with the reason', async () => {
    const { store, audited, post } = await setUp();
    store.refuse('delete');
    const answer = await post('{"go":"example.com/m"}');
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    const reason = 'the store of this test is down';
    expect(JSON.parse(answer.text)).toEqual({ error: reason });
    expect(audited).toMatchObject([{ action: 'purge', name: 'go:example.com/m', reason }]);
    store.recover();
    expect((await post('{"go":"example.com/m"}')).status).toBe(200);
    expect(store.content.size).toBe(0);
  });
});

describe('refused, with nothing changed', async () => {
  const { store, audited, base, post } = await setUp();
  const expectError = ({ text }: { text: string }, sentence: RegExp) => {
    expect(JSON.parse(text)).toEqual({ error: expect.stringMatching(sentence) as string });
    expect([store.calls, audited]).toEqual([[], []]);
  };

  test.each([
    ['', /not JSON$/],
    ['{"go":', /not JSON$/],
    ['go=example.com/m', /not JSON$/],
    ['null', /not a JSON object/],
    ['["example.com/m"]', /not a JSON object/],
    ['"example.com/m"', /not a JSON object/],
    ['{}', /either go.*or oci/],
    ['{"dryRun":true}', /either go.*or oci/],
    ['{"go":"example.com/m","oci":"main.test/m"}', /either go.*or oci/],
    ['{"go":"example.com/m","force":true}', /"force" is no member/],
    ['{"go":"example.com/m","__proto__":{}}', /"__proto__" is no member/],
    ['{"go":"example.com/m","dryrun":true}', /"dryrun" is no member/],
    ['{"go":"example.com/m","dryRun":"true"}', /dryRun is neither true nor false/],
    ['{"go":"example.com/m","dryRun":null}', /dryRun is neither/],
    ['{"go":null}', /go is not a string/],
    ['{"go":["example.com/m"]}', /go is not a string/],
    ['{"oci":1}', /oci is not a string/],
    ['{"oci":"x"}', /^x is no image$/],
    ['{"go":""}', /is empty/],
    ['{"go":"example.com/m@latest"}', /not a semantic version/],
    ['{"go":"example.com/m@v1"}', /that is "v1\.0\.0"/],
    ['{"go":"../m"}', /not a module path/],
  ])('%s', async (body, sentence) => {
    const answer = await post(body);
    expect(answer.status).toBe(400);
    expectError(answer, sentence);
  });

  test('parameters, which would be passed over', async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    const body = '{"go":"example.com/m"}';
    for (const path of ['/admin/purge?dryRun=true', '/admin/pin?x', '/admin/collect?dryRun=true']) {
      const answer = await ask(base, path, { method: 'POST', headers, body });
      expect([path, answer.status]).toEqual([path, 400]);
      expectError(answer, /is no parameter/);
    }
    for (const path of ['/admin/jobs?all=1', '/admin/jobs/x?y', '/admin/openapi.json?x']) {
      const answer = await ask(base, path, { headers });
      expect([path, answer.status]).toEqual([path, 400]);
      expectError(answer, /is no parameter/);
    }
  });

  test('bytes that are no UTF-8', async () => {
    const answer = await ask(base, '/admin/purge', {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}` },
      body: Buffer.from('{"go":"example.com/m\xff"}', 'latin1'),
    });
    expect(answer.status).toBe(400);
    expectError(answer, /not JSON$/);
  });

  test('a body in an encoding', async () => {
    const answer = await post('{"go":"example.com/m"}', { 'content-encoding': 'gzip' });
    expect(answer.status).toBe(400);
    expectError(answer, /cannot be read/);
  });

  test.each([{}, { 'transfer-encoding': 'chunked' }])('a body too long %j', async (headers) => {
    const answer = await post(`{"go":"${'m'.repeat(65_536)}"}`, { ...headers });
    expect(answer.status).toBe(413);
    expectError(answer, /may have 64 KiB/);
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('%s', async (method) => {
    const headers = { authorization: `bearer ${TOKEN}` };
    const answer = await ask(base, '/admin/purge', { method, headers });
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'POST' } });
    if (method !== 'HEAD') expectError(answer, /only be asked by POST/);
  });

  test.each(['/admin', '/admin/', '/admin/purge/', '/admin/Purge', '/admin/%zz', '/admin/x'])(
    '%s',
    async (path) => {
      const headers = { authorization: `Bearer ${TOKEN}` };
      const answer = await ask(base, path, { method: 'POST', headers, body: '{"go":"a.test/m"}' });
      expect(answer.status).toBe(404);
      expectError(answer, /nothing here/);
    },
  );
});
