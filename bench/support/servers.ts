// The servers that are measured, and what they need. Each keeps its things in a folder of its own.

import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { progress } from './figures.ts';
import { run, startServer, type Server } from './processes.ts';

/** What is made once and kept: other programs, modules. */
export const cacheDir = path.join(tmpdir(), 'larder-bench');

const fromHere = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const PATH = process.env['PATH'] ?? '';

/** Larder as it was built, with its settings as they are but for what it asks, and no checksum database. */
export function startLarder(dir: string, upstream: string): Promise<Server> {
  mkdirSync(dir, { recursive: true });
  return startServer({
    name: 'Larder',
    command: process.execPath,
    args: () => [fromHere('../../dist/main.js'), 'serve'],
    env: (port) => ({
      PATH,
      HOME: dir,
      LARDER_HOST: '127.0.0.1',
      LARDER_PORT: String(port),
      LARDER_STORAGE_DIR: path.join(dir, 'store'),
      LARDER_GO_UPSTREAM: upstream,
      LARDER_GO_SUMDB: 'off',
    }),
    log: path.join(dir, 'log'),
  });
}

/** The program that LARDER_BENCH_GOPROXY names, else one that is built at the first time. */
export async function goproxyProgram(): Promise<string> {
  const given = process.env['LARDER_BENCH_GOPROXY'];
  if (given !== undefined) return path.resolve(given);
  const program = path.join(cacheDir, 'peers', 'goproxy');
  if (!existsSync(program)) {
    progress('building goproxy');
    await run('bash', [fromHere('../../scripts/build-peers.sh'), path.dirname(program)]);
  }
  return program;
}

export function startGoproxy(program: string, dir: string, upstream: string): Promise<Server> {
  const temp = path.join(dir, 'tmp');
  mkdirSync(temp, { recursive: true });
  return startServer({
    name: 'goproxy',
    command: program,
    args: (port) => [
      ...['server', '--address', `127.0.0.1:${String(port)}`],
      ...['--cacher-dir', path.join(dir, 'store'), '--temp-dir', temp],
    ],
    env: () => ({
      PATH,
      HOME: dir,
      GOENV: 'off',
      GOPROXY: upstream,
      GOSUMDB: 'off',
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      GOMODCACHE: path.join(dir, 'modules'),
    }),
    log: path.join(dir, 'log'),
  });
}

/** The upstream of all: module files from `folder`, each answer `delayMs` late. */
export function startUpstream(dir: string, folder: string, delayMs: number): Promise<Server> {
  return startOwn('the upstream', dir, '../servers/upstream.ts', [folder, String(delayMs)]);
}

/** A bare node:http: the paths under `folder`, small ones from memory and large ones from the file. */
export function startBare(
  dir: string,
  folder: string,
  paths: { readonly small: readonly string[]; readonly large: readonly string[] },
): Promise<Server> {
  const list = [...paths.small, '--', ...paths.large];
  return startOwn('bare node:http', dir, '../servers/bare.ts', [folder, ...list]);
}

function startOwn(
  name: string,
  dir: string,
  program: string,
  args: readonly string[],
): Promise<Server> {
  return startServer({
    name,
    command: process.execPath,
    args: (port) => [fromHere(program), String(port), ...args],
    env: () => ({ PATH }),
    log: path.join(dir, `${path.basename(program)}.log`),
  });
}
