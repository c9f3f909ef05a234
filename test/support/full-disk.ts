// A disk that takes no more. As root a real one, small and mounted for the test; else a folder that is not there.

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { atEnd, tempDir } from './tmp.ts';

const REAL_DISK = 1024 * 1024;

/** `room`: bytes that fit before it is full. */
export function fullDisk(): { dir: string; room: number } {
  const dir = tempDir();
  try {
    const size = `size=${String(REAL_DISK)}`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'larder-test', dir], { stdio: 'pipe' });
  } catch {
    // not root, or not allowed to mount
    rmSync(dir, { recursive: true });
    return { dir, room: 0 };
  }
  atEnd(() => execFileSync('umount', ['-l', dir]));
  return { dir, room: REAL_DISK };
}
