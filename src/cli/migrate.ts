// `larder migrate`: brings an older store to this version's format, or copies a whole store into one of the other kind.

import { copyBetween, loadBothStores } from '../app/both-stores.ts';
import { environment } from '../app/config.ts';
import { grammarChecks } from '../app/grammar-checks.ts';
import { LarderError } from '../engine/errors.ts';
import { bytesText, ended, parseVerbArgs, type Verb } from './verb.ts';
import { withStore } from './with-store.ts';

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

/** `args`: what stands behind `larder migrate`. */
export const migrateVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, { to: { type: 'string' } });
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length > 0 || values.server !== undefined)
      throw new LarderError('invalid', 'migrate takes no names and no server: it opens the store');
    const { to, json } = values;
    if (to === undefined) {
      const opened = ({ format }: { format: number }) => Promise.resolve(format);
      const format = await withStore(terminal, opened, signal, { migrate: 'auto' });
      terminal.say(json ? JSON.stringify({ format }) : `the store has format ${String(format)}`);
      return 0;
    }
    if (to !== 's3' && to !== 'file') throw new LarderError('invalid', '--to is s3 or file');
    const result = await copyBetween(
      loadBothStores(to, environment(), grammarChecks),
      terminal.tell.bind(terminal),
      signal,
      terminal.progress.bind(terminal),
    );
    const { copied, present, documents, bytes, corrupt } = result;
    if (json) terminal.say(JSON.stringify(result));
    else {
      for (const key of corrupt) terminal.say(`wrong, left out: ${key}`);
      terminal.tell(
        `${String(copied)} copied (${bytesText(bytes)}), ${String(present)} there already, ${String(documents)} documents`,
      );
    }
    return corrupt.length > 0 ? 1 : 0;
  });
