// `larder purge`: takes names out of the store, as POST /admin/purge does.

import { parseGoName } from '../go/purge.ts';
import { parsePurgeName } from '../oci/purge-name.ts';
import type { PurgeResult } from '../references/purge.ts';
import { parseName, type Name } from './names.ts';
import { adminOf, bytesText, ended, parseStoreArgs, storeUsage, type Verb } from './verb.ts';
import { withStore } from './with-store.ts';

const usage = `Usage: larder purge NAME... [--dry-run] [--json] [--server URL]

Takes modules, versions, repositories, tags and digests out of the store, with what nothing else holds.

Names:
  go:MODULE, go:MODULE@VERSION
  oci:HOST/REPOSITORY, oci:HOST/REPOSITORY:TAG, oci:HOST/REPOSITORY@DIGEST

${storeUsage}
Examples:
  larder purge go:example.com/m@v1.2.3
  larder purge --dry-run oci:docker.io/library/nginx:1.27
  larder purge --server http://larder:3000 --json go:example.com/m
`;

/** `args`: what stands behind `larder purge`. */
export const purgeVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseStoreArgs(args);
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length === 0) {
      terminal.tell(usage.trimEnd());
      return 2;
    }
    const names = positionals.map(parseName);
    const dryRun = values['dry-run'] === true;
    const purge = async (one: (name: Name) => Promise<PurgeResult>) => {
      const all: { purged: string[]; freedBytes: number } = { purged: [], freedBytes: 0 };
      for (const name of names) {
        const { purged, freedBytes } = await one(name);
        all.purged.push(...purged);
        all.freedBytes += freedBytes;
        if (!values.json) for (const gone of purged) terminal.say(gone);
      }
      return all;
    };
    const result =
      values.server === undefined
        ? await withStore(
            terminal,
            (alone) => {
              const read = ({ protocol, text }: Name) => alone.purgeables[protocol](text);
              // none goes where one of them is no name
              names.forEach(read);
              return purge((name) => alone.purge(read(name), dryRun));
            },
            signal,
          )
        : await purge(byServer(values.server, names, dryRun));
    if (values.json) terminal.say(JSON.stringify(result));
    else
      terminal.tell(
        `${dryRun ? 'would free' : 'freed'} ${bytesText(result.freedBytes)}, ${String(result.purged.length)} names`,
      );
    return 0;
  });

function byServer(server: string, names: readonly Name[], dryRun: boolean) {
  const admin = adminOf(server);
  names.forEach(check);
  return async ({ protocol, text }: Name) =>
    (await admin.ask('POST', '/admin/purge', { [protocol]: text, dryRun })) as PurgeResult;
}

/** As far as it can be told without the server, which has upstreams of its own. Throws LarderError `invalid`. */
function check({ protocol, text }: Name): void {
  if (protocol === 'go') parseGoName(text);
  else parsePurgeName(text, { has: () => true });
}
