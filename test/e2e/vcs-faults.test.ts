// Version control that hangs, refuses, or is gone, and a Larder that ends in the middle (issue 6, behaviours 4 and 5): no process
// stays behind, nothing partial is kept, and nobody else waits.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { countedGo } from '../support/counted-go.ts';
import { goModDownload } from '../support/go.ts';
import { request, type Reply } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { filePath } from '../support/modules.ts';
import { expectBytes, whenStored } from '../support/replies.ts';
import { eventually, filesBelow, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { directly, HOST, processesOf, startCode } from '../support/vcs.ts';

const EXTENSIONS = ['info', 'mod', 'zip'] as const;

/** A repository with one version, and what it is asked by. */
async function oneVersion(name = 'one.git') {
  const { git, gitConfig } = await startCode();
  const repository = git.repository(name);
  const module = `${HOST}/${name}`;
  repository.commit({ 'go.mod': `module ${module}\n`, 'a.go': 'package one\n' }, 'v1.0.0');
  const paths = EXTENSIONS.map((ext) => filePath({ module, version: 'v1.0.0' }, ext));
  const env = { LARDER_GO_PRIVATE: HOST, LARDER_GIT_CONFIG: gitConfig };
  return { git, gitConfig, repository, module, paths, env };
}

const statuses = (replies: readonly Reply[]) => [...new Set(replies.map(({ status }) => status))];

test('20 clients at once, for all three files of a cold version: one go process', async () => {
  const { paths, env } = await oneVersion();
  const go = countedGo();
  const larder = await startLarderProcess({ env: { ...env, PATH: go.path } });
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, i) => request(larder.base, paths[i % 3] ?? '')),
  );
  expect(statuses(replies)).toEqual([200]);
  for (const path of paths) await whenStored(larder.base, path);
  expect(go.runs()).toEqual([`mod download -json ${HOST}/one.git@v1.0.0`]);
});

test.for(EXTENSIONS)('asked for the .%s alone, all three are stored', async (ext) => {
  const { paths, env } = await oneVersion();
  const larder = await startLarderProcess({ env: { ...env, LARDER_GO_READ_AHEAD: 'none' } });
  const path = paths[EXTENSIONS.indexOf(ext)] ?? '';
  expect(await request(larder.base, path)).toMatchObject({ status: 200 });
  for (const each of paths) await whenStored(larder.base, each);
  const { text } = await request(larder.base, '/index');
  expect(text.trim().split('\n')).toHaveLength(1);
});

test('a go process that hangs is killed at its deadline, with all that it started; the next request works', async () => {
  const { git, paths, env } = await oneVersion();
  const larder = await startLarderProcess({ env: { ...env, LARDER_VCS_TIMEOUT: '1s' } });
  const open = git.hold();
  const reply = await request(larder.base, paths[0] ?? '');
  expect(reply).toMatchObject({ status: 504 });
  expect(reply.text).toContain('fetch timed out');
  await eventually('all of it is gone', () => processesOf(larder.spoolDir).length === 0);
  open();
  await eventually('the failure is forgotten', async () => {
    const { status } = await request(larder.base, paths[0] ?? '');
    return status === 200;
  });
});

test('kill -9 of Larder while go fetches: no process stays, nothing partial, and the next start has no trace', async () => {
  const { git, paths, env } = await oneVersion();
  const larder = await startLarderProcess({ env });
  const open = git.hold();
  const replies = paths.map((path) => request(larder.base, path));
  await eventually('git waits', () => git.held > 0);
  expect(processesOf(larder.spoolDir).some((one) => one.includes('git'))).toBe(true);
  await larder.kill9();
  await Promise.all(replies);
  await eventually('all of it is gone', () => processesOf(larder.spoolDir).length === 0);
  open();
  const again = await startLarderProcess({ env, dir: larder.dir });
  expect(filesBelow(again.spoolDir)).toEqual([]);
  expect(filesBelow(again.storageDir).filter((file) => file.includes(HOST))).toEqual([]);
  for (const path of paths) expect(await request(again.base, path)).toMatchObject({ status: 200 });
});

