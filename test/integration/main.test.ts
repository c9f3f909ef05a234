import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { request } from '../support/http.ts';
import { runLarder, startLarderProcess } from '../support/larder.ts';
import { tempDir } from '../support/tmp.ts';

const quiet = { LARDER_GO_UPSTREAM: 'off', LARDER_GO_SUMDB: 'off', LARDER_HOST: '127.0.0.1' };

describe('the command line', () => {
  test.each([['--help'], ['-h'], ['serve', '--help']])('%s shows the usage', async (...args) => {
    const run = await runLarder(args);
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toMatch(/^Usage: larder/);
  });

  test.each([['--version'], ['-v']])('%s shows the version', async (...args) => {
    const file = new URL('../../package.json', import.meta.url);
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    expect(await runLarder(args)).toMatchObject({
      code: 0,
      stdout: `larder ${version}\n`,
      stderr: '',
    });
  });

  test.each([
    [['bake'], /^There is no verb "bake"; larder --help/],
    [['--port', '1'], /^Unknown option '--port'; larder --help/],
    [['serve', 'now'], /^serve takes no arguments/],
  ])('%j is a wrong use', async (args, sentence) => {
    const run = await runLarder(args);
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toMatch(sentence);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('a start that fails says why, without a stack, and ends with 2', () => {
  test('all bad settings at once', async () => {
    const env = { ...quiet, LARDER_PORT: 'x', LARDER_STORAGE: 'disk', LARDER_PROT: '1' };
    const run = await runLarder([], { env });
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(3);
    expect(run.stderr).not.toMatch(/^ +at /m);
  });

  test('a proxy that is none', async () => {
    const run = await runLarder([], { env: { ...quiet, HTTPS_PROXY: 'proxy.example.com' } });
    expect(run).toMatchObject({ code: 2, stdout: '' });
    expect(run.stderr).toMatch(/^HTTPS_PROXY="proxy\.example\.com" is not usable: .*\n$/);
  });

  test('a port in use', async () => {
    const { base } = await startLarderProcess();
    const run = await runLarder([], { env: { ...quiet, LARDER_PORT: new URL(base).port } });
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/^Cannot listen on .*LARDER_PORT.*\n$/);
  });

  test.each([['a-file'], ['a-file/below'], ['/proc/larder']])(
    'a folder that cannot be written: %s',
    async (folder) => {
      const cwd = tempDir();
      writeFileSync(join(cwd, 'a-file'), '');
      const env = { ...quiet, LARDER_PORT: '0', LARDER_STORAGE_DIR: folder };
      const run = await runLarder([], { env, cwd });
      expect(run.code).toBe(2);
      expect(run.stderr).toMatch(/^LARDER_STORAGE_DIR=.* cannot be written: .*\n$/);
    },
  );

  test('a file where the store needs a folder', async () => {
    const cwd = tempDir();
    writeFileSync(join(cwd, '.tmp'), '');
    const run = await runLarder([], { env: { ...quiet, LARDER_STORAGE_DIR: cwd }, cwd });
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(/^Larder cannot start, as the system refuses: .*\.tmp.*\n$/);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with 0, its log whole', async (signal) => {
    const larder = await startLarderProcess();
    await request(larder.base, '/version');
    larder.signal(signal);
    expect(await larder.ended).toEqual({ code: 0, signal: null });
    expect(larder.stderr()).toBe('');
    const log = larder.log();
    expect(log).toContainEqual(expect.objectContaining({ path: '/version', status: 200 }));
    expect(log.at(-1)).toMatchObject({ msg: 'stopped' });
  });
});
