// `larder migrate`: brings an older store to this version's format, or copies a whole store into one of the other kind.

import { copyBetween, loadBothStores } from '../app/both-stores.ts';
import { environment, loadConfig } from '../app/config.ts';
import { grammarChecks } from '../app/grammar-checks.ts';
import { LarderError } from '../engine/errors.ts';
import type { CopyResult } from '../references/copy.ts';
import { FORMAT } from '../app/compose-upgrade.ts';
import type { Terminal } from './terminal.ts';
import { ended, parseVerbArgs, withStore, type Verb } from './verb.ts';

const usage = `Usage: larder migrate [--json]
       larder migrate --to s3|file [--json]

Brings the store to the format of this version; of one that has it already nothing is changed.
With --to all of it is copied into a store of the other kind, of which the settings are given too, each piece checked on
its way. LARDER_STORAGE names the one that is copied, which stays as it is. What was cut off goes on when it is asked for
again.

Options:
  --to KIND   the kind of store to copy into
  --json      the result as one line of JSON, the last one
  -h, --help  show this

Examples:
  larder migrate
  LARDER_STORAGE_DIR=/data LARDER_S3_BUCKET=larder larder migrate --to s3
`;

const options = {
  to: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `args`: what stands behind `larder migrate`. */
export const migrateVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, options);
    const { to, json } = values;
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length > 0)
      throw new LarderError('invalid', 'migrate takes no names: it works on the whole store');
    if (to === undefined) {
      await upgrade(terminal, signal);
      terminal.say(
        json ? JSON.stringify({ format: FORMAT }) : `The store has format ${String(FORMAT)}.`,
      );
      return 0;
    }
    if (to !== 's3' && to !== 'file') throw new LarderError('invalid', '--to is s3 or file');
    const result = await copy(to, terminal, signal);
    if (json) terminal.say(JSON.stringify(result));
    else for (const line of linesOf(result)) terminal.say(line);
    return result.corrupt.length > 0 ? 1 : 0;
  });

/** By opening it. */
async function upgrade(terminal: Terminal, signal: AbortSignal): Promise<void> {
  const config = { ...loadConfig(undefined, grammarChecks), migrate: 'auto' as const };
  await withStore(terminal, signal, () => Promise.resolve(), config);
}

function copy(target: 's3' | 'file', terminal: Terminal, signal: AbortSignal): Promise<CopyResult> {
  const configs = loadBothStores(target, environment(), grammarChecks);
  const said = (sentence: string) => {
    terminal.tell(sentence);
  };
  return copyBetween(configs, said, signal, terminal.progress.bind(terminal));
}

function linesOf({ copied, present, documents, bytes, corrupt }: CopyResult): string[] {
  return [
    ...corrupt.map((key) => `wrong, left out  ${key}`),
    `${String(copied)} copied (${String(bytes)} bytes), ${String(present)} there already, ${String(documents)} documents`,
  ];
}
