// Modules from version control (issue 6): what Larder makes of them is what go makes of them, a private name is seen by nobody
// else, and a version is made once.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { goModDownload, type GoDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { startVanity } from '../support/vanity.ts';
import { directly, HOST, startCode } from '../support/vcs.ts';

const sums = (downloads: readonly GoDownload[]) =>
  downloads.map(({ Path, Version, Error, Sum, GoModSum }) => ({
    Path,
    Version,
    Error,
    Sum,
    GoModSum,
  }));
const infos = (downloads: readonly GoDownload[]) =>
  downloads.map(({ Info }) => JSON.parse(readFileSync(Info ?? '', 'utf8')) as unknown);

test('every shape of module: the same hashes as by go itself', async () => {
  const { git, gitConfig } = await startCode();
  const shapes = git.repository('shapes.git');
  const module = `${HOST}/shapes.git`;
  shapes.commit({ 'a.go': 'package shapes\n', LICENSE: 'of the root\n' }, 'v0.1.0', 'v2.0.0');
  shapes.commit({ 'go.mod': `module ${module}\n` }, 'v1.0.0');
  shapes.commit(
    { 'nested/go.mod': `module ${module}/nested\n`, 'nested/n.go': 'package nested\n' },
    'v1.1.0',
    'nested/v0.3.0',
  );
  shapes.commit({ 'v3/go.mod': `module ${module}/v3\n`, 'v3/a.go': 'package shapes\n' }, 'v3.0.0');
  const larder = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: 'direct', LARDER_GIT_CONFIG: gitConfig },
  });
  const modules = [
    `${module}@v0.1.0`,
    `${module}@v2.0.0+incompatible`,
    `${module}@v1.0.0`,
    `${module}@v1.1.0`,
    `${module}/nested@v0.3.0`,
    `${module}/v3@v3.0.0`,
  ];
  const [own, through] = [
    await directly(modules, gitConfig),
    await goModDownload(modules, { proxy: larder.base }),
  ];
  expect(sums(through)).toEqual(sums(own));
  expect(sums(own).map(({ Error }) => Error)).toEqual(modules.map(() => undefined));
  expect(infos(through)).toEqual(infos(own));
});

test('a branch and a short commit: one canonical version, stored once', async () => {
  const { git, gitConfig } = await startCode();
  const repository = git.repository('branch.git');
  const module = `${HOST}/branch.git`;
  repository.commit({ 'go.mod': `module ${module}\n`, 'a.go': 'package branch\n' }, 'v1.0.0');
  const hash = repository.commit({ 'a.go': 'package branch // more\n' });
  const larder = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: 'direct', LARDER_GIT_CONFIG: gitConfig },
  });
  const queries = [`${module}@main`, `${module}@${hash.slice(0, 8)}`];
  for (const query of queries) {
    const own = await directly([query], gitConfig);
    expect(sums(await goModDownload([query], { proxy: larder.base }))).toEqual(sums(own));
  }
  const lines = await eventually('all three files are stored', async () => {
    const { text } = await request(larder.base, '/index');
    return text.includes('v1.0.1-0.20240506070809') && text.trim().split('\n');
  });
  expect(lines).toHaveLength(1);
  const list = await request(larder.base, `/${module}/@v/list`);
  expect(list.text).toBe('v1.0.0\n');
  const latest = await request(larder.base, `/${module}/@latest`);
  expect(JSON.parse(latest.text)).toMatchObject({ Version: 'v1.0.0' });
});

test('private beside public: no upstream and no database sees the name', async () => {
  const { git, gitConfig } = await startCode();
  const upstream = await startUpstream();
  upstream.add('example.com/public', 'v1.0.0');
  const secret = `${HOST}/acme/Secret.git`;
  git.repository('acme/Secret.git').commit({ 'go.mod': `module ${secret}\n` }, 'v1.0.0');
  const larder = await startLarderProcess({
    env: {
      LARDER_GO_UPSTREAM: `${upstream.url},direct`,
      LARDER_GO_PRIVATE: `${HOST}/acme/Secret`,
      LARDER_GIT_CONFIG: gitConfig,
      LARDER_GO_READ_AHEAD: 'all',
    },
  });
  const downloads = await goModDownload(['example.com/public@v1.0.0', `${secret}@v1.0.0`], {
    proxy: larder.base,
  });
  expect(downloads.map(({ Error }) => Error)).toEqual([undefined, undefined]);
  const path = `/${HOST}/acme/!secret.git`;
  for (const spelled of [path, path.replace('acme', '%61cme')]) {
    for (const what of ['@v/list', '@latest', '@v/main.info', '@v/v1.0.0.zip', '@v/v9.9.9.mod']) {
      const reply = await request(larder.base, `${spelled}/${what}`);
      expect([200, 404]).toContain(reply.status);
      await request(larder.base, `${spelled}/${what}`, { method: 'HEAD' });
    }
    const lookup = await request(larder.base, `/sumdb/sum.golang.org/lookup${spelled}@v1.0.0`);
    expect(lookup.status).not.toBe(200);
  }
  expect(JSON.stringify(upstream.log)).not.toMatch(/secret/i);
  expect(upstream.log.length).toBeGreaterThan(0);
});

