// `larder collect`: takes what nobody owns any more out of the store, as POST /admin/collect does.

import { LarderError } from '../engine/errors.ts';
import type { CollectResult } from '../references/collect.ts';
import { bytesText, ended, parseStoreArgs, storeUsage, type Verb } from './verb.ts';
import { longWork } from './with-store.ts';

const usage = `Usage: larder collect [--dry-run] [--json] [--server URL]

Takes out of the store what nobody owns any more since LARDER_ORPHAN_GRACE, and answers past any use.
A server does that by itself every LARDER_COLLECT_INTERVAL.

${storeUsage}
Examples:
  larder collect --dry-run
  larder collect --server http://larder:3000 --json
`;

/** `args`: what stands behind `larder collect`. */
export const collectVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseStoreArgs(args);
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length > 0)
      throw new LarderError('invalid', 'collect takes no names: purge takes out what has one');
    const dryRun = values['dry-run'] === true;
    const result = await longWork<CollectResult>(
      { terminal, signal, server: values.server },
      { kind: 'collect', options: { dryRun } },
      ({ collector }, progress) => collector.run({ dryRun }, signal, progress),
    );
    if (values.json) {
      terminal.say(JSON.stringify(result));
      return 0;
    }
    for (const name of result.collected) terminal.say(name);
    if (result.skipped !== undefined) terminal.tell(`nothing was looked at: ${result.skipped}`);
    const more = result.count - result.collected.length;
    if (more > 0) terminal.tell(`and ${String(more)} more`);
    terminal.tell(
      `${dryRun ? 'would free' : 'freed'} ${bytesText(result.freedBytes)}, ${String(result.count)} names`,
    );
    return 0;
  });
