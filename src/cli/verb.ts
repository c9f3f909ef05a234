// What all verbs have in common: options, how they end, and how they come by the store.

import { parseArgs, type ParseArgsConfig } from 'node:util';
import { composeAlone, type Alone } from '../app/compose-alone.ts';
import { loadAdminToken, loadConfig, type Config } from '../app/config.ts';
import { grammarChecks } from '../app/grammar-checks.ts';
import { StartError } from '../app/start-error.ts';
import { LarderError, messageOf } from '../engine/errors.ts';
import { AdminClient } from './admin-client.ts';
import type { Terminal } from './terminal.ts';

/** 0: done, 1: it failed, 2: used wrongly. */
export type ExitCode = 0 | 1 | 2;

export type Verb = (args: string[], terminal: Terminal, signal: AbortSignal) => Promise<ExitCode>;

/** Options that every verb has which works on the store. */
const storeOptions = {
  json: { type: 'boolean' },
  server: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies ParseArgsConfig['options'];

export const serverUsage = `\
  --json        the result as one line of JSON, the last one
  --server URL  ask this server; its token is LARDER_ADMIN_TOKEN, or in LARDER_ADMIN_TOKEN_FILE.
                Without it the store is opened here, by the same settings as the server's;
                a folder that a server uses is refused.
  -h, --help    show this
`;

/** Of verbs that take something out. */
export const storeUsage = `Options:
  --dry-run     say what would go, and change nothing
${serverUsage}`;

/** Of a verb that takes something out. Throws as `parseVerbArgs` does. */
export const parseStoreArgs = (args: string[]) =>
  parseVerbArgs(args, { 'dry-run': { type: 'boolean' } });

/** `more`: options of the verb alone. Throws LarderError `invalid` for options that there are not. */
export function parseVerbArgs<const T extends NonNullable<ParseArgsConfig['options']>>(
  args: string[],
  more: T,
) {
  try {
    return parseArgs({ args, allowPositionals: true, options: { ...storeOptions, ...more } });
  } catch (error) {
    const [sentence = ''] = messageOf(error).split('. ');
    throw new LarderError('invalid', `${sentence}; --help lists the options`, { cause: error });
  }
}

/** Runs a verb; errors become a sentence and an exit code. */
export async function ended(terminal: Terminal, run: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof StartError) {
      terminal.tell(error.message);
      return 2;
    }
    if (!(error instanceof LarderError)) throw error;
    terminal.tell(`${error.message}.`);
    return error.code === 'invalid' || error.code === 'unsupported' ? 2 : 1;
  }
}

export const adminOf = (server: string): AdminClient => new AdminClient(server, loadAdminToken());

/**
 * Opens the store for one piece of work; `signal` ends an upgrade of an older one, `changes` are made to the settings. Throws
 * StartError, LarderError, and what the work throws.
 */
export async function withStore<T>(
  terminal: Terminal,
  work: (alone: Alone) => Promise<T>,
  signal: AbortSignal,
  changes: Partial<Config> = {},
): Promise<T> {
  const config = { ...loadConfig(undefined, grammarChecks), ...changes };
  const said = (sentence: string) => {
    terminal.tell(sentence);
  };
  const alone = await composeAlone(config, said, signal);
  try {
    return await work(alone);
  } finally {
    await alone.close();
  }
}

/** `48213 bytes`, `12.3 MB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let size = bytes;
  for (; size >= 1000 && at < units.length - 1; at++) size /= 1000;
  return `${at === 0 ? String(size) : size.toFixed(1)} ${units[at] ?? ''}`;
}
