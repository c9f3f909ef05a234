import { hash } from 'node:crypto';
import { LarderError } from '../../engine/errors.ts';

/** What was downloaded: the `h1:` hash of a zip, or of a go.mod. */
export type DownloadedSum = { readonly zipH1: string } | { readonly goModH1: string };

/**
 * Compares a download with the go.sum lines of its version. The first `h1:` line of its kind decides, as in the go
 * command; lines with other hashes are for later versions of Go.
 * Throws LarderError `checksum_mismatch` with both hashes, or when there is no such line.
 */
export function verifySums(
  lines: readonly string[],
  module: string,
  version: string,
  downloaded: DownloadedSum,
): void {
  const [noun, name, sum] =
    'zipH1' in downloaded
      ? ['module', version, downloaded.zipH1]
      : ['go.mod', `${version}/go.mod`, downloaded.goModH1];
  const prefix = `${module} ${name} `;
  const listed = lines.find((line) => line.startsWith(`${prefix}h1:`))?.slice(prefix.length);
  if (listed === sum) return;
  throw new LarderError(
    'checksum_mismatch',
    listed === undefined
      ? `checksum mismatch: verifying ${noun} ${module}@${version}: the checksum database lists no h1 hash for it.`
      : `checksum mismatch: verifying ${noun} ${module}@${version}: downloaded: ${sum}, checksum database: ${listed}`,
  );
}

/** The `h1:` hash of a go.mod: dirhash.Hash1 over the one file `go.mod`. */
export function goModHash(bytes: Uint8Array): string {
  return `h1:${hash('sha256', `${hash('sha256', bytes, 'hex')}  go.mod\n`, 'base64')}`;
}
