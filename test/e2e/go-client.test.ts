// The real go command through Larder (issue 3, behaviour 6).

import { describe, expect, test } from 'vitest';
import { go, goModDownload, goOutput, project } from '../support/go.ts';
import type { GoDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { filePath } from '../support/modules.ts';
import type { ModuleVersion } from '../support/modules.ts';
import { expectGoError, whenStored } from '../support/replies.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import type { Upstream } from '../support/upstream.ts';

/** What go.sum has for a version, by the names of `go mod download -json`. */
function sumsOf({
  module,
  version,
  sums,
}: ModuleVersion): Pick<GoDownload, 'Path' | 'Version' | 'Sum' | 'GoModSum'> {
  const [zip = '', mod = ''] = sums
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ')[2] ?? '');
  return { Path: module, Version: version, Sum: zip, GoModSum: mod };
}

function expectDownloads(
  downloads: readonly GoDownload[],
  versions: readonly ModuleVersion[],
): void {
  const byPath = <T extends { Path: string }>(list: readonly T[]) =>
    [...list].sort((a, b) => (a.Path < b.Path ? -1 : 1));
  expect(byPath(downloads)).toMatchObject(byPath(versions.map(sumsOf)));
  expect(downloads).toHaveLength(versions.length);
}

const pathsAsked = (upstream: Upstream): string[] =>
  upstream.log.map(({ method, path }) => `${method} ${path}`).sort();

describe('a graph of 32 modules', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const name = (i: number) => `example.com/graph/m${String(i).padStart(2, '0')}`;
  const count = 32;
  // everybody wants the newer version of the next module and is content with the older one of the next but one
  const versions = Array.from({ length: count }, (_, i) => {
    const requires: Record<string, string> = {};
    if (i + 1 < count) requires[name(i + 1)] = 'v1.1.0';
    if (i + 2 < count) requires[name(i + 2)] = 'v1.0.0';
    upstream.add(name(i), 'v1.0.0', { requires });
    return upstream.add(name(i), 'v1.1.0', { requires, noise: i * 1000 });
  });
  const main = () => project(`module example.com/main\n\ngo 1.16\n\nrequire ${name(0)} v1.1.0\n`);
  const download = (proxy: string) => goModDownload(['all'], { proxy, cwd: main() });

  test('cold: every file is asked of the upstream once', async () => {
    expectDownloads(await download(larder.base), versions);
    const asked = pathsAsked(upstream);
    expect(asked).toEqual([...new Set(asked)]);
    for (const version of versions) {
      expect(upstream.requests(filePath(version, 'zip'))).toMatchObject([
        { state: 'done', sent: version.zip.size },
      ]);
    }
  });

  test('warm: with the upstream dead', async () => {
    await upstream.down();
    for (const version of versions) await whenStored(larder.base, filePath(version, 'zip'));
    expectDownloads(await download(larder.base), versions);
  });

  test('the store is a file tree that go reads by itself', async () => {
    await larder.stop();
    const proxy = `file://${larder.storageDir}/go`;
    expectDownloads(await download(proxy), versions);
    const listed = await goOutput(['list', '-m', '-versions', `${name(5)}@v1.1.0`], { proxy });
    expect(listed.split(' ')).toEqual(expect.arrayContaining([name(5), 'v1.1.0']));
  });
});

