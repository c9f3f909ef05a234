// Which fetcher an address in LARDER_GO_UPSTREAM stands for, by its scheme; and the one for version control. A new kind of source
// is a line here.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DirectoryFetcher } from '../go/fetch-directory.ts';
import { ProxyFetcher, type ProxyTimeouts } from '../go/fetch-proxy.ts';
import type { GoFetcher } from '../go/fetcher.ts';
import { loginFor } from '../go/netrc.ts';
import { parseUpstreamList } from '../go/upstream-list.ts';
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

/** The go command for version control. Throws StartError when something needs it and it is not there. */
export async function composeGoCommand(config: Config, logger: Logger): Promise<GoCommand> {
  const { vcs, private: patterns } = config.go;
  const settings = {
    ...vcs,
    privatePatterns: patterns.join(','),
    timeoutMs: deadline(vcs.timeoutMs),
  };
  const needs = [
    ...(patterns.length > 0 ? ['LARDER_GO_PRIVATE'] : []),
    ...(parseUpstreams(config.go.upstream).some(({ kind }) => kind === 'direct')
      ? ['direct in LARDER_GO_UPSTREAM']
      : []),
  ].join(' and ');
  const has = (program: string, word: string) =>
    spawnSync(program, [word], { env: { ...vcs.outside }, stdio: 'ignore' }).error === undefined;
  if (needs !== '') {
    if (!has('go', 'version'))
      throw new StartError(
        `No go command is on the PATH, and ${needs} needs one: install Go (https://go.dev/dl), or set it otherwise.`,
      );
    // there are other kinds of version control
    if (!has('git', 'version'))
      logger.warn(`no git is on the PATH: ${needs} cannot fetch from git repositories`);
  }
  const command = new GoCommand(path.join(config.spoolDir, '.vcs'), settings);
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
