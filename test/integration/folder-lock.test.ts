// Who uses a folder keeps others out of it, for as long as its process lives.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lockFolder } from '../../src/storage/folder-lock.ts';
import { atEnd, tempDir } from '../support/tmp.ts';

const unlocked = (error: unknown) => {
  throw error;
};
const lock = (folder: string) => lockFolder(folder, unlocked);

/** Another process that has the folder. */
async function holder(folder: string) {
  const url = new URL('../../src/storage/folder-lock.ts', import.meta.url).href;
  const code = `const { lockFolder } = await import(${JSON.stringify(url)});
    console.log(await lockFolder(${JSON.stringify(folder)}, () => {}) ? 'has it' : 'has it not');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  atEnd(() => child.kill('SIGKILL'));
  const [said] = (await once(child.stdout, 'data')) as [Buffer];
  expect(said.toString()).toBe('has it\n');
  return child;
}

test('one at a time, one after another', async () => {
  const folder = tempDir();
  const first = await lock(folder);
  expect(await lock(folder)).toBeUndefined();
  await first?.release();
  const second = await lock(folder);
  expect(second).toBeDefined();
  expect(await lock(folder)).toBeUndefined();
  await second?.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('a process that was killed has nothing any more', async () => {
  const folder = tempDir();
  const child = await holder(folder);
  expect(await lock(folder)).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const mine = await lock(folder);
  expect(mine).toBeDefined();
  await mine?.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('many at once after a kill: one has it', async () => {
  const folder = tempDir();
  const child = await holder(folder);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const locks = await Promise.all(Array.from({ length: 50 }, () => lock(folder)));
  expect(locks.filter((one) => one !== undefined)).toHaveLength(1);
  expect(await lock(folder)).toBeUndefined();
});

test('a folder whose path is longer than the address of a socket', async () => {
  const folder = join(tempDir(), 'x'.repeat(200));
  mkdirSync(folder);
  const mine = await lock(folder);
  expect([mine !== undefined, await lock(folder)]).toEqual([true, undefined]);
  await mine?.release();
});

test('a file of that name is no lock', async () => {
  const folder = tempDir();
  writeFileSync(join(folder, '.lock'), 'of somebody');
  const mine = await lock(folder);
  expect(mine).toBeDefined();
  await mine?.release();
});
