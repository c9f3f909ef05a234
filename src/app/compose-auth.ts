// The part of the composition that asks clients who they are.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

import { LarderError } from '../engine/errors.ts';
import { BasicAuth } from '../http/basic-auth.ts';
import type { DataPlane } from '../http/context.ts';
import { guarded, type Door } from '../http/guard.ts';
import { parseHtpasswd } from '../http/htpasswd.ts';
import type { OnMistake } from '../http/mistakes.ts';
import { PasswordChecker } from '../http/password-checker.ts';
import type { Logger } from '../observability/logger.ts';
import { fileReason, StartError } from './start-error.ts';
import { FileWatch } from './watched-files.ts';

export interface ClientAuth {
  /** The same plane for the users of the file alone. */
  guard(plane: DataPlane, door: Door): DataPlane;
  close(): Promise<void>;
}

/** Throws StartError when the file of users cannot be used. */
export function composeAuth(file: string, logger: Logger, onMistake: OnMistake): ClientAuth {
  const checker = new PasswordChecker();
  let held: Buffer;
  let auth: BasicAuth;
  try {
    held = readFileSync(file);
    auth = new BasicAuth(parseHtpasswd(held), checker);
  } catch (error) {
    const why = error instanceof LarderError ? error.message : fileReason(error);
    throw new StartError(`LARDER_AUTH_HTPASSWD="${file}" cannot be used: ${why}.`, {
      cause: error,
    });
  }
  const reload = async (): Promise<boolean> => {
    const bytes = await readFile(file);
    if (bytes.equals(held)) return false;
    auth.replace(parseHtpasswd(bytes));
    held = bytes;
    return true;
  };
  const watch = new FileWatch({ name: 'LARDER_AUTH_HTPASSWD', files: [file], reload }, logger);
  return {
    guard: (plane, door) => guarded(plane, door, auth, onMistake),
    async close() {
      watch.close();
      await checker.close();
    },
  };
}
