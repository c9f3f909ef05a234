// What all verbs have in common: options, and how they end. How some of them come by the store is in with-store.ts, which
// loads much that the others do without.

import { parseArgs, type ParseArgsConfig } from 'node:util';
import { loadAdminToken } from '../app/config.ts';
import { parseDuration } from '../app/duration.ts';
import { StartError } from '../app/start-error.ts';
import { LarderError, messageOf } from '../engine/errors.ts';
import { AdminClient } from './admin-client.ts';
import type { Terminal } from './terminal.ts';

/** 0: done, 1: it failed, 2: used wrongly. */
export type ExitCode = 0 | 1 | 2;

export type Verb = (args: string[], terminal: Terminal, signal: AbortSignal) => Promise<ExitCode>;

/** As many as an upstream gets connections. */
const PARALLEL = 64;
const MAX_PARALLEL = 1024;
/** Of --timeout. */
const LONGEST_MS = 86_400_000;

/** Options that every verb has; one that asks no server refuses that one. */
const commonOptions = {
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
    return parseArgs({ args, allowPositionals: true, options: { ...commonOptions, ...more } });
  } catch (error) {
    const [sentence = ''] = messageOf(error).split('. ');
    throw new LarderError('invalid', `${sentence}; --help lists the options`, { cause: error });
  }
}

/** Options of verbs that do the same for many things. */
export const itemOptions = {
  parallel: { type: 'string' },
  timeout: { type: 'string' },
} as const satisfies ParseArgsConfig['options'];

export const itemUsage = `\
  --parallel N  so many at once (${String(PARALLEL)})
  --timeout T   longest for one of them, waits for its turn with an upstream and new tries included (60s)
`;

export interface ItemLimits {
  readonly parallel: number;
  /** For one, milliseconds. */
  readonly timeoutMs: number;
}

/** Reads the values of `itemOptions`. Throws LarderError `invalid`. */
export function itemLimits(values: {
  readonly parallel?: string | undefined;
  readonly timeout?: string | undefined;
}): ItemLimits {
  const { parallel = String(PARALLEL), timeout = '60s' } = values;
  const many = /^\d{1,4}$/.test(parallel) ? Number(parallel) : 0;
  if (many < 1 || many > MAX_PARALLEL)
    throw new LarderError('invalid', `--parallel is a number from 1 to ${String(MAX_PARALLEL)}`);
  const timeoutMs = parseDuration(timeout) ?? 0;
  if (timeoutMs < 1 || timeoutMs > LONGEST_MS)
    throw new LarderError('invalid', '--timeout is a duration, such as 60s, and 1d at most');
  return { parallel: many, timeoutMs };
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
    // some are sentences already
    terminal.tell(error.message.replace(/\.?$/, '.'));
    return error.code === 'invalid' || error.code === 'unsupported' ? 2 : 1;
  }
}

export const adminOf = (server: string): AdminClient => new AdminClient(server, loadAdminToken());

/** `48213 bytes`, `12.3 MB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  let size = bytes;
  for (; size >= 1000 && at < units.length - 1; at++) size /= 1000;
  return `${at === 0 ? String(size) : size.toFixed(1)} ${units[at] ?? ''}`;
}
