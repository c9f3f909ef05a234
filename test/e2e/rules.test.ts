// The rules file of the real program: checked by its verb and at its start, read again on SIGHUP.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { runLarder, startLarderProcess } from '../support/larder.ts';
import { expectGoError } from '../support/replies.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { HOST, startCode } from '../support/vcs.ts';

function rulesFile(text: string): string {
  const file = join(tempDir(), 'rules.yaml');
  writeFileSync(file, text);
  return file;
}

const good = 'go:\n  - match: example.com\n    deny: not here\n';
const bad = 'go:\n  - match: example.com\n    deny: not here\n    mode: fast\n';

test('larder rules check ends with 0 for a good file, whatever it decides', async () => {
  const file = rulesFile(good);
  const names = ['go:example.com/m@v1.0.0', 'oci:docker.io/library/nginx:1'];
  const { code, stdout, stderr } = await runLarder(['rules', 'check', file, '--json', ...names]);
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { name: names[0], decision: 'deny', rule: 1, reason: 'not here' },
    { name: names[1], decision: 'allow', rule: null },
  ]);
});

test('a bad file: 2, by the verb and at the start', async () => {
  const file = rulesFile(bad);
  const sentence = `${file}:4: go rule 1, mode: is not known`;
  const check = await runLarder(['rules', 'check', file]);
  expect([check.code, check.stdout]).toEqual([2, '']);
  expect(check.stderr).toContain(sentence);
  const env = {
    LARDER_GO_UPSTREAM: 'off',
    LARDER_GO_SUMDB: 'off',
    LARDER_PORT: '0',
    LARDER_RULES_FILE: file,
  };
  const start = await runLarder(['serve'], { env });
  expect(start.code).toBe(2);
  expect(start.stderr).toContain(sentence);
});

test('SIGHUP reads the file again; a bad one changes nothing', async () => {
  const file = rulesFile('');
  const larder = await startLarderProcess({ env: { LARDER_RULES_FILE: file } });
  const get = () => request(larder.base, '/example.com/m/@v/list');
  const reread = async (text: string, message: string) => {
    const before = larder.log().filter(({ msg }) => msg === message).length;
    writeFileSync(file, text);
    larder.signal('SIGHUP');
    await eventually(
      message,
      () => larder.log().filter(({ msg }) => msg === message).length > before,
    );
  };
  expect((await get()).status).toBe(404);
  await reread(good, 'the rules were read again');
  expectGoError(await get(), 403, /^not here$/);
  await reread(bad, 'the new rules are bad: the old ones stay');
  expectGoError(await get(), 403, /^not here$/);
  await reread('', 'the rules were read again');
  expect((await get()).status).toBe(404);
});

test('private names, and what a rule sends to version control, are never redirected, nor asked of anybody', async () => {
  const { git, gitConfig } = await startCode();
  const upstream = await startUpstream();
  for (const name of ['private', 'ruled']) {
    const module = `${HOST}/${name}.git`;
    git.repository(`${name}.git`).commit({ 'go.mod': `module ${module}\n` }, 'v1.0.0');
    upstream.add(module, 'v1.0.0');
  }
  upstream.add('example.com/other', 'v1.0.0');
  const file = rulesFile(`
go:
  - { match: ${HOST}/private.git, upstream: "${upstream.url}" }
  - { match: ${HOST}/ruled.git, upstream: direct }
`);
  const larder = await startLarderProcess({
    env: {
      LARDER_GO_UPSTREAM: upstream.url,
      LARDER_GO_PRIVATE: `${HOST}/private.git`,
      LARDER_GIT_CONFIG: gitConfig,
      LARDER_MODE: 'async_redirect',
      LARDER_RULES_FILE: file,
    },
  });
  for (const name of ['private', 'ruled']) {
    for (const path of ['@v/v1.0.0.info', '@v/v1.0.0.zip', '@v/list', '@latest', '@v/main.info']) {
      const reply = await request(larder.base, `/${HOST}/${name}.git/${path}`);
      expect([path, reply.status]).toEqual([path, 200]);
    }
  }
  expect(upstream.log).toEqual([]);
  const other = await request(larder.base, '/example.com/other/@v/v1.0.0.zip');
  expect(other.status).toBe(302);
});
