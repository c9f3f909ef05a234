// What `helm test` runs in a pod.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chartDir } from '../../support/chart.ts';
import { atEnd } from '../../support/tmp.ts';

/** Resolves to how it ended, and to what it asked a server for that answers with that status. */
async function run({ status, users }: { status: number; users: boolean }) {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    asked.push(req.url ?? '');
    res.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  atEnd(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const script = readFileSync(join(chartDir, 'files/test.mjs'), 'utf8');
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    env: {
      SCHEME: 'http',
      SERVICE_HOST: '127.0.0.1',
      SERVICE_PORT: String(port),
      MODULE: 'example.com/Mine',
      USERS: String(users),
    },
  });
  atEnd(() => void child.kill('SIGKILL'));
  const [code] = (await once(child, 'exit')) as [number | null];
  return { code, asked };
}

test('a release is asked for images and for a module, whose capitals are written as go writes them', async () => {
  expect(await run({ status: 200, users: false })).toEqual({
    code: 0,
    asked: ['/v2/', '/example.com/!mine/@v/list'],
  });
});

test.each([
  { status: 200, users: true, code: 1 },
  { status: 401, users: true, code: 0 },
  { status: 401, users: false, code: 1 },
  { status: 502, users: false, code: 1 },
])('$status, users: $users: it ends with $code', async ({ status, users, code }) => {
  expect((await run({ status, users })).code).toBe(code);
});
