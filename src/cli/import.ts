// `larder import athens`: modules out of the folder of another proxy.

import { loadConfig } from '../app/config.ts';
import { composeImport, type Importing } from '../app/compose-import.ts';
import { grammarChecks } from '../app/grammar-checks.ts';
import { LarderError } from '../engine/errors.ts';
import { AthensFetcher, athensVersions, type AthensVersion } from '../go/fetch-athens.ts';
import { inOrder } from './in-order.ts';
import { ended, parseVerbArgs, type Verb } from './verb.ts';

/** Versions at once: checking a zip takes a processor. */
const SPREAD = { parallel: 4, ahead: 16 };

const usage = `Usage: larder import athens DIR [--json]

Brings all module versions that an Athens proxy has kept in DIR (its storage type "disk") into the store, by the same rules
and checks as when they are fetched; nothing in DIR is changed. What is in the store already stays as it is, so that an
import that was cut off goes on when it is asked for again. The checksum database is asked as the settings say.

Options:
  --json      the result as one line of JSON, the last one
  -h, --help  show this

Example:
  LARDER_STORAGE_DIR=/data larder import athens /var/lib/athens
`;

/** `args`: what stands behind `larder import`. */
export const importVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, {});
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    const [kind, folder, ...more] = positionals;
    if (kind !== 'athens' || folder === undefined || more.length > 0)
      throw new LarderError('invalid', 'import takes the word athens and a folder');
    if (values.server !== undefined)
      throw new LarderError('invalid', 'import takes no server: it opens the store');
    const versions = athensVersions(folder);
    // a folder that is none is told before the store is opened
    const first = await versions.next();
    const importing = await composeImport(
      loadConfig(undefined, grammarChecks),
      new AthensFetcher(folder),
      terminal.tell.bind(terminal),
      signal,
    );
    const result = { stored: 0, present: 0, failed: [] as Failed[] };
    try {
      const ends = inOrder(rest(first, versions), { ...SPREAD, signal }, (name) =>
        brought(importing, name),
      );
      for await (const end of ends) {
        if (typeof end === 'string') result[end]++;
        else result.failed.push(end);
        if (typeof end !== 'string') terminal.tell(`${end.name}: ${end.error}`);
        const failed = result.failed.length;
        terminal.progress({ done: result.stored + result.present + failed, failed });
      }
    } finally {
      await importing.close();
    }
    const { stored, present, failed } = result;
    if (values.json) terminal.say(JSON.stringify(result));
    else
      terminal.tell(
        `${String(stored)} stored, ${String(present)} there already, ${String(failed.length)} failed`,
      );
    return failed.length > 0 ? 1 : 0;
  });

interface Failed {
  /** As a purge has it. */
  readonly name: string;
  readonly error: string;
}

async function brought(
  importing: Importing,
  name: AthensVersion,
): Promise<'stored' | 'present' | Failed> {
  try {
    return await importing.version(name);
  } catch (error) {
    if (!(error instanceof LarderError)) throw error;
    return { name: `go:${name.module}@${name.version}`, error: error.message };
  }
}

async function* rest<T>(first: IteratorResult<T, unknown>, others: AsyncIterable<T>) {
  if (first.done !== true) yield first.value;
  yield* others;
}
