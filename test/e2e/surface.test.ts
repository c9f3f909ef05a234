// What the Go side of the surface promises beyond the files themselves.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { expectBytes, expectGoError, outcomeOf, whenStored } from '../support/replies.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, eventually, filesBelow, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const file = (module: string, ext: string, version = 'v1.0.0') => `/${module}/@v/${version}.${ext}`;

interface Entry {
  Path: string;
  Version: string;
  Timestamp: string;
}

describe('/index', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const names = ['example.com/one', 'example.com/two', 'example.com/three'];
  const entries = async (query = ''): Promise<Entry[]> => {
    const reply = await request(larder.base, `/index${query}`);
    expect(reply.status).toBe(200);
    const lines = reply.body.toString().split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Entry);
  };

  test('has what became complete, in that order, and nothing else', async () => {
    for (const name of names) {
      upstream.add(name, 'v1.0.0');
      for (const ext of ['info', 'mod', 'zip']) await whenStored(larder.base, file(name, ext));
      await eventually(`${name} is in the feed`, async () =>
        (await entries()).some(({ Path }) => Path === name),
      );
    }
    upstream.add('example.com/half', 'v1.0.0');
    await whenStored(larder.base, file('example.com/half', 'info'));
    const all = await entries();
    expect(all.map(({ Path, Version }) => `${Path}@${Version}`)).toEqual(
      names.map((name) => `${name}@v1.0.0`),
    );
    const times = all.map(({ Timestamp }) => Timestamp);
    expect([...times].sort()).toEqual(times);
  });

  test('begins at since, that moment included, and ends at limit', async () => {
    const [, second] = await entries();
    const since = encodeURIComponent(second?.Timestamp ?? '');
    expect((await entries(`?since=${since}`)).map(({ Path }) => Path)).toEqual(names.slice(1));
    expect((await entries('?limit=1')).map(({ Path }) => Path)).toEqual(names.slice(0, 1));
    expect(await entries('?since=2999-01-01T00:00:00Z')).toEqual([]);
  });

  test.each(['?since=yesterday', '?limit=many', '?limit=-1'])('%s is a 400', async (query) => {
    expectGoError(await request(larder.base, `/index${query}`), 400);
  });
});

test('/cached-only/ never fetches, and knows complete versions alone', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const held = upstream.add('example.com/held', 'v1.0.0');
  upstream.add('example.com/held', 'v1.1.0');
  const only = (name: string) => request(larder.base, `/cached-only${name}`);
  for (const name of [file('example.com/held', 'zip'), '/example.com/held/@v/list']) {
    expectGoError(await only(name), 404, /not in the store/);
  }
  expect(upstream.log).toEqual([]);
  for (const ext of ['info', 'mod', 'zip'])
    await whenStored(larder.base, file('example.com/held', ext));
  await whenStored(larder.base, file('example.com/held', 'info', 'v1.1.0'));
  await request(larder.base, '/example.com/held/@v/list');
  const asked = upstream.log.length;
  const zip = await only(file('example.com/held', 'zip'));
  expectBytes(zip, held.zip);
  expect(outcomeOf(zip)).toBe('hit');
  await eventually('the version is complete', async () => {
    const list = await only('/example.com/held/@v/list');
    return list.body.toString() === 'v1.0.0\n';
  });
  expect(JSON.parse((await only('/example.com/held/@latest')).body.toString())).toMatchObject({
    Version: 'v1.0.0',
  });
  expectGoError(await only(file('example.com/held', 'zip', 'v1.1.0')), 404, /not in the store/);
  expect(upstream.log.length).toBe(asked);
});

test('the checksum database is proxied, and served from the store without it', async () => {
  const upstream = await startUpstream();
  const database = await startSumdb({ sums: upstream.sumsTemplate, fill: 600 });
  const env = { LARDER_GO_UPSTREAM: upstream.url, LARDER_GO_SUMDB: database.setting };
  const larder = await startLarderProcess({ env });
  upstream.add('example.com/m', 'v1.0.0');
  const below = (name: string) => request(larder.base, `/sumdb/${database.name}/${name}`);
  expect((await below('supported')).status).toBe(200);
  const lookup = await below('lookup/example.com/m@v1.0.0');
  expect(lookup.body.toString()).toContain('example.com/m v1.0.0 h1:');
  const full = await below('tile/8/0/000');
  expect(full.length).toBe(256 * 32);
  await database.close();
  const again = await eventually('the tile is a hit', async () => {
    const reply = await below('tile/8/0/000');
    return outcomeOf(reply) === 'hit' && reply;
  });
  expect(again.sha256).toBe(full.sha256);
  const part = await below('tile/8/0/000.p/5');
  expect(part.body.equals(full.body.subarray(0, 5 * 32))).toBe(true);
  const held = await request(
    larder.base,
    `/cached-only/sumdb/${database.name}/lookup/example.com/m@v1.0.0`,
  );
  expect(held.sha256).toBe(lookup.sha256);
  expect((await request(larder.base, '/sumdb/other.test/supported')).status).toBe(404);
});

