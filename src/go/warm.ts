// Versions of modules that are brought somewhere ahead of need, one file after another as go asks for them.

import { LarderError } from '../engine/errors.ts';
import type { WantedVersion } from './go-sum.ts';
import type { FileExtension, GoFileName } from './names.ts';
import { parseGoName } from './purge.ts';
import { EXTENSIONS } from './stored-files.ts';

/** Reads `MODULE@VERSION`, all files of it. Throws LarderError `invalid` with a sentence. */
export function parseVersion(text: string): WantedVersion {
  const { module, version } = parseGoName(text);
  if (version === undefined)
    throw new LarderError('invalid', `${module} has no version: give one such as ${module}@v1.2.3`);
  return { module, version, files: EXTENSIONS };
}

/** As a purge names it. */
export const versionName = ({ module, version }: WantedVersion): string =>
  `go:${module}@${version}`;

export interface VersionWalk {
  /** Brings a file: whether it was fetched just now. Throws LarderError, and the signal's reason that it was made with. */
  readonly keep: (name: GoFileName) => Promise<boolean>;
  /** Told of every file that is found, and of every one that is done with. */
  readonly found: () => void;
  readonly done: () => void;
}

/**
 * Brings the files of a version, its `.info` first: it says where the others come from, and without it they are worth nothing. True
 * when any was fetched just now. Throws what failed first, with the file in front of its sentence.
 */
export async function walkVersion(
  { module, version, files }: WantedVersion,
  { keep, found, done }: VersionWalk,
): Promise<boolean> {
  const bring = async (ext: FileExtension): Promise<boolean> => {
    try {
      return await keep({ kind: 'file', module, version, ext });
    } catch (error) {
      if (!(error instanceof LarderError)) throw error;
      throw new LarderError(error.code, `.${ext}: ${error.message}`, { cause: error });
    } finally {
      done();
    }
  };
  files.forEach(found);
  const [first, ...others] = files;
  if (first === undefined) return false;
  const isNew = await bring(first);
  const ends = await Promise.allSettled(others.map(bring));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
  return isNew || ends.some((end) => end.status === 'fulfilled' && end.value);
}