test('SIGTERM while go hangs: it ends in time, with code 0, and no process stays', async () => {
  const { git, paths, env } = await oneVersion();
  const larder = await startLarderProcess({ env: { ...env, LARDER_DRAIN_TIMEOUT: '200ms' } });
  git.hold();
  const reply = request(larder.base, paths[2] ?? '');
  await eventually('git waits', () => git.held > 0);
  expect(await larder.stop()).toEqual({ code: 0, signal: null });
  await reply;
  expect(processesOf(larder.spoolDir)).toEqual([]);
  expect(filesBelow(larder.spoolDir)).toEqual([]);
});

test('30 hung fetches from version control: proxies, hits and lists go on', async () => {
  const { git, gitConfig } = await startCode();
  const upstream = await startUpstream();
  const [cold, warm] = ['cold', 'warm'].map((name) =>
    upstream.add(`example.com/${name}`, 'v1.0.0'),
  );
  if (!cold || !warm) throw new Error('two were added');
  const env = { LARDER_GO_UPSTREAM: `${upstream.url},direct`, LARDER_GIT_CONFIG: gitConfig };
  const larder = await startLarderProcess({ env });
  expectBytes(await request(larder.base, filePath(warm, 'zip')), warm.zip);
  const open = git.hold();
  const leaving = new AbortController();
  const hung = Array.from({ length: 90 }, (_, i) => {
    const module = `${HOST}/hung${String(i % 30)}.git`;
    const path = filePath({ module, version: 'v1.0.0' }, EXTENSIONS[i % 3] ?? 'zip');
    return request(larder.base, path, { signal: leaving.signal });
  });
  await eventually('as many as may run wait', () => git.held === 8);
  for (const ext of EXTENSIONS) {
    expectBytes(await request(larder.base, filePath(cold, ext)), cold[ext]);
    expectBytes(await request(larder.base, filePath(warm, ext)), warm[ext]);
  }
  const list = await request(larder.base, '/example.com/cold/@v/list');
  expect(list.text).toBe('v1.0.0\n');
  leaving.abort();
  await Promise.all(hung);
  open();
});

test('what go complains of: 404 in its own words, 502 for credentials and a host that is gone; no secret is told', async () => {
  const { git, module, paths, env } = await oneVersion();
  const netrc = join(tempDir(), 'netrc');
  writeFileSync(netrc, 'machine 127.0.0.1 login robot password hunter2-secret\n');
  const larder = await startLarderProcess({ env });
  const knowing = await startLarderProcess({ env: { ...env, LARDER_NETRC: netrc } });
  const ask = (base: string, what: string) => request(base, `/${module}/@v/${what}`);

  const absent = await ask(larder.base, 'v1.9.0.info');
  expect(absent).toMatchObject({ status: 404 });
  expect(absent.text).toContain('unknown revision v1.9.0');
  const none = await request(larder.base, `/${HOST}/none.git/@v/v1.0.0.info`);
  expect(none).toMatchObject({ status: 404 });
  expect(none.text).toContain('not found');

  git.credentials = { user: 'robot', password: 'hunter2-secret' };
  const refused = await ask(larder.base, 'v1.0.0.zip');
  expect(refused).toMatchObject({ status: 502 });
  expect(refused.text).toContain('LARDER_NETRC');
  expect(await ask(knowing.base, 'v1.0.0.zip')).toMatchObject({ status: 200 });
  expect(await request(knowing.base, `/${module}/@v/list`)).toMatchObject({ text: 'v1.0.0\n' });
  git.credentials = { user: 'robot', password: 'another' };
  const wrong = await ask(knowing.base, 'other.info');
  expect(wrong).toMatchObject({ status: 502 });

  git.credentials = undefined;
  git.status = 503;
  expect(await ask(larder.base, 'v1.1.0.info')).toMatchObject({ status: 502 });
  await git.down();
  const gone = await ask(larder.base, 'v1.2.0.info');
  expect(gone).toMatchObject({ status: 502 });
  const told = [absent, none, refused, wrong, gone].map(({ text }) => text).join('\n');
  expect(told).not.toContain(larder.dir);
  expect(told + JSON.stringify([...larder.log(), ...knowing.log()])).not.toContain('hunter2');
  expect(paths).toHaveLength(3);
});