test('private names are asked of nobody', async () => {
  const upstream = await startUpstream();
  const database = await startSumdb({ sums: upstream.sumsTemplate });
  const larder = await startLarderProcess({
    env: {
      LARDER_GO_UPSTREAM: upstream.url,
      LARDER_GO_SUMDB: database.setting,
      LARDER_GO_PRIVATE: 'example.com/Secret/*',
    },
  });
  const spellings = [
    '/example.com/!secret/m',
    '/example.com/%21secret/m',
    '/example.com/!secret/m/v2',
  ];
  for (const name of spellings) {
    for (const rest of ['/@v/list', '/@latest', '/@v/main.info']) {
      const reply = await request(larder.base, name + rest);
      expect(reply.status).toBeGreaterThanOrEqual(400);
    }
  }
  const looked = await request(
    larder.base,
    `/sumdb/${database.name}/lookup/example.com/!secret/m@v1.0.0`,
  );
  expect(looked.status).toBeGreaterThanOrEqual(400);
  expect(upstream.log).toEqual([]);
  expect(JSON.stringify(await database.log())).not.toMatch(/secret/i);
});

test('a request that comes back to the same server is refused', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const name = file('example.com/m', 'mod');
  upstream.fault(name, { redirect: larder.base + name });
  expectGoError(await request(larder.base, name), 502);
  expect((await request(larder.base, '/healthz')).status).toBe(200);
});

test('a full disk: bytes pass through, nothing partial stays, and all is well with room again', async () => {
  const storage = path.join(tempDir(), 'small');
  mkdirSync(storage);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', storage], { stdio: 'pipe' });
  } catch (error) {
    throw new Error('this test needs root and mount, to have a disk that is full', {
      cause: error,
    });
  }
  atEnd(() => {
    execFileSync('umount', ['-l', storage]);
  });
  const upstream = await startUpstream();
  const larder = await startLarderProcess({
    env: {
      LARDER_GO_UPSTREAM: upstream.url,
      LARDER_STORAGE_DIR: storage,
      LARDER_SPOOL_DIR: path.join(storage, '.spool'),
    },
  });
  const large = upstream.add('example.com/large', 'v1.0.0', { noise: 9e6 });
  const small = upstream.add('example.com/small', 'v1.0.0', { noise: 300_000 });
  for (let i = 0; i < 2; i++) {
    expectBytes(await request(larder.base, file('example.com/large', 'zip')), large.zip);
  }
  await eventually('nothing of it stays', () =>
    filesBelow(storage).every((name) => !name.includes('large')),
  );
  await whenStored(larder.base, file('example.com/small', 'zip'));
  expectBytes(await request(larder.base, file('example.com/small', 'zip')), small.zip);
  expect(upstream.requests(file('example.com/large', 'zip')).length).toBe(2);
});

test('a list that lacks a version that was fetched is asked for anew, also one that was not there', async () => {
  const upstream = await startUpstream();
  const env = {
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_LIST_TTL: '1h',
    LARDER_NEGATIVE_TTL: '1h',
  };
  const larder = await startLarderProcess({ env });
  const list = '/example.com/late/@v/list';
  expectGoError(await request(larder.base, list), 404);
  const listed = (versions: string) =>
    eventually(`the list is ${versions}`, async () => {
      const reply = await request(larder.base, list);
      return reply.body.toString() === versions;
    });
  upstream.add('example.com/late', 'v1.0.0');
  await whenStored(larder.base, file('example.com/late', 'mod'));
  await listed('v1.0.0\n');
  const asked = () => upstream.requests(list).length;
  const before = asked();
  await whenStored(larder.base, file('example.com/late', 'zip'));
  await listed('v1.0.0\n');
  expect(asked()).toBe(before);
  upstream.add('example.com/late', 'v1.1.0');
  await whenStored(larder.base, file('example.com/late', 'info', 'v1.1.0'));
  await listed('v1.0.0\nv1.1.0\n');
});
