// A real module graph, and how long the go command takes to get it.

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync } from 'node:fs';
import { rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { progress } from './figures.ts';
import { run } from './processes.ts';
import { cacheDir } from './servers.ts';

/** Whose requirements are the graph. */
const ROOT = 'github.com/gomods/athens@v0.18.0';
/** Bytes that the unpacked graph may take. */
const ROOM = 3 * 2 ** 30;
const MEMORY = '/dev/shm';

export interface ModuleTree {
  /** The download folder of a module cache: a GOPROXY tree. */
  readonly files: string;
  /** A folder with the go.mod and go.sum that require it all. */
  readonly project: string;
}

/**
 * What Athens 0.18 requires, .info, .mod and .zip of each version: got once from where the go command gets modules,
 * then kept. LARDER_BENCH_TREE names a folder that has it already, with `mc/cache/download` and `proj`.
 */
export async function moduleTree(): Promise<ModuleTree> {
  const home = process.env['LARDER_BENCH_TREE'] ?? path.join(cacheDir, 'modules');
  const tree = { files: path.join(home, 'mc/cache/download'), project: path.join(home, 'proj') };
  if (!existsSync(home)) await makeTree(home);
  return tree;
}

async function makeTree(home: string): Promise<void> {
  progress('getting the module graph, some 250 MB, once');
  mkdirSync(path.dirname(home), { recursive: true });
  const temp = mkdtempSync(`${home}-`);
  const project = path.join(temp, 'proj');
  mkdirSync(project);
  const cache = path.join(temp, 'mc');
  const env = { ...process.env, GOFLAGS: '-modcacherw -mod=mod', GOMODCACHE: cache };
  const download = (args: readonly string[], cwd: string): Promise<string> =>
    run('go', ['mod', 'download', ...args], { cwd, env });
  const { Dir } = JSON.parse(await download(['-json', ROOT], temp)) as { Dir: string };
  for (const name of ['go.mod', 'go.sum'])
    copyFileSync(path.join(Dir, name), path.join(project, name));
  await download([], project);
  // Other proxies fetch a version whole where the go command asks for its .mod alone: none of them gets a 404 that a
  // real upstream would not give.
  const versions = versionsWithoutZip(path.join(cache, 'cache/download'));
  for (let i = 0; i < versions.length; i += 50) await download(versions.slice(i, i + 50), temp);
  for (const name of readdirSync(cache)) {
    if (name !== 'cache') await rm(path.join(cache, name), { recursive: true });
  }
  renameSync(temp, home);
}

function versionsWithoutZip(files: string): string[] {
  const all = new Set(readdirSync(files, { recursive: true, encoding: 'utf8' }));
  const unescape = (text: string): string =>
    text.replace(/!(.)/g, (_, letter: string) => letter.toUpperCase());
  return [...all]
    .filter((file) => file.endsWith('.mod') && !all.has(file.replace(/mod$/, 'zip')))
    .map((file) => unescape(file.slice(0, -'.mod'.length)).replace('/@v/', '@'));
}

/** Seconds that `go mod download` of a project takes, through a proxy, into an empty module cache in memory. */
export async function timeDownload(project: string, proxy: string): Promise<number> {
  const temp = mkdtempSync(path.join(await roomyFolder(), 'larder-bench-'));
  try {
    // the go command may write to both
    for (const name of ['go.mod', 'go.sum'])
      copyFileSync(path.join(project, name), path.join(temp, name));
    const env = {
      PATH: process.env['PATH'],
      HOME: temp,
      GOENV: 'off',
      GOSUMDB: 'off',
      GOTOOLCHAIN: 'local',
      GOFLAGS: '-modcacherw -mod=mod',
      GOMODCACHE: path.join(temp, 'modules'),
      GOPROXY: proxy,
    };
    const begun = performance.now();
    await run('go', ['mod', 'download'], { cwd: temp, env });
    return (performance.now() - begun) / 1000;
  } finally {
    await rm(temp, { recursive: true });
  }
}

/** Memory, where there is room: many small files on a disk would measure the disk. */
async function roomyFolder(): Promise<string> {
  const memory = await statfs(MEMORY).catch(() => undefined);
  return memory && memory.bavail * memory.bsize > ROOM ? MEMORY : tmpdir();
}
