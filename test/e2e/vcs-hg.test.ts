// Version control that is not git, where its program is installed (issue 6): Mercurial, over HTTPS as go finds it.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { answering, freePorts, startDaemon } from '../support/daemon.ts';
import { goModDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { atEnd, tempDir } from '../support/tmp.ts';
import { startVanity } from '../support/vanity.ts';
import { directly } from '../support/vcs.ts';

const HOST = 'hg.example.com';

/** A Mercurial repository with a tag, served on loopback. Resolves to its URL. */
async function serveRepository(module: string, tag: string): Promise<string> {
  const dir = join(tempDir(), 'repository');
  mkdirSync(dir);
  const env = { PATH: process.env['PATH'] ?? '', HGRCPATH: '/dev/null', HGUSER: 'test' };
  const hg = (...args: string[]) => execFileSync('hg', args, { cwd: dir, env });
  hg('init');
  writeFileSync(join(dir, 'go.mod'), `module ${module}\n`);
  writeFileSync(join(dir, 'a.go'), 'package tool\n');
  hg('commit', '-A', '-m', 'a commit of a test', '-d', '2024-05-06 07:08:09 +0000');
  hg('tag', '-d', '2024-05-06 07:08:10 +0000', tag);
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${String(port)}`;
  const serve = [
    'serve',
    '--cwd',
    dir,
    '--address',
    '127.0.0.1',
    '--port',
    String(port),
    '--prefix',
    'repository',
  ];
  const daemon = startDaemon('hg', 'hg', serve, { folder: tempDir(), env });
  atEnd(() => daemon.kill());
  await answering(url, daemon);
  return url;
}

test('a Mercurial repository: the hashes that go makes of it, and its list', async () => {
  const module = `${HOST}/tool`;
  const url = await serveRepository(module, 'v1.0.0');
  const imports = { '/tool': `${module} hg https://${HOST}/repository` };
  const vanity = await startVanity(HOST, imports, url);
  // what Mercurial knows a proxy by, whatever the scheme
  const env = { ...vanity.env, http_proxy: vanity.env.HTTPS_PROXY };
  const larder = await startLarderProcess({ env: { ...env, LARDER_GO_UPSTREAM: 'direct' } });
  const hgrc = join(tempDir(), 'hgrc');
  writeFileSync(hgrc, `[web]\ncacerts = ${vanity.env.SSL_CERT_FILE}\n`);
  const [own] = await directly([`${module}@v1.0.0`], '/dev/null', { ...env, HGRCPATH: hgrc });
  const [through] = await goModDownload([`${module}@v1.0.0`], { proxy: larder.base });
  expect(own).not.toHaveProperty('Error');
  expect(through).toMatchObject({ Sum: own?.Sum, GoModSum: own?.GoModSum });
  const list = await request(larder.base, `/${module}/@v/list`);
  expect(list.text).toBe('v1.0.0\n');
});
