// What the go command leaves on the disk is bounded, and what it starts leaves nothing.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../src/go/vcs/command.ts';
import { Workspace } from '../../src/go/vcs/workspace.ts';
import { eventually, filesBelow, tempDir } from '../support/tmp.ts';

const never = new AbortController().signal;
const env = { PATH: process.env['PATH'] ?? '' };

const CONTENTS = { netrc: undefined, files: {} };

test('a home that has grown too large is given up, as soon as nobody works in it', async () => {
  const root = tempDir();
  const workspace = new Workspace(root, 1000, CONTENTS);
  const [one, two] = [await workspace.enter(), await workspace.enter()];
  expect(two.home).toBe(one.home);
  writeFileSync(join(one.home, 'clone'), Buffer.alloc(2000));
  one.leave(false);
  const next = await eventually('a new home', async () => {
    const place = await workspace.enter();
    if (place.home !== two.home) return place;
    place.leave(false);
    return undefined;
  });
  expect(existsSync(two.home)).toBe(true);
  two.leave(false);
  await eventually('the old one is gone', () => !existsSync(two.home));
  next.leave(false);
  await workspace.close();
  expect(filesBelow(root)).toEqual([]);
});

test('a home in which a run was killed is used no more', async () => {
  const workspace = new Workspace(tempDir(), 1000, CONTENTS);
  const place = await workspace.enter();
  place.leave(true);
  await eventually('it is gone', () => !existsSync(place.home));
  const next = await workspace.enter();
  expect(next.home).not.toBe(place.home);
  next.leave(false);
});

test('what an earlier process left is swept', async () => {
  const root = tempDir();
  mkdirSync(join(root, 'old'));
  writeFileSync(join(root, 'old/clone'), 'x');
  await new Workspace(root, 1000, CONTENTS).sweep();
  expect(filesBelow(root)).toEqual([]);
});

test('a command gives what it says, and the code it ends with', async () => {
  const args = ['sh', '-c', 'echo out; echo err >&2; exit 3'] as const;
  const ended = await run({ args, cwd: tempDir(), env }, never);
  expect(ended).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
});

test('what a command leaves behind ends with it', async () => {
  const args = ['sh', '-c', 'sleep 600 & echo $!'] as const;
  const { stdout } = await run({ args, cwd: tempDir(), env }, never);
  await eventually('it is gone', () => isGone(Number(stdout)));
});

test('an abort ends a command and all that it started, and is its reason', async () => {
  const file = join(tempDir(), 'pid');
  const args = ['sh', '-c', `sh -c 'echo $$ >${file}; sleep 600'; true`] as const;
  const abort = new AbortController();
  const running = run({ args, cwd: tempDir(), env }, abort.signal);
  await eventually('it runs', () => filesBelow(file.slice(0, -4)).length > 0);
  const reason = new Error('enough');
  abort.abort(reason);
  await expect(running).rejects.toBe(reason);
});

test('a command that is not there is told by its code', async () => {
  const { code, stderr } = await run({ args: ['no-such-program'], cwd: tempDir(), env }, never);
  expect(code).toBe(127);
  expect(stderr).toContain('no-such-program');
});

/** Also when it is dead and nobody has buried it. */
function isGone(pid: number): boolean {
  const status = `/proc/${String(pid)}/status`;
  return !existsSync(status) || /^State:\s+Z/m.test(readFileSync(status, 'utf8'));
}
