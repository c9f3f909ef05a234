// Which fetcher an address in LARDER_GO_UPSTREAM stands for, by its scheme; and the one for version control. A new kind of source
// is a line here.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DirectoryFetcher } from '../go/fetch-directory.ts';
import { ProxyFetcher, type ProxyTimeouts } from '../go/fetch-proxy.ts';
import type { GoFetcher } from '../go/fetcher.ts';
import { loginFor } from '../go/netrc.ts';
import { parseUpstreamList, type UpstreamStep } from '../go/upstream-list.ts';
import { GoCommand } from '../go/vcs/go-command.ts';
import type { UpstreamClient } from '../http/client.ts';
import type { Logger } from '../observability/logger.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';
import { fileReason, StartError } from './start-error.ts';

export interface FetcherParts {
  readonly client: UpstreamClient;
  readonly timeouts: ProxyTimeouts;
  /** Text of the netrc file. */
  readonly netrc: string;
}

const proxy = (url: URL, { client, timeouts, netrc }: FetcherParts): GoFetcher =>
  new ProxyFetcher(withLogin(url, netrc), client, timeouts);

const fetchers: Readonly<Record<string, (url: URL, parts: FetcherParts) => GoFetcher>> = {
  'https:': proxy,
  'http:': proxy,
  'file:': (url) => new DirectoryFetcher(url),
};

export const parseUpstreams = (list: string) => parseUpstreamList(list, Object.keys(fetchers));

export function fetcherOf(url: URL, parts: FetcherParts): GoFetcher {
  const make = fetchers[url.protocol];
  if (make === undefined)
    throw new StartError(`LARDER_GO_UPSTREAM: nothing fetches ${url.protocol}`);
  return make(url, parts);
}

/** What stands in the address counts before netrc, and goes to that origin alone. */
function withLogin(url: URL, netrc: string): URL {
  const found = url.username === '' ? loginFor(netrc, url.hostname) : undefined;
  if (found === undefined) return url;
  const own = new URL(url);
  own.username = encodeURIComponent(found.login);
  own.password = encodeURIComponent(found.password);
  return own;
}

/**
 * The steps of LARDER_GO_UPSTREAM that this machine can take: without go and git, what the proxies say stays the answer.
 * `rulesNeedDirect`: whether a rule sends modules to version control. Throws
 * StartError where there is no go command, and nothing else to ask.
 */
export function goSteps(
  { go }: Pick<Config, 'go'>,
  logger: Pick<Logger, 'warn'>,
  rulesNeedDirect: boolean,
): UpstreamStep[] {
  const steps = parseUpstreams(go.upstream);
  const ends = steps.at(-1)?.kind === 'direct';
  const needed = [
    ...(go.private.length > 0 ? ['LARDER_GO_PRIVATE'] : []),
    ...(rulesNeedDirect ? ['direct in LARDER_RULES_FILE'] : []),
    ...(ends && steps.length === 1 ? ['direct in LARDER_GO_UPSTREAM'] : []),
  ].join(' and ');
  if (!ends && needed === '') return steps;
  const missing = ['go', 'git'].filter((program) => !isOnPath(program, go.vcs.outside));
  if (missing.length === 0) return steps;
  if (needed !== '' && missing[0] === 'go')
    throw new StartError(
      `No go command is on the PATH, and ${needed} needs one: install Go (https://go.dev/dl), or set it otherwise.`,
    );
  const sentence = `no ${missing.join(' and no ')} on the PATH: `;
  // there are other kinds of version control
  if (needed !== '') logger.warn(`${sentence}${needed} cannot fetch from git repositories`);
  if (!ends || steps.length === 1) return steps;
  logger.warn(`${sentence}direct, the last step of LARDER_GO_UPSTREAM, is left out`);
  return steps.slice(0, -1);
}

const isOnPath = (program: string, env: Readonly<Record<string, string>>): boolean =>
  spawnSync(program, ['version'], { env: { ...env }, stdio: 'ignore' }).status === 0;

/** The go command for version control, in a folder of its own, in which nothing of an earlier process is left. */
export async function composeGoCommand({ go, spoolDir }: Config): Promise<GoCommand> {
  const command = new GoCommand(path.join(spoolDir, '.vcs'), {
    ...go.vcs,
    privatePatterns: go.private.join(','),
    timeoutMs: deadline(go.vcs.timeoutMs),
  });
  await command.sweep();
  return command;
}

/** Text of a file that a setting names; of none where it is not set. Throws StartError. */
export function readSettingFile(name: string, file: string | undefined): string {
  if (file === undefined) return '';
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartError(`${name}="${file}" cannot be read: ${fileReason(error)}.`);
  }
}
