// Things a test makes and must not leave behind, and waiting for what happens by itself.

import { mkdtempSync, readdirSync, rmSync, type Dirent } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, onTestFinished, TestRunner } from 'vitest';

type Cleanup = () => unknown;
const ofThisFile: Cleanup[] = [];

afterAll(async () => {
  const failures: unknown[] = [];
  for (const cleanup of ofThisFile.splice(0).reverse()) {
    try {
      await cleanup();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0)
    throw new AggregateError(failures, 'Cleaning up after the tests failed.');
});

/**
 * Runs `cleanup` at the end of the running test; outside a test (a hook, the top of a file), at the
 * end of the file. Last registered, first run.
 */
export function atEnd(cleanup: Cleanup): void {
  const inTest = TestRunner.getCurrentTest() as unknown;
  if (inTest === undefined) {
    ofThisFile.push(cleanup);
    return;
  }
  onTestFinished(async () => {
    await cleanup();
  });
}

const lastResorts: (() => void)[] = [];

/** Runs `cleanup`, which must be synchronous, when the process ends. Last registered, first run. */
export function atExit(cleanup: () => void): void {
  lastResorts.unshift(cleanup);
}

process.on('exit', () => {
  for (const cleanup of lastResorts) cleanup();
});
// how vitest ends a worker whose file failed before its first test, for which no hook runs
process.once('SIGTERM', () => process.exit(143));
process.once('disconnect', () => process.exit(1));

const folders = new Set<string>();

function remove(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  folders.delete(dir);
}

atExit(() => {
  for (const dir of folders) remove(dir);
});

/** A fresh folder, removed with all that is in it at the end of the test or file. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'larder-test-'));
  folders.add(dir);
  atEnd(() => {
    remove(dir);
  });
  return dir;
}

/** Paths of the files below a folder, ascending; none when the folder is not there. What goes meanwhile is not among them. */
export function filesBelow(dir: string): string[] {
  const found = entriesOf(dir).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
  return found.sort();
}

function entriesOf(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Asks again until `probe` neither throws nor returns undefined, null or false, and resolves to what it returned.
 * The limit says only when to give up on what will not come: no test depends on how long it takes.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  limitMs = 20_000,
): Promise<Exclude<T, undefined | null | false>> {
  const end = performance.now() + limitMs;
  for (;;) {
    let error: unknown;
    try {
      const result = await probe();
      if (result !== undefined && result !== null && result !== false) {
        return result as Exclude<T, undefined | null | false>;
      }
    } catch (thrown) {
      error = thrown;
    }
    if (performance.now() > end) {
      throw new Error(`Waited ${String(limitMs)} ms in vain: ${what}.`, { cause: error });
    }
    await sleep(25);
  }
}