describe('queries', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const proxy = larder.base;
  const list = (...args: string[]) => goOutput(['list', '-m', ...args], { proxy });

  test('versions, the latest one, and a prefix', async () => {
    for (const version of ['v1.0.0', 'v1.2.0', 'v1.10.0', 'v1.11.0-beta.1'])
      upstream.add('example.com/many', version);
    expect(await list('-versions', 'example.com/many@latest')).toBe(
      'example.com/many v1.0.0 v1.2.0 v1.10.0 v1.11.0-beta.1',
    );
    expect(await list('example.com/many@latest')).toBe('example.com/many v1.10.0');
    expect(await list('example.com/many@v1.2')).toBe('example.com/many v1.2.0');
    expect(await list('example.com/many@<v1.2.0')).toBe('example.com/many v1.0.0');
  });

  test('retracted versions are hidden, and said to be retracted', async () => {
    upstream.add('example.com/retracting', 'v1.0.0');
    upstream.add('example.com/retracting', 'v1.1.0');
    upstream.add('example.com/retracting', 'v1.2.0', { retracts: ['v1.1.0'] });
    const module = 'example.com/retracting';
    expect(await list('-versions', `${module}@latest`)).toBe(`${module} v1.0.0 v1.2.0`);
    expect(await list('-versions', '-retracted', `${module}@latest`)).toBe(
      `${module} v1.0.0 v1.1.0 v1.2.0`,
    );
    const rationale = await list('-retracted', '-f', '{{.Retracted}}', `${module}@v1.1.0`);
    expect(rationale).toBe('[made for a test]');
  });

  test('a branch, a commit, and a module without tagged versions', async () => {
    const module = 'example.com/untagged';
    const version = upstream.add(module, 'v0.0.0-20240506070809-abcdef123456');
    for (const revision of ['main', 'abcdef123456']) {
      upstream.name(module, revision, version.version);
      expect(await list(`${module}@${revision}`)).toBe(`${module} ${version.version}`);
    }
    expect(await list(`${module}@latest`)).toBe(`${module} ${version.version}`);
    expectDownloads(await goModDownload([`${module}@main`], { proxy }), [version]);
  });

  test('+incompatible, a major version in the path, upper case', async () => {
    const versions = [
      upstream.add('example.com/old', 'v2.0.0+incompatible'),
      upstream.add('example.com/new/v2', 'v2.1.0'),
      upstream.add('example.com/Upper/CASE', 'v1.0.0-RC1'),
    ];
    const wanted = versions.map(({ module, version }) => `${module}@${version}`);
    expectDownloads(await goModDownload(wanted, { proxy }), versions);
    upstream.name('example.com/old', 'v2.0.0', 'v2.0.0+incompatible');
    expect(await list('example.com/old@v2.0.0')).toBe('example.com/old v2.0.0+incompatible');
  });

  test('a version that is not there', async () => {
    upstream.add('example.com/lonely', 'v1.0.0');
    const [download] = await goModDownload(['example.com/lonely@v1.9.9'], { proxy });
    expect(download?.Error).toMatch(/404 Not Found/);
  });
});

describe('two upstreams', async () => {
  const first = await startUpstream();
  const second = await startUpstream();
  const commas = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: `${first.url},${second.url}` },
  });
  const pipes = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: `${first.url}|${second.url}` },
  });
  let serial = 0;
  const onSecond = () => {
    serial += 1;
    return second.add(`example.com/second${String(serial)}`, 'v1.0.0');
  };
  const download = ({ module, version }: ModuleVersion, proxy: string) =>
    goModDownload([`${module}@${version}`], { proxy });
  const asked = (upstream: Upstream, { module }: ModuleVersion) =>
    upstream.log.filter(({ path }) => path.startsWith(`/${module}/`));

  test.for([404, 410])('a,b: %i falls through', async (status) => {
    const version = onSecond();
    first.fault(new RegExp(`^/${version.module}/`), { status });
    expectDownloads(await download(version, commas.base), [version]);
    expect(asked(first, version)).not.toEqual([]);
  });

  test.for([
    [403, '403 Forbidden'],
    [401, '502 Bad Gateway'],
    [500, '502 Bad Gateway'],
    [503, '502 Bad Gateway'],
  ] as const)('a,b: %i does not', async ([status, said]) => {
    const version = onSecond();
    first.fault(new RegExp(`^/${version.module}/`), { status });
    const [failed] = await download(version, commas.base);
    expect(failed?.Error).toContain(said);
    expect(failed?.Error).toContain('server response: '); // go shows the reason
    expect(asked(second, version)).toEqual([]);
  });

  test.for([404, 403, 500])('a|b: %i falls through', async (status) => {
    const version = onSecond();
    first.fault(new RegExp(`^/${version.module}/`), { status });
    expectDownloads(await download(version, pipes.base), [version]);
  });

  test('a version keeps to the upstream that its first file came from', async () => {
    const version = onSecond();
    expect(await request(commas.base, filePath(version, 'info'))).toMatchObject({ status: 200 });
    first.add(version.module, version.version, { files: { 'other.go': 'package other\n' } });
    expectDownloads(await download(version, commas.base), [version]);
  });

  test('GOPROXY=larder,b of the go command itself: on 404 alone', async () => {
    const alone = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: first.url } });
    const proxy = `${alone.base},${second.url}`;
    const absent = onSecond();
    expectDownloads(await download(absent, proxy), [absent]);
    for (const status of [403, 500]) {
      const refused = onSecond();
      first.fault(new RegExp(`^/${refused.module}/`), { status });
      expect((await download(refused, proxy))[0]?.Error).toBeDefined();
      expect(asked(second, refused)).toEqual([]);
    }
  });
});

