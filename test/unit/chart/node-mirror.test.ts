// The script that the chart's DaemonSet runs on every node.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chartDir } from '../../support/chart.ts';
import { atEnd, eventually, tempDir } from '../../support/tmp.ts';

const UPSTREAMS =
  'docker.io=https://registry-1.docker.io, ghcr.io=https://ghcr.io\nquay.io=https://quay.io';

function start(env: Record<string, string>) {
  const script = join(chartDir, 'files/node-mirror.mjs');
  const child = spawn(process.execPath, [script], {
    env: { OWNER: 'here/larder', UPSTREAMS, ...env },
  });
  atEnd(() => void child.kill('SIGKILL'));
  return { child, ended: once(child, 'exit') };
}

test('a node is told of every upstream, and of none when it ends; what another wrote stays', async () => {
  const dir = tempDir();
  const file = (name: string) => join(dir, name, 'hosts.toml');
  mkdirSync(join(dir, 'quay.io'));
  writeFileSync(file('quay.io'), 'server = "https://mine.example.com"\n');
  const { child, ended } = start({ FOLDER: dir, SERVICE_HOST: 'fd00::9', SERVICE_PORT: '3000' });
  await eventually('the files are there', () => existsSync(file('ghcr.io')));
  expect(readFileSync(file('docker.io'), 'utf8').split('\n').slice(1)).toEqual([
    'server = "https://registry-1.docker.io"',
    '',
    '[host."http://[fd00::9]:3000"]',
    '  capabilities = ["pull", "resolve"]',
    '',
  ]);
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  expect(readdirSync(dir)).toEqual(['quay.io']);
  expect(readFileSync(file('quay.io'), 'utf8')).toBe('server = "https://mine.example.com"\n');
});

test('by the address that is given; without one there is nothing to write', async () => {
  const dir = tempDir();
  const { ended } = start({
    FOLDER: dir,
    SERVICE_HOST: '$(LARDER_SERVICE_HOST)',
    SERVICE_PORT: '',
  });
  expect(await ended).toEqual([1, null]);
  expect(readdirSync(dir)).toEqual([]);
  start({ FOLDER: dir, ADDRESS: 'https://larder.example.com/' });
  const text = await eventually('a file is there', () => {
    const file = join(dir, 'quay.io/hosts.toml');
    return existsSync(file) && readFileSync(file, 'utf8');
  });
  expect(text).toContain('[host."https://larder.example.com"]');
});
