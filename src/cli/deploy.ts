// `larder deploy`: makes references exist in registries, with the fewest requests.

import { createReadStream } from 'node:fs';
import { composeAsking } from '../app/compose-asking.ts';
import { fileReason } from '../app/start-error.ts';
import { LarderError } from '../engine/errors.ts';
import { orAborted } from '../http/deadline.ts';
import { Deployer } from '../oci/deploy/deployer.ts';
import { planDeploy, type Step } from '../oci/deploy/plan.ts';
import { RegistryPusher } from '../oci/push-registry.ts';
import type { OciUpstream } from '../oci/upstreams.ts';
import { sayEach } from './items.ts';
import { linesOf } from './lines.ts';
import type { Terminal } from './terminal.ts';
import { ended, itemLimits, itemOptions, itemUsage, parseVerbArgs, type Verb } from './verb.ts';

/** Bytes of a line: larger blobs are copied from a registry. */
const MAX_LINE = 64 * 1024 * 1024;

const usage = `Usage: larder deploy [--file F] [--dry-run] [--parallel N] [--timeout T] [--json]

Makes references exist in registries with the fewest requests: one for each that is there already. A manifest is put before
what it needs; only what the registry says that it lacks is brought to it, mounted within a registry, else streamed from
another one. What was cut off is done by running it again.

Reads lines of JSON from standard input, a manifest or blob a line, children before their parents:
  {"refs": ["HOST/REPO:TAG", ...], "manifest": {...}, "sources": {"sha256:HEX": "HOST/REPO", "": "HOST/REPO"}}
  {"refs": ["HOST/REPO@sha256:HEX"], "blob": "BASE64"}
A manifest is an object, which is sent as its compact JSON with its keys in their order, or the base64 of the exact bytes.
sources says where children are that no line has; the empty key is for all that are not named. Hosts are those of
LARDER_OCI_UPSTREAMS, credentials those of LARDER_OCI_AUTH_FILE.

Writes one line of JSON for each, in their order: refs, digest, status (present, pushed, would-push), and error where
something went wrong, status then being would-push. Ends with 0 when all is there, with 1 when something failed, with 2,
and nothing sent, when the input is wrong.

Options:
  --file F      read F; - is standard input
  --dry-run     only look what is there
${itemUsage}\
                while blobs flow it stands still
  --json        nothing but the lines of the result
  -h, --help    show this

Examples:
  larder deploy --file images.jsonl
  larder deploy --dry-run --file images.jsonl
  crane manifest ghcr.io/owner/app:1 | base64 -w0 | jq -Rc '{manifest: ., sources: {"": "ghcr.io/owner/app"},
    refs: ["registry.example.com/app:1"]}' | larder deploy
`;

/** `args`: what stands behind `larder deploy`. */
export const deployVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(args, {
      ...itemOptions,
      'dry-run': { type: 'boolean' },
      file: { type: 'string' },
    });
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    if (positionals.length > 0 || values.server !== undefined)
      throw new LarderError(
        'invalid',
        'deploy takes no names and no server: lines of its input say what goes where',
      );
    const { file = '-', json = false } = values;
    if (file === '-' && terminal.inputIsTerminal) {
      terminal.tell(usage.trimEnd());
      return 2;
    }
    const { parallel, timeoutMs } = itemLimits(values);
    const asking = composeAsking(timeoutMs, 'registries');
    const { client, upstreams } = asking;
    try {
      const lines = linesOf(bytesOf(file, terminal), MAX_LINE);
      const plan = await orAborted(planDeploy(lines, upstreams), signal);
      for (const problem of plan.problems) terminal.tell(problem);
      if (plan.problems.length > 0) return 2;
      const options = {
        registryOf: (upstream: OciUpstream) => {
          const fetcher = asking.fetcherOf({ upstream }, 'push');
          const pusher = new RegistryPusher(fetcher, client);
          return { fetcher, pusher, source: asking.fetcherOf({ upstream }) };
        },
        timeoutMs,
        dryRun: values['dry-run'] === true,
      };
      const deployer = new Deployer(options, plan);
      const counts = new Map<string, number>();
      const tally = await sayEach(
        inTurn(plan.steps),
        { parallel, ahead: Math.max(parallel, plan.steps.length), signal },
        terminal,
        async ({ step: { input }, before, done }) => {
          try {
            await orAborted(before, signal);
            const { status, error } = await deployer.run(input, signal);
            const key = error === undefined ? status : 'failed';
            counts.set(key, (counts.get(key) ?? 0) + 1);
            const refs = input.refs.map(({ text }) => text);
            const line = JSON.stringify({ refs, digest: input.digest, status, error });
            return { line, failed: error !== undefined };
          } finally {
            done();
          }
        },
      );
      if (!json) terminal.tell([...counts].map(([key, n]) => `${String(n)} ${key}`).join(', '));
      return tally.failed > 0 ? 1 : 0;
    } finally {
      await asking.close();
    }
  });

interface Turn {
  readonly step: Step;
  /** Resolves when all have ended that it comes after. */
  readonly before: Promise<unknown>;
  readonly done: () => void;
}

/** Steps in their order. Each comes after earlier ones alone, which have begun when it begins: none waits for ever. */
function inTurn(steps: readonly Step[]): AsyncIterable<Turn> & { readonly total: number } {
  const ends = steps.map(() => Promise.withResolvers<undefined>());
  return {
    total: steps.length,
    // eslint-disable-next-line @typescript-eslint/require-await -- items are asynchronous elsewhere
    async *[Symbol.asyncIterator]() {
      for (const [at, step] of steps.entries()) {
        const before = Promise.all(step.after.flatMap((earlier) => ends[earlier]?.promise ?? []));
        yield { step, before, done: () => ends[at]?.resolve(undefined) };
      }
    },
  };
}

/** Throws LarderError `invalid` for a file that cannot be read. */
async function* bytesOf(file: string, terminal: Terminal): AsyncGenerator<Uint8Array> {
  if (file === '-') {
    yield* terminal.input();
    return;
  }
  try {
    yield* createReadStream(file) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw new LarderError('invalid', `${file} cannot be read: ${fileReason(error)}`, {
      cause: error,
    });
  }
}
