// The command line as a person meets it: what it says, where, and with which exit code.

import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { runLarder, startLarderProcess } from '../support/larder.ts';
import type { Run, Settings } from '../support/larder.ts';
import { atEnd, tempDir } from '../support/tmp.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

/** Settings that would do, in a folder of their own. */
function goodSettings(): Settings {
  return {
    LARDER_HOST: '127.0.0.1',
    LARDER_PORT: '0',
    LARDER_STORAGE_DIR: join(tempDir(), 'data'),
    LARDER_GO_UPSTREAM: 'off',
    LARDER_GO_SUMDB: 'off',
  };
}

/** Exit code 2 and so many lines for a person on standard error, each with its part; no trace of the inside. */
function expectUsageError(run: Run, lines: readonly (string | RegExp)[]): void {
  expect(run).toMatchObject({ code: 2, signal: null, stdout: '' });
  const said = run.stderr.trimEnd().split('\n');
  for (const [i, wanted] of lines.entries()) expect(said[i]).toMatch(wanted);
  expect(said).toHaveLength(lines.length);
  expect(run.stderr).not.toMatch(/^\s+at |node:|Error:/m);
}

test.for(['--help', '-h'])('%s says how to use it', async (flag) => {
  const run = await runLarder([flag]);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^Usage: larder/);
  for (const word of ['serve', '--help', '--version', 'LARDER_GO_UPSTREAM', 'LARDER_STORAGE_DIR']) {
    expect(run.stdout).toContain(word);
  }
});

test.for(['--version', '-v'])('%s says which version it is', async (flag) => {
  const run = await runLarder([flag]);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout.trim().split(/\s+/)).toContain(version);
});

test('help needs no good settings', async () => {
  expect(await runLarder(['--help'], { env: { LARDER_PORT: 'many' } })).toMatchObject({ code: 0 });
});

test('an unknown verb', async () => {
  expectUsageError(await runLarder(['frobnicate'], { env: goodSettings() }), ['frobnicate']);
});

test('an unknown option', async () => {
  expectUsageError(await runLarder(['serve', '--frobnicate'], { env: goodSettings() }), [
    '--frobnicate',
  ]);
});

test('an unknown setting, and which one was meant', async () => {
  const env = { ...goodSettings(), LARDER_GO_UPSTREEM: 'off' };
  expectUsageError(await runLarder([], { env }), [/LARDER_GO_UPSTREEM.*LARDER_GO_UPSTREAM/]);
});

test('several bad values: all are told at once', async () => {
  const env = {
    ...goodSettings(),
    LARDER_PORT: '70000',
    LARDER_LIST_TTL: 'a while',
    LARDER_LOG_LEVEL: 'loud',
    LARDER_NONSENSE: '1',
  };
  const run = await runLarder(['serve'], { env });
  expectUsageError(run, [/./, /./, /./, /./]);
  for (const name of ['LARDER_PORT', 'LARDER_LIST_TTL', 'LARDER_LOG_LEVEL', 'LARDER_NONSENSE']) {
    expect(run.stderr.match(new RegExp(`^${name}\\b`, 'gm'))).toHaveLength(1);
  }
});

test.for(['ftp://proxy.example.com', 'https://proxy.example.com:port', ','])(
  'LARDER_GO_UPSTREAM=%s',
  async (upstream) => {
    const env = { ...goodSettings(), LARDER_GO_UPSTREAM: upstream };
    expectUsageError(await runLarder(['serve'], { env }), ['LARDER_GO_UPSTREAM']);
  },
);

test('a bad URL with credentials: they are not repeated', async () => {
  const env = { ...goodSettings(), LARDER_GO_UPSTREAM: 'ftp://robot:hunter2@proxy.example.com' };
  const run = await runLarder(['serve'], { env });
  expectUsageError(run, ['LARDER_GO_UPSTREAM']);
  expect(run.stderr).not.toContain('hunter2');
});

test('a port that another program has', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  atEnd(() => other.close());
  await once(other, 'listening');
  const port = String((other.address() as AddressInfo).port);
  const run = await runLarder(['serve'], { env: { ...goodSettings(), LARDER_PORT: port } });
  expectUsageError(run, [new RegExp(`port ${port}.*LARDER_PORT`)]);
});

test.for(['LARDER_STORAGE_DIR', 'LARDER_SPOOL_DIR'])('%s is a file', async (name) => {
  const file = join(tempDir(), 'file');
  writeFileSync(file, '');
  const env = { ...goodSettings(), [name]: file };
  expectUsageError(await runLarder(['serve'], { env }), [name]);
});

test('a store of a newer format is refused, and left as it is', async () => {
  const env = goodSettings();
  const dir = env['LARDER_STORAGE_DIR'] ?? '';
  const files = ['format.json', '.tmp/of-a-newer-one'];
  mkdirSync(join(dir, '.tmp'), { recursive: true });
  for (const file of files) writeFileSync(join(dir, file), '{"format":99}');
  for (const verb of ['serve', 'collect', 'migrate']) {
    const run = await runLarder([verb], { env });
    expect([1, 2]).toContain(run.code);
    expect(run.stderr).toMatch(/^.*\b99\b.*[^.]\.\n$/);
    for (const file of files) expect(readFileSync(join(dir, file), 'utf8')).toBe('{"format":99}');
  }
  rmSync(join(dir, '.tmp'), { recursive: true });
  await runLarder(['serve'], { env });
  expect(readdirSync(dir)).toEqual(['format.json']);
});

test('serve is the default; it ends by SIGTERM and SIGINT with 0, its log is JSON lines', async () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const larder = await startLarderProcess();
    expect(await request(larder.base, '/version')).toMatchObject({ status: 200 });
    larder.signal(signal);
    expect(await larder.ended).toEqual({ code: 0, signal: null });
    expect(larder.stderr()).toBe('');
    expect(larder.log()).toContainEqual(expect.objectContaining({ path: '/version', status: 200 }));
  }
});

test.for([
  ['LARDER_GO_PRIVATE', { LARDER_GO_PRIVATE: 'corp.example.com' }],
  ['direct', { LARDER_GO_UPSTREAM: 'direct' }],
] as const)('no go command, and %s needs one', async ([what, env]) => {
  const run = await runLarder([], { env: { ...goodSettings(), PATH: '/nowhere', ...env } });
  expectUsageError(run, [new RegExp(`^No go command .*${what}.* needs one: install Go`)]);
});

test.for([
  'LARDER_NETRC',
  'LARDER_GIT_CONFIG',
  'LARDER_SSH_KEY_FILE',
  'LARDER_SSH_KNOWN_HOSTS_FILE',
])('%s names no file', async (name) => {
  const run = await runLarder([], { env: { ...goodSettings(), [name]: '/nowhere/file' } });
  expectUsageError(run, [`${name}="/nowhere/file" cannot be read: there is no such file`]);
});
