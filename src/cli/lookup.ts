// `larder lookup`: what registries have under names of images, thousands of them in seconds.

import { composeAsking } from '../app/compose-asking.ts';
import { imageIndex } from '../oci/image-index.ts';
import { lookUp, type Found } from '../oci/look-up.ts';
import { parseImageName, parseNameForServer } from '../oci/reference.ts';
import type { OciUpstream } from '../oci/upstreams.ts';
import { sayEach } from './items.ts';
import { LookUps, type Answer, type LookUpsOptions } from './look-ups.ts';
import { namesGiven } from './names-given.ts';
import { serverAddress } from './server-address.ts';
import { ended, itemLimits, itemOptions, itemUsage, parseVerbArgs, type Verb } from './verb.ts';

const usage = `Usage: larder lookup [--parallel N] [--timeout T] [--index] [--json] [--server URL] [NAME... | -]

Asks registries what they have under names of images, and says it a line each, in the order of the names: the name as it was
given and its digest, "null" where there is nothing to be had (404, 401 and 403 alike), or "error:" and why. A name that comes
again is asked for once. Names come as arguments, or one a line on standard input.
Ends with 0 when all were looked up, whether they are there or not, with 1 when any could not be.

Options:
  --json        a line of JSON each: {"name","digest","mediaType","size"}, {"name","digest":null}, {"name","error"}
  --index       a line of JSON each: the whole image index, with platforms and in one order, also of a single image;
                null where there is nothing; {"name","error"}
${itemUsage}\
  --server URL  ask this Larder, in place of the registries
  -h, --help    show this

Registries are those of LARDER_OCI_UPSTREAMS, with the credentials in LARDER_OCI_AUTH_FILE and the rules in LARDER_RULES_FILE.
Ctrl-C ends it with 1, after the lines of all that was looked up.

Examples:
  larder lookup alpine:3.20 ghcr.io/owner/image@sha256:...
  larder lookup --json - < names.txt > digests.jsonl
  larder lookup --index --server http://larder:3000 docker.io/library/alpine:3.20
`;

/** Answers that may wait for an earlier one; of indexes, which are long, fewer. */
const AHEAD = 4096;
const INDEXES_AHEAD = 256;

/** `args`: what stands behind `larder lookup`. */
export const lookupVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, {
      ...itemOptions,
      index: { type: 'boolean' },
    });
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    const names = namesGiven(positionals, terminal);
    if (names === undefined) {
      terminal.tell(usage.trimEnd());
      return 2;
    }
    const { parallel, timeoutMs } = itemLimits(values);
    const server = values.server === undefined ? undefined : upstreamAt(values.server);
    const asking = composeAsking(timeoutMs, server ? 'server' : 'registries');
    const parse = (name: string) =>
      server ? parseNameForServer(name, server) : parseImageName(name, asking.upstreams);
    const sayAll = <T extends Found | string>(
      ask: LookUpsOptions<T>['ask'],
      ahead: number,
      lineOf: (name: string, answer: Answer<T>) => string,
    ) => {
      const lookUps = new LookUps({ asking, parse, ask, timeoutMs, signal });
      const spread = { parallel, ahead: Math.max(parallel, ahead), signal };
      return sayEach(names, spread, terminal, async (name) => {
        const answer = await lookUps.of(name);
        return { line: lineOf(name, answer), failed: answer.kind === 'failed' };
      });
    };
    try {
      const { done, failed } = await (values.index
        ? sayAll(imageIndex, INDEXES_AHEAD, indexLine)
        : sayAll(lookUp, AHEAD, values.json ? jsonLine : plainLine));
      if (done > 1) terminal.tell(`${String(done)} looked up, ${String(failed)} failed`);
      return failed > 0 ? 1 : 0;
    } finally {
      await asking.close();
    }
  });

function plainLine(name: string, answer: Answer<Found>): string {
  switch (answer.kind) {
    case 'found':
      return `${name} ${answer.found.digest}`;
    case 'missing':
      return `${name} null`;
    case 'failed':
      return `${name} error: ${answer.why}`;
  }
}

function jsonLine(name: string, answer: Answer<Found>): string {
  switch (answer.kind) {
    case 'found':
      return JSON.stringify({ name, ...answer.found });
    case 'missing':
      return JSON.stringify({ name, digest: null });
    case 'failed':
      return JSON.stringify({ name, error: answer.why });
  }
}

function indexLine(name: string, answer: Answer<string>): string {
  switch (answer.kind) {
    case 'found':
      return answer.found;
    case 'missing':
      return 'null';
    case 'failed':
      return JSON.stringify({ name, error: answer.why });
  }
}

function upstreamAt(server: string): OciUpstream {
  const url = serverAddress(server);
  return { name: url.host, url };
}