test('a vanity import path, in a repository of another name and a folder of it; proxy and authority are passed on', async () => {
  const { git, gitConfig } = await startCode();
  const root = 'go.vanity.example';
  const repository = git.repository('deep/real-name.git');
  repository.commit({ 'go.mod': `module ${root}/tool\n`, 'a.go': 'package tool\n' }, 'v1.2.3');
  repository.commit(
    { 'sub/go.mod': `module ${root}/tool/sub\n`, 'sub/a.go': 'package sub\n' },
    'sub/v0.1.0',
  );
  const meta = `${root}/tool git https://${HOST}/deep/real-name`;
  const vanity = await startVanity(root, { '/tool': meta, '/tool/sub': meta });
  const modules = [`${root}/tool@v1.2.3`, `${root}/tool/sub@v0.1.0`];
  const own = await directly(modules, gitConfig, vanity.env);
  const larder = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: 'direct', LARDER_GIT_CONFIG: gitConfig, ...vanity.env },
  });
  const before = vanity.asked.length;
  const through = await goModDownload(modules, { proxy: larder.base });
  expect(sums(through)).toEqual(sums(own));
  expect(sums(own).map(({ Error }) => Error)).toEqual([undefined, undefined]);
  expect(infos(through)).toEqual(infos(own));
  expect(vanity.asked.length).toBeGreaterThan(before);
});

test('a list past its time is served at once, and refreshed behind', async () => {
  const { git, gitConfig } = await startCode();
  const module = `${HOST}/list.git`;
  const repository = git.repository('list.git');
  repository.commit({ 'go.mod': `module ${module}\n` }, 'v1.0.0');
  const larder = await startLarderProcess({
    env: { LARDER_GO_PRIVATE: HOST, LARDER_GIT_CONFIG: gitConfig, LARDER_LIST_TTL: '0s' },
  });
  const list = () => request(larder.base, `/${module}/@v/list`);
  expect(await list()).toMatchObject({ text: 'v1.0.0\n', headers: { 'x-larder-cache': 'miss' } });
  repository.commit({ 'a.go': 'package list\n' }, 'v1.1.0');
  const open = git.hold();
  expect(await list()).toMatchObject({ text: 'v1.0.0\n', headers: { 'x-larder-cache': 'stale' } });
  open();
  await eventually('the refreshed list', async () => (await list()).text === 'v1.0.0\nv1.1.0\n');
});

test('a folder as upstream, before version control; credentials of netrc for a proxy', async () => {
  const { git, gitConfig } = await startCode();
  const module = `${HOST}/kept.git`;
  git.repository('kept.git').commit({ 'go.mod': `module ${module}\n` }, 'v1.0.0');
  const first = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: 'direct', LARDER_GIT_CONFIG: gitConfig },
  });
  const [own] = await goModDownload([`${module}@v1.0.0`], { proxy: first.base });
  await git.down();
  const upstream = await startUpstream();
  upstream.add('example.com/credited', 'v1.0.0');
  const netrc = join(tempDir(), 'netrc');
  writeFileSync(netrc, 'machine 127.0.0.1 login robot password hunter2\n');
  const second = await startLarderProcess({
    env: {
      LARDER_GO_UPSTREAM: `file://${first.storageDir}/go,${upstream.url}`,
      LARDER_NETRC: netrc,
    },
  });
  const [kept, credited] = await goModDownload(
    [`${module}@v1.0.0`, 'example.com/credited@v1.0.0'],
    {
      proxy: second.base,
    },
  );
  expect(kept?.Sum).toBe(own?.Sum);
  expect(credited?.Error).toBeUndefined();
  expect(new Set(upstream.log.map(({ headers }) => headers.authorization))).toEqual(
    new Set([`Basic ${btoa('robot:hunter2')}`]),
  );
});
