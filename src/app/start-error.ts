/** What stops a start. `message` says to a person what is wrong and what would be right, one line a problem. */
export class StartError extends Error {
  override readonly name: string = 'StartError';
}

/** Settings that are wrong: one line each. */
export class ConfigError extends StartError {
  override readonly name = 'ConfigError';
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'the file system is read-only',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a part of that path is a file, not a folder',
  EEXIST: 'a file of that name is in the way',
  EISDIR: 'it is a folder, not a file',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** Why the system refused a file or folder, in a few words. */
export const fileReason = (error: unknown): string => {
  const code = codeOf(error);
  return reasons[code] ?? (code === '' ? String(error) : `the system says ${code}`);
};

/** The sentence for a failed `listen`. `setting`: where the port comes from. */
export function listenError(
  error: unknown,
  host: string,
  port: number,
  setting: string,
): StartError {
  const where = `${host} port ${String(port)}`;
  const code = codeOf(error);
  const sentences: Readonly<Record<string, string>> = {
    EADDRINUSE: `Cannot listen on ${where}: another program does. Stop it, or set ${setting} to a free port.`,
    EACCES: `Cannot listen on ${where}: this user may not. Set ${setting} to a port of 1024 or more.`,
    EADDRNOTAVAIL: `Cannot listen on ${where}: this machine has no such address. Set LARDER_HOST to one it has, or to 0.0.0.0.`,
    ENOTFOUND: `Cannot listen on ${where}: no address is known for that name. Set LARDER_HOST to an address, such as 127.0.0.1.`,
  };
  const sentence = sentences[code] ?? `Cannot listen on ${where}: ${fileReason(error)}.`;
  return new StartError(sentence, { cause: error });
}