test('a version of which a kill left the zip alone is completed of the same commit, also when its tag was moved', async () => {
  const { gitConfig, repository, module, paths, env } = await oneVersion();
  const larder = await startLarderProcess({ env });
  const [before] = await directly([`${module}@v1.0.0`], gitConfig);
  const [info] = paths;
  const whole = await Promise.all(paths.map((path) => request(larder.base, path)));
  for (const path of paths) await whenStored(larder.base, path);
  await larder.stop();
  const files = filesBelow(larder.storageDir).filter((file) => /v1\.0\.0\.(info|mod)/.test(file));
  expect(files).toHaveLength(4);
  for (const file of files) rmSync(file);
  repository.commit({ 'a.go': 'package one // another\n' }, 'v1.0.0');

  const go = countedGo();
  const again = await startLarderProcess({ env: { ...env, PATH: go.path }, dir: larder.dir });
  expect(await request(again.base, info ?? '')).toMatchObject({ text: whole[0]?.text });
  const [after] = await goModDownload([`${module}@v1.0.0`], { proxy: again.base });
  expect(after?.Sum).toBe(before?.Sum);
  expect(go.runs()).toEqual([]);

  // and of a version that lost its zip nothing of the new commit is mixed in
  await again.stop();
  for (const file of filesBelow(larder.storageDir)) if (file.includes('v1.0.0.zip')) rmSync(file);
  const third = await startLarderProcess({ env, dir: larder.dir });
  const zip = await request(third.base, paths[2] ?? '');
  expect(zip).toMatchObject({ status: 502 });
  expect(zip.text).toContain('its tag was moved');
});

test("go runs in an environment of Larder's making: nothing of a user gets in, no secret of Larder", async () => {
  const { paths, env } = await oneVersion();
  const go = countedGo();
  const larder = await startLarderProcess({
    env: {
      ...env,
      PATH: go.path,
      LARDER_GO_UPSTREAM: 'https://user:open-sesame@127.0.0.1:1',
      GOFLAGS: '-nosuchflag',
      GOPROXY: 'off',
      GIT_DIR: '/nowhere',
      GIT_SSH_COMMAND: 'false',
      NO_PROXY: 'of.the.outside',
    },
  });
  expect(await request(larder.base, paths[0] ?? '')).toMatchObject({ status: 200 });
  const seen = go.environment();
  expect(Object.keys(seen).filter((name) => name.startsWith('LARDER_'))).toEqual([]);
  expect(JSON.stringify(seen)).not.toContain('sesame');
  expect(seen).toMatchObject({
    GOENV: 'off',
    GOPROXY: 'direct',
    GOTOOLCHAIN: 'local',
    GIT_TERMINAL_PROMPT: '0',
    NO_PROXY: 'of.the.outside',
  });
  expect(seen['HOME']).toContain(larder.spoolDir);
  expect(seen['GIT_DIR']).toBeUndefined();
});

test('no go command behind a proxy: direct is left out, which is told, and a 404 of the proxy stays one', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: `${upstream.url},direct`, PATH: '/nowhere' },
  });
  expect(await request(larder.base, '/example.com/none/@v/v1.0.0.info')).toMatchObject({
    status: 404,
  });
  const said =
    'no go and no git on the PATH: direct, the last step of LARDER_GO_UPSTREAM, is left out';
  await eventually('it is told', () => larder.log().some(({ msg }) => msg === said));
});

test('a purged version of which the tag was moved is fetched anew, and is the new commit', async () => {
  const { repository, module, paths, env } = await oneVersion();
  const larder = await startLarderProcess({ env: { ...env, LARDER_ADMIN_TOKEN: 'token' } });
  const before = await request(larder.base, paths[2] ?? '');
  for (const path of paths) await whenStored(larder.base, path);
  repository.commit({ 'a.go': 'package one // another\n' }, 'v1.0.0');
  const purge = await request(larder.base, '/admin/purge', {
    method: 'POST',
    headers: { authorization: 'Bearer token' },
    body: JSON.stringify({ go: `${module}@v1.0.0` }),
  });
  expect(JSON.parse(purge.text)).toMatchObject({ purged: [`go:${module}@v1.0.0`] });
  const after = await request(larder.base, paths[2] ?? '');
  expect(after).toMatchObject({ status: 200 });
  expect(after.sha256).not.toBe(before.sha256);
});
