/** For `catch`: nothing, of a file that is not there. Throws whatever else is wrong. */
export function nothing(error: unknown): undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}