describe('a checksum database', async () => {
  const upstream = await startUpstream();
  const database = await startSumdb({ sums: upstream.sumsTemplate });
  atEnd(() => database.close());
  const env = { LARDER_GO_UPSTREAM: upstream.url, LARDER_GO_SUMDB: database.setting };
  const larder = await startLarderProcess({ env });
  const proxy = larder.base;
  const sumdb = database.vkey; // without a URL: go reaches it through its proxy

  test('go verifies through Larder, which has verified by itself', async () => {
    const version = upstream.add('example.com/honest', 'v1.0.0');
    const wanted = [`${version.module}@${version.version}`];
    expectDownloads(await goModDownload(wanted, { proxy, sumdb }), [version]);
    expect(await database.log()).toContain(`/lookup/${version.module}@${version.version}`);

    await database.clearLog();
    upstream.clearLog();
    expectDownloads(await goModDownload(wanted, { proxy, sumdb }), [version]);
    expect(await database.log()).toEqual([]);
    expect(upstream.requests(/^\/example\.com\//)).toEqual([]);
  });

  test('an upstream whose bytes are not those of the record: go says checksum mismatch', async () => {
    const module = 'example.com/tampered';
    upstream.add(module, 'v1.0.0');
    await request(database.url, `/lookup/${module}@v1.0.0`); // makes the record
    const tampered = upstream.add(module, 'v1.0.0', { files: { 'evil.go': 'package evil\n' } });

    const run = await go(['mod', 'download', `${module}@v1.0.0`], { proxy, sumdb });
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain('checksum mismatch');
    expectGoError(await request(proxy, filePath(tampered, 'zip')), 502, 'checksum mismatch');
  });

  test('a database that lies about a version: it is not handed on', async () => {
    const version = upstream.add('example.com/slandered', 'v1.0.0');
    await database.control({ lies: ['example.com/slandered@v1.0.0'] });
    const run = await go(['mod', 'download', 'example.com/slandered@v1.0.0'], { proxy, sumdb });
    expect(run.code).not.toBe(0);
    expect(run.stderr).toContain('checksum mismatch');
    for (const extension of ['mod', 'zip'] as const) {
      expectGoError(await request(proxy, filePath(version, extension)), 502, 'checksum mismatch');
    }
  });

  test('reached through the upstream, where that has it', async () => {
    const passing = await startUpstream();
    passing.passSumdb(database.name, database.url);
    const version = upstream.add('example.com/passed', 'v1.0.0');
    passing.add(version.module, version.version);
    // a database without a URL of its own is looked for behind the upstreams, as go does
    const behind = await startLarderProcess({
      env: { LARDER_GO_UPSTREAM: passing.url, LARDER_GO_SUMDB: database.vkey },
    });
    const wanted = [`${version.module}@${version.version}`];
    expectDownloads(await goModDownload(wanted, { proxy: behind.base, sumdb }), [version]);
    expect(passing.requests(new RegExp(`^/sumdb/${database.name}/lookup/`))).toHaveLength(1);
  });

  test('everything out of reach: what was proved once is proved again from the store', async () => {
    const near = await startUpstream();
    const log = await startSumdb({ fill: 600, sums: near.sumsTemplate });
    const settings = {
      dir: tempDir(),
      env: { LARDER_GO_UPSTREAM: near.url, LARDER_GO_SUMDB: log.setting },
    };
    const versions = ['older', 'newer'].map((name) => near.add(`example.com/${name}`, 'v1.0.0'));
    const wanted = versions.map(({ module }) => `${module}@v1.0.0`);
    const online = await startLarderProcess(settings);
    const download = (base: string) => goModDownload(wanted, { proxy: base, sumdb: log.vkey });
    expectDownloads(await download(online.base), versions);
    for (const version of versions) await whenStored(online.base, filePath(version, 'zip'));
    await online.stop();
    await Promise.all([near.down(), log.close()]);

    const offline = await startLarderProcess(settings);
    expectDownloads(await download(offline.base), versions);
  });
});
