// `larder warm`: fills a running server ahead of need, by asking it as any client would.

import { Readable } from 'node:stream';
import { composeAsking } from '../app/compose-asking.ts';
import { LarderError } from '../engine/errors.ts';
import { pathOf } from '../go/names.ts';
import { versionName, walkVersion } from '../go/warm.ts';
import { walkImage } from '../oci/image-walk.ts';
import { parsePlatform } from '../oci/platforms.ts';
import { parseNameForServer } from '../oci/reference.ts';
import {
  nothingWarmed,
  tell,
  warmOne,
  type Pieces,
  type Warmable,
  type Warmed,
  type WarmResult,
} from '../references/warm.ts';
import { inOrder } from './in-order.ts';
import { RunningLarder } from './running-larder.ts';
import type { Terminal } from './terminal.ts';
import { serverAddress } from './server-address.ts';
import { ended, itemLimits, itemOptions, parseVerbArgs, type Verb } from './verb.ts';
import { imageSource } from './warm-image.ts';
import { readWanted, type Wanted } from './warm-items.ts';

const usage = `Usage: larder warm [--parallel N] [--server URL] [--go-sum FILE] [--go MODULE@VERSION...] [--oci NAME...]
                   [--platform P...] [--file F] [--timeout T] [--json]

Has a running server fetch and keep modules and images ahead of need. It asks as any client would, and needs no admin token.
What is there already is not fetched again: after a stop or a failure, ask for the same once more.
Ends with 0 when all is there, with 1 when something is not, with 2 and nothing asked when something named is no name.

Options:
  --go-sum FILE           what this go.sum has: all files of a version, or its .mod where only that is needed
  --go MODULE@VERSION...  versions of modules
  --oci NAME...           images, with manifests, blobs and referrers; without a tag or digest, their tag latest
  --platform P...         of images for several platforms these alone, such as linux/amd64 linux/arm64/v8
  --file F                names, one a line, as go:MODULE@VERSION or oci:NAME; - reads them from standard input
  --server URL            the server; with users, as https://alice:PASSWORD@larder.example.com
                          (the one on this machine, at LARDER_PORT)
  --parallel N            so many requests at once (64)
  --timeout T             longest for a file or blob without any progress, waits for a busy server included (60s)
  --json                  the result as one line of JSON, the last one
  -h, --help              show this

Examples:
  larder warm --go-sum go.sum
  larder warm --server http://larder:3000 --oci nginx:1.27 ghcr.io/owner/image:v1 --platform linux/amd64
  larder warm --server http://larder:3000 --file names.txt --json
`;

/** Options that take all values behind them, up to the next option. */
const LISTS = ['--go-sum', '--go', '--oci', '--platform', '--file'] as const;
const text = { type: 'string', multiple: true } as const;

interface Image {
  readonly name: string;
  /** Of its repository on the server. */
  readonly path: string;
  readonly reference: string;
}

/** `args`: what stands behind `larder warm`. */
export const warmVerb: Verb = (args, terminal, signal) =>
  ended(terminal, async () => {
    const { values, positionals } = parseVerbArgs(spread(args), {
      ...itemOptions,
      'go-sum': text,
      go: text,
      oci: text,
      platform: text,
      file: text,
    });
    if (values.help) {
      terminal.say(usage.trimEnd());
      return 0;
    }
    const [stray] = positionals;
    if (stray !== undefined)
      throw new LarderError(
        'invalid',
        `${JSON.stringify(stray)} stands alone: modules come behind --go, images behind --oci`,
      );
    const { 'go-sum': goSums = [], go = [], oci = [], file: files = [] } = values;
    if ([goSums, go, oci, files].every(({ length }) => length === 0)) {
      terminal.tell(usage.trimEnd());
      return 2;
    }
    const limits = itemLimits(values);
    const platforms = (values.platform ?? []).flatMap((list) => list.split(',')).map(parsePlatform);
    const asking = composeAsking(limits.timeoutMs, 'server');
    try {
      const server = values.server === undefined ? asking.ownServer : serverAddress(values.server);
      const upstream = { name: server.host, url: server };
      const parseImage = (name: string): Image => {
        const { repositories, tag, reference } = parseNameForServer(name, upstream);
        const path = repositories[0]?.path ?? '';
        return { name: `oci:${path}${tag === undefined ? '@' : ':'}${reference}`, path, reference };
      };
      const wanted = await readWanted({ goSums, go, oci, files }, parseImage, terminal);
      const larder = new RunningLarder({ client: asking.client, server, ...limits });
      const items = warmables(larder, wanted, platforms.length === 0 ? undefined : platforms);
      const json = values.json === true;
      const result = await warmThem(items, limits.parallel, { terminal, signal, json });
      return result.failed.length === 0 ? 0 : 1;
    } finally {
      await asking.close();
    }
  });

function warmables(
  larder: RunningLarder,
  { versions, images }: Wanted<Image>,
  platforms: readonly ReturnType<typeof parsePlatform>[] | undefined,
): Warmable[] {
  return [
    ...versions.map((version): Warmable => ({
      name: versionName(version),
      warm: (signal, pieces) =>
        walkVersion(version, {
          ...pieces,
          keep: (file) => larder.keep({ path: pathOf(file) }, signal),
        }),
    })),
    ...images.map(({ name, path, reference }): Warmable => ({
      name,
      warm: (signal, pieces) =>
        walkImage(imageSource(larder, path, signal), { ...pieces, reference, platforms }),
    })),
  ];
}

interface Said {
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly json: boolean;
}

/** Says what became of each, in their order, and of all of them, also where it is stopped. Throws the signal's reason. */
async function warmThem(
  items: readonly Warmable[],
  parallel: number,
  { terminal, signal, json }: Said,
): Promise<WarmResult> {
  const result = nothingWarmed();
  const steps = { done: 0, total: 0 };
  const progress = () => {
    terminal.progress({ ...steps, failed: result.failed.length });
  };
  const pieces: Pieces = {
    found() {
      steps.total++;
    },
    done() {
      steps.done++;
      progress();
    },
  };
  const run = async (item: Warmable) => ({ item, warmed: await warmOne(item, signal, pieces) });
  const spreading = { parallel, ahead: 8 * parallel, signal };
  try {
    for await (const { item, warmed } of inOrder(Readable.from(items), spreading, run)) {
      tell(result, item, warmed);
      if (!json) terminal.say(lineOf(item, warmed));
      await terminal.flushed();
    }
  } finally {
    const { stored, present, failed } = result;
    if (json) terminal.say(JSON.stringify(result));
    else
      terminal.tell(
        `${String(stored)} stored, ${String(present)} there already, ${String(failed.length)} failed`,
      );
  }
  return result;
}

const lineOf = ({ name }: Warmable, warmed: Warmed): string =>
  warmed.kind === 'failed' ? `failed  ${name}: ${warmed.error}` : `${warmed.kind}  ${name}`;

/** Says the option of a list again before each of its values, as parseArgs takes one at a time. */
function spread(args: readonly string[]): string[] {
  let list: string | undefined;
  return args.flatMap((arg, at) => {
    const isOption = arg.startsWith('-') && arg !== '-';
    if (isOption) {
      list = LISTS.find((name) => arg === name || arg.startsWith(`${name}=`));
      return [arg];
    }
    // its first value stands right behind it
    return list === undefined || args[at - 1] === list ? [arg] : [list, arg];
  });
}
