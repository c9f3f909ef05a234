import { readFileSync } from 'node:fs';

import { fileReason } from './start-error.ts';

/** Settings that may hold a secret. Each can come from the file that `<NAME>_FILE` names. */
const secretNames = [
  'LARDER_GO_UPSTREAM',
  'LARDER_S3_ACCESS_KEY_ID',
  'LARDER_S3_SECRET_ACCESS_KEY',
  'LARDER_REDIS_URL',
  'LARDER_PEER_SECRET',
  'LARDER_ADMIN_TOKEN',
  'LARDER_ADMISSION_URL',
] as const;

type Given = Readonly<Record<string, string | undefined>>;

/**
 * Reads secrets out of their files: the values with which the settings are to be read, and a sentence for each problem.
 * White space at either end of a file, such as its last newline, is no part of the secret.
 */
export function withSecretFiles(given: Given): {
  readonly values: Given;
  readonly problems: readonly string[];
} {
  const values: Record<string, string | undefined> = { ...given };
  const problems: string[] = [];
  for (const name of secretNames) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    if (given[name] !== undefined) {
      problems.push(`${name} and ${name}_FILE are both set: set one of them.`);
      continue;
    }
    try {
      values[name] = readFileSync(file, 'utf8').trim();
      if (values[name] === '')
        problems.push(`${name}_FILE="${file}" is empty: write the value into it.`);
    } catch (error) {
      problems.push(`${name}_FILE="${file}" cannot be read: ${fileReason(error)}.`);
    }
  }
  return { values, problems };
}
