// Modules from version control (issue 6): what Larder makes of them is what go makes of them, a private name is seen by nobody
// else, and a version is made once.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { goModDownload, type GoDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { eventually, filesBelow } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
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
  await eventually('all three files are stored', async () => {
    const { body } = await request(larder.base, '/index');
    return body.toString().includes('v1.0.1-0.20240506070809');
  });
  const zips = filesBelow(larder.storageDir).filter((file) => file.endsWith('.zip'));
  expect(zips).toHaveLength(1);
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
      LARDER_GO_PRIVATE: `${HOST}/acme`,
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
