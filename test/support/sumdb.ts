// A real checksum database (golang.org/x/mod's test server) on loopback, as a process of its own.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildGoTool } from './go-tool.ts';

export type SumdbFault =
  '404' | '410' | '429' | '500' | 'hang' | 'garbage' | 'empty' | 'truncate' | 'flip';

export interface SumdbOptions {
  /** `sum.larder.test` by default. */
  readonly name?: string;
  /** Databases with the same seed (and name) have the same key. */
  readonly seed?: string;
  /** URL of the go.sum lines, with `{module}` and `{version}` in it; without it they are made up. */
  readonly sums?: string;
  /** Records to begin with, of `fill.larder.test/m<n>@v1.0.0`. */
  readonly fill?: number;
}

export interface SumdbBehaviour {
  /** By path prefix, the longest one counts. */
  readonly faults?: Readonly<Record<string, SumdbFault>>;
  /** `module@version` whose records get hashes of something else; to be set before their first lookup. */
  readonly lies?: readonly string[];
}

export interface RunningSumdb {
  readonly url: string;
  readonly name: string;
  readonly vkey: string;
  /** For GOSUMDB and LARDER_GO_SUMDB. */
  readonly setting: string;
  /** Replaces what was set before; without anything the database behaves. */
  control(behaviour: SumdbBehaviour): Promise<void>;
  /** The paths that were asked, in order. */
  log(): Promise<string[]>;
  clearLog(): Promise<void>;
  close(): Promise<void>;
}

/** The caller closes it. */
export async function startSumdb(options: SumdbOptions = {}): Promise<RunningSumdb> {
  const args = Object.entries(options).map(([flag, value]) => `-${flag}=${String(value)}`);
  const child = spawn(await buildGoTool('sumdb'), args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const firstLine = once(createInterface(child.stdout), 'line') as Promise<[string]>;
  const [line] = await Promise.race([
    firstLine,
    ended.then(() => {
      throw new Error('The checksum database for the tests ended before it listened.');
    }),
  ]);
  const { url, name, vkey } = JSON.parse(line) as Record<'url' | 'name' | 'vkey', string>;

  const call = async (path: string, init?: RequestInit): Promise<Response> => {
    const response = await fetch(`${url}/_ctl/${path}`, init);
    if (response.ok) return response;
    throw new Error(`${path}: ${String(response.status)} ${await response.text()}`);
  };
  return {
    url,
    name,
    vkey,
    setting: `${vkey} ${url}`,
    control: async (behaviour) => {
      await call('set', { method: 'POST', body: JSON.stringify(behaviour) });
    },
    log: async () => (await (await call('log')).json()) as string[],
    clearLog: async () => {
      await call('clear', { method: 'POST' });
    },
    close: async () => {
      child.stdin.end(); // the program ends with its standard input, also when this process is killed
      await ended;
    },
  };
}
