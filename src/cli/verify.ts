// `larder verify`: whether every byte of the store is what it should be, as POST /admin/verify asks it.

import { LarderError } from '../engine/errors.ts';
import type { VerifyResult } from '../references/verify.ts';
import { ended, parseVerbArgs, serverUsage, type Verb } from './verb.ts';
import { longWork } from './with-store.ts';

const usage = `Usage: larder verify [--repair] [--sample N] [--json] [--server URL]

Checks all that is stored: bytes against digests and records, zips, and what tells of them.
What is wrong is not served any more. A run that was cut off goes on where it was.
Ends with 0 when nothing wrong remains, with 1 when something does.

Options:
  --repair      take away what is wrong, so that it is fetched anew, and write what is missing
  --sample N    check N pieces of content alone, chosen by chance
${serverUsage}
Examples:
  larder verify
  larder verify --repair --json
  larder verify --server http://larder:3000 --sample 1000
`;

/** `args`: what stands behind `larder verify`. */
export const verifyVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, {
      repair: { type: 'boolean' },
      sample: { type: 'string' },
    });
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length > 0)
      throw new LarderError('invalid', 'verify takes no names: it checks all that is stored');
    const sample = values.sample === undefined ? undefined : Number(values.sample);
    if (sample !== undefined && !(Number.isSafeInteger(sample) && sample > 0))
      throw new LarderError('invalid', '--sample is a number of pieces of content, such as 1000');
    const options = { repair: values.repair === true, ...(sample !== undefined && { sample }) };
    const result = await longWork<VerifyResult>(
      { terminal, signal, server: values.server },
      { kind: 'verify', options },
      ({ verify }, progress) => verify(options, signal, progress),
    );
    const { checked, corrupt, repaired, edgesRestored } = result;
    if (values.json) terminal.say(JSON.stringify(result));
    else for (const name of corrupt) terminal.say(name);
    const found = `${String(checked)} checked, ${String(corrupt.length)} wrong`;
    const mended = options.repair
      ? `, ${String(repaired)} of them repaired, ${String(edgesRestored)} edges restored`
      : '';
    if (!values.json) terminal.tell(found + mended);
    return repaired < corrupt.length ? 1 : 0;
  });
