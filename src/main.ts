#!/usr/bin/env node
// The command line: reads the verb and the settings, starts the server, waits for a signal. The only process.exit.
// Nothing of Larder or its libraries is imported before the version of Node is known to run them.

import { parseArgs } from 'node:util';
import type { Verb } from './cli/verb.ts';

const usage = `Usage: larder [serve]
       larder lookup [--index] [--json] [--server URL] [NAME... | -]
       larder rules check FILE [--json] [NAME...]
       larder warm [--server URL] [--go-sum FILE] [--go MODULE@VERSION...] [--oci NAME...] [--platform P...]
       larder purge NAME... [--dry-run] [--json] [--server URL]
       larder collect [--dry-run] [--json] [--server URL]
       larder verify [--repair] [--sample N] [--json] [--server URL]
       larder migrate [--to s3|file] [--json]
       larder import athens DIR [--json]
       larder deploy [--file F] [--dry-run] [--parallel N] [--json]

A caching pull-through proxy for Go modules and container images.

Verbs:
  serve          run the server (the default)
  lookup         ask registries for digests of images (larder lookup --help)
  rules check    check a file of rules, and what it says of names (larder rules --help)
  warm           fill a running server ahead of need (larder warm --help)
  purge          take modules and images out of the store (larder purge --help)
  collect        take out what nobody owns any more (larder collect --help)
  verify         check all that is stored, and repair it (larder verify --help)
  migrate        upgrade an older store, or copy one (larder migrate --help)
  import         bring in what an Athens proxy has kept (larder import --help)
  deploy         push manifests and blobs to registries, with the fewest requests (larder deploy --help)

Options:
  -h, --help     show this
  -v, --version  show the version

Settings are environment variables; .env.example lists them all. The most used:
  LARDER_PORT         where to listen (3000)
  LARDER_STORAGE_DIR  folder of the store (./data)
  LARDER_GO_UPSTREAM  where Go modules come from, in GOPROXY's grammar (what the go command has built in)
`;

const oldestNode = [22, 19] as const;

/** Threads for files and names: with Node's 4, a few writers that wait for the disk would hold up every reader. */
const threads = 16;

/** Those that end by themselves, or by a signal. */
const verbs = new Map<string, () => Promise<Verb>>([
  ['lookup', async () => (await import('./cli/lookup.ts')).lookupVerb],
  ['warm', async () => (await import('./cli/warm.ts')).warmVerb],
  ['purge', async () => (await import('./cli/purge.ts')).purgeVerb],
  ['collect', async () => (await import('./cli/collect.ts')).collectVerb],
  ['verify', async () => (await import('./cli/verify.ts')).verifyVerb],
  ['migrate', async () => (await import('./cli/migrate.ts')).migrateVerb],
  ['import', async () => (await import('./cli/import.ts')).importVerb],
  ['deploy', async () => (await import('./cli/deploy.ts')).deployVerb],
]);

process.exit(await main(process.argv.slice(2)));

async function main(args: string[]): Promise<number> {
  const old = oldNode();
  if (old !== undefined) return usedWrongly(old);
  const [word = '', ...rest] = args;
  if (word === 'rules') return rules(rest);
  const found = verbs.get(word);
  if (found) return verb(found, rest);
  const command = parse(args);
  if (typeof command !== 'string') return usedWrongly(command.problem);
  if (command === 'help') return say(usage);
  widenThreadPool();
  return command === 'version' ? showVersion() : serve();
}

/** What to say of a Node that cannot run the rest. */
function oldNode(): string | undefined {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]))
    return undefined;
  const needed = oldestNode.join('.');
  return `Larder needs Node.js ${needed} or newer, and this is ${process.versions.node}: run it with a newer one.`;
}

function parse(args: string[]): 'serve' | 'help' | 'version' | { readonly problem: string } {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
  } catch (error) {
    const [sentence = ''] = String(error instanceof Error ? error.message : error).split('. ');
    return { problem: `${sentence}; larder --help lists the options.` };
  }
  const [verb = 'serve', ...more] = parsed.positionals;
  if (parsed.values.help) return 'help';
  if (parsed.values.version) return 'version';
  if (verb !== 'serve')
    return { problem: `There is no verb "${verb}"; larder --help lists those there are.` };
  if (more.length > 0)
    return {
      problem: `serve takes no arguments, and got "${more.join(' ')}"; it is set by LARDER_ variables.`,
    };
  return 'serve';
}

/** Before the first file is read: libuv looks there once. */
function widenThreadPool(): void {
  // eslint-disable-next-line n/no-process-env -- it is read nowhere else
  process.env['UV_THREADPOOL_SIZE'] ??= String(threads);
}

/** A verb that ends by itself or by a signal. */
async function verb(load: () => Promise<Verb>, args: string[]): Promise<number> {
  widenThreadPool();
  const { openTerminal } = await import('./cli/terminal.ts');
  const stopping = new AbortController();
  const stop = (signal: string) => {
    stopping.abort(new Error(`stopped by ${signal}`));
  };
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, stop);
  // whoever read the result has gone
  process.stdout.on('error', (error) => {
    stopping.abort(error);
  });
  const run = await load();
  const terminal = openTerminal(process);
  try {
    return await run(args, terminal, stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    terminal.tell('stopped; what was done until then stays done');
    return 1;
  } finally {
    await terminal.flushed();
  }
}

async function showVersion(): Promise<number> {
  const { readBuild } = await import('./app/version.ts');
  return say(`larder ${readBuild().version}\n`);
}

async function rules(args: string[]): Promise<number> {
  const { rulesVerb } = await import('./cli/rules-check.ts');
  const { code, text } = rulesVerb(args);
  (code === 0 ? process.stdout : process.stderr).write(text);
  return code;
}

async function serve(): Promise<number> {
  const forgetSignals = endBySignal();
  const { loadConfig } = await import('./app/config.ts');
  const { compose } = await import('./app/compose.ts');
  const { grammarChecks } = await import('./app/grammar-checks.ts');
  const { untilStopped } = await import('./app/lifecycle.ts');
  const { StartError } = await import('./app/start-error.ts');
  const { LarderError } = await import('./engine/errors.ts');
  const { createLogger } = await import('./observability/logger.ts');
  try {
    const config = loadConfig(undefined, grammarChecks);
    const logger = createLogger(config.logLevel);
    const app = await compose(config, logger);
    const { address, adminAddress } = await app.server.listen();
    logger.info(
      { address, adminAddress, storage: config.storageDir },
      `Larder listens on ${address}`,
    );
    process.on('SIGHUP', () => {
      app.reload();
    });
    forgetSignals();
    return await untilStopped(() => app.stop(), logger);
  } catch (error) {
    if (error instanceof StartError || error instanceof LarderError)
      return usedWrongly(error.message);
    if (error instanceof Error && 'syscall' in error)
      return usedWrongly(`Larder cannot start, as the system refuses: ${error.message}.`);
    throw error;
  }
}

/** Until there is something to stop. A container's first process is ended by no signal that it does not listen to. */
function endBySignal(): () => void {
  const ends = [
    ['SIGINT', () => process.exit(128 + 2)],
    ['SIGTERM', () => process.exit(128 + 15)],
  ] as const;
  for (const [signal, end] of ends) process.on(signal, end);
  return () => {
    for (const [signal, end] of ends) process.off(signal, end);
  };
}

function say(text: string): number {
  process.stdout.write(text);
  return 0;
}

function usedWrongly(problem: string): number {
  process.stderr.write(`${problem}\n`);
  return 2;
}
