// Where bodies in flight wait.

import { tmpdir } from 'node:os';
import { relative, resolve, sep } from 'node:path';

interface SpoolSettings {
  readonly LARDER_STORAGE: 'file' | 's3';
  readonly LARDER_STORAGE_DIR: string;
  readonly LARDER_SPOOL_DIR?: string | undefined;
  readonly LARDER_PORT: number;
}

/** No key of the file store begins with a dot, so this folder is no key's. With S3 each port has its own. */
export function spoolDirOf(values: SpoolSettings): string {
  if (values.LARDER_SPOOL_DIR !== undefined) return values.LARDER_SPOOL_DIR;
  return values.LARDER_STORAGE === 's3'
    ? resolve(tmpdir(), `larder-${String(values.LARDER_PORT)}`)
    : resolve(values.LARDER_STORAGE_DIR, '.spool');
}

/** The spool folder is swept at start, so nothing of the store may be in it, nor it among the store's keys. */
export function spoolProblems(values: SpoolSettings): string[] {
  if (values.LARDER_STORAGE === 's3') return [];
  const { LARDER_STORAGE_DIR: storageDir } = values;
  const spoolDir = spoolDirOf(values);
  const amongKeys = within(spoolDir, storageDir) && !relative(storageDir, spoolDir).startsWith('.');
  if (!within(storageDir, spoolDir) && !amongKeys) return [];
  return [
    `LARDER_SPOOL_DIR="${spoolDir}" overlaps the store in ${storageDir}: ` +
      'give a folder outside it, or one right below it whose name begins with a dot.',
  ];
}

/** Whether a folder is the root itself or somewhere below it. */
function within(folder: string, root: string): boolean {
  const steps = relative(root, folder);
  return steps !== '..' && !steps.startsWith(`..${sep}`);
}
