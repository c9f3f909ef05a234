// `larder verify`: whether every byte of the store is what it should be.

import { LarderError } from '../engine/errors.ts';
import { INTERRUPTED, type VerifyOptions, type VerifyResult } from '../references/verify.ts';
import type { Terminal } from './terminal.ts';
import { adminOf, ended, parseVerbArgs, withStore, type Verb } from './verb.ts';

const usage = `Usage: larder verify [--repair] [--sample N] [--json] [--server URL]

Checks all that is stored: bytes against digests and records, zips, and what tells of them.
What is wrong is not served any more. A run that was cut off goes on where it was.
Ends with 0 when nothing wrong remains, with 1 when something does.

Options:
  --repair      take away what is wrong, so that it is fetched anew, and write what is missing
  --sample N    check N pieces of content alone, chosen by chance
  --json        the result as one line of JSON, the last one
  --server URL  ask this server; its token is LARDER_ADMIN_TOKEN, or in LARDER_ADMIN_TOKEN_FILE.
                Without it the store is opened here, by the same settings as the server's;
                a folder that a server uses is refused.
  -h, --help    show this

Examples:
  larder verify
  larder verify --repair --json
  larder verify --sample 1000 --server http://larder:3000
`;

const options = {
  repair: { type: 'boolean' },
  sample: { type: 'string' },
  json: { type: 'boolean' },
  server: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `args`: what stands behind `larder verify`. */
export const verifyVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, options);
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length > 0)
      throw new LarderError('invalid', 'verify takes no names: it checks all that is stored');
    const sample = values.sample === undefined ? undefined : Number(values.sample);
    if (sample !== undefined && !(Number.isSafeInteger(sample) && sample > 0))
      throw new LarderError('invalid', '--sample is a number of pieces of content, such as 1000');
    const wanted = { repair: values.repair === true, ...(sample !== undefined && { sample }) };
    const result = await verify(wanted, values.server, terminal, signal);
    if (values.json) terminal.say(JSON.stringify(result));
    else for (const line of linesOf(result)) terminal.say(line);
    return result.repaired < result.corrupt.length ? 1 : 0;
  });

async function verify(
  wanted: VerifyOptions,
  server: string | undefined,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<VerifyResult> {
  const progress = terminal.progress.bind(terminal);
  if (server !== undefined)
    return (await adminOf(server).run('verify', { ...wanted }, signal, progress)) as VerifyResult;
  // who is cut off goes on later
  const cutOff = new AbortController();
  const cut = () => {
    cutOff.abort(INTERRUPTED);
  };
  signal.addEventListener('abort', cut, { once: true });
  return withStore(terminal, signal, ({ verifier }) =>
    verifier.run(wanted, cutOff.signal, progress),
  );
}

function linesOf({ checked, corrupt, repaired, edgesRestored }: VerifyResult): string[] {
  const mended = repaired > 0 ? `, ${String(repaired)} of them repaired` : '';
  return [
    ...corrupt.map((name) => `wrong  ${name}`),
    `${String(checked)} checked, ${String(corrupt.length)} wrong${mended}`,
    ...(edgesRestored > 0 ? [`${String(edgesRestored)} edges restored`] : []),
  ];
}
