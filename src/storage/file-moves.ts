// How finished files come into a folder: written beside it under a name of their own, then renamed.

import { copyFile, link, mkdir, rename, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { StashSource } from '../engine/ports.ts';

/** A finished file of its own: linked from the spool where that is on the same disk, else copied. */
export async function place(source: StashSource, temp: string): Promise<void> {
  if ('path' in source) {
    await link(source.path, temp).catch(async (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'ENOTSUP') throw error;
      await copyFile(source.path, temp);
    });
  }
  if ('bytes' in source) await writeFile(temp, source.bytes, { flag: 'wx' });
}

/** A rename, which replaces what a killed process left. Somebody may have removed the folder. */
export async function moveInto(temp: string, file: string): Promise<void> {
  await rename(temp, file).catch(async (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(path.dirname(file), { recursive: true });
    await rename(temp, file);
  });
}

export async function discard(...temps: string[]): Promise<void> {
  await Promise.all(temps.map((temp) => unlink(temp).catch(() => undefined)));
}

/** As Promise.all, but when one fails the others have ended too: nothing of theirs comes after a tidying up. */
export async function allDone<T extends readonly Promise<unknown>[]>(
  work: readonly [...T],
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG';
}
