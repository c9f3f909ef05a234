// Modules from version control: a version by the go command alone, and through Larder with nothing, a clone, and everything
// in its store; the list of a repository with many tags.

import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { download } from './support/download.ts';
import { count, fixed, median, progress, ratio, table, times } from './support/figures.ts';
import { run, startServer, type Server } from './support/processes.ts';
import { startLarder } from './support/servers.ts';

const HOST = 'code.example.com';
const ROUNDS = 7;
const FILES = 300;
const TAGS = 5000;
const PATH = process.env['PATH'] ?? '';

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchVcs(dir: string): Promise<string> {
  const repositories = path.join(dir, 'repositories');
  progress('making a repository of many files, and one of many tags');
  await makeRepository(path.join(repositories, 'files.git'), FILES, ROUNDS * 2);
  await makeRepository(path.join(repositories, 'tags.git'), 1, TAGS);
  const daemon = await startGitDaemon(dir, repositories);
  try {
    const gitConfig = path.join(dir, 'gitconfig');
    const to = daemon.base.replace('http:', 'git:');
    writeFileSync(gitConfig, `[url "${to}/"]\n\tinsteadOf = https://${HOST}/\n`);
    return [await versions(dir, gitConfig), await lists(dir, gitConfig)].join('\n\n');
  } finally {
    await daemon.stop();
  }
}

async function versions(dir: string, gitConfig: string): Promise<string> {
  const results = new Map<string, number[]>();
  const note = (name: string, seconds: number): void => {
    progress(`${name}: ${fixed(seconds, 2)} s`);
    results.set(name, [...(results.get(name) ?? []), seconds]);
  };
  const module = `${HOST}/files.git`;
  for (let round = 0; round < ROUNDS; round++) {
    const [one, other] = [
      `${module}@v1.${String(2 * round)}.0`,
      `${module}@v1.${String(2 * round + 1)}.0`,
    ];
    const timed = (query: string, proxy: string) =>
      timeGo(dir, ['mod', 'download', query], proxy, gitConfig);
    note('go alone', await timed(one, 'direct'));
    const larder = await startLarderOn(path.join(dir, `store-${String(round)}`), gitConfig);
    note('Larder, cold', await timed(one, larder.base));
    note('Larder, another version of a repository that it knows', await timed(other, larder.base));
    note('Larder, warm', await timed(one, larder.base));
    await larder.stop();
  }
  const alone = results.get('go alone') ?? [];
  return table(
    ['go mod download of one version', 'seconds', 'best', 'of go alone'],
    Array.from(results, ([name, of]) => [
      name,
      fixed(median(of), 2),
      fixed(Math.min(...of), 2),
      times(ratio(of, alone)),
    ]),
  );
}

async function lists(dir: string, gitConfig: string): Promise<string> {
  const module = `${HOST}/tags.git`;
  const results = new Map<string, number[]>();
  const note = (name: string, seconds: number): void => {
    progress(`${name}: ${fixed(seconds * 1000, 1)} ms`);
    results.set(name, [...(results.get(name) ?? []), seconds * 1000]);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const args = ['list', '-m', '-versions', '-retracted', module];
    note('go list -m -versions alone', await timeGo(dir, args, 'direct', gitConfig));
    const larder = await startLarderOn(path.join(dir, `lists-${String(round)}`), gitConfig);
    const url = `${larder.base}/${module}/@v/list`;
    note('Larder, cold', (await download(url)).seconds);
    note('Larder, warm', (await download(url)).seconds);
    await larder.stop();
  }
  return table(
    [`list of ${count(TAGS)} tags`, 'ms', 'best'],
    Array.from(results, ([name, of]) => [name, fixed(median(of), 1), fixed(Math.min(...of), 1)]),
  );
}

const startLarderOn = (store: string, gitConfig: string): Promise<Server> =>
  startLarder(
    store,
    { go: 'direct' },
    {
      settings: () => ({
        LARDER_STORAGE_DIR: path.join(store, 'store'),
        LARDER_GIT_CONFIG: gitConfig,
      }),
    },
  );

/** Seconds that the go command takes, with nothing in its module cache. */
async function timeGo(
  dir: string,
  args: readonly string[],
  proxy: string,
  gitConfig: string,
): Promise<number> {
  const home = path.join(dir, 'client');
  mkdirSync(home);
  const env = {
    PATH,
    HOME: home,
    GOENV: 'off',
    GOSUMDB: 'off',
    GOTOOLCHAIN: 'local',
    GOFLAGS: '-modcacherw',
    GO111MODULE: 'on',
    GOPROXY: proxy,
    GIT_CONFIG_GLOBAL: gitConfig,
    GIT_CONFIG_SYSTEM: '/dev/null',
  };
  try {
    const begun = performance.now();
    await run('go', args, { cwd: home, env });
    return (performance.now() - begun) / 1000;
  } finally {
    await rm(home, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** A commit for each of so many versions, v1.0.0 and on; each changes one of `files` files of 4 KiB. */
async function makeRepository(folder: string, files: number, versionCount: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const stream = [];
  const data = (text: string) => `data ${String(Buffer.byteLength(text))}\n${text}\n`;
  const name = path.basename(folder);
  for (let version = 0; version < versionCount; version++) {
    const time = 1_700_000_000 + version;
    stream.push(
      `commit refs/heads/main\ncommitter bench <bench@example.com> ${String(time)} +0000\n${data('a version')}`,
    );
    if (version === 0) stream.push(`M 644 inline go.mod\n${data(`module ${HOST}/${name}\n`)}`);
    const changed = version === 0 ? Array.from({ length: files }, (_, i) => i) : [version % files];
    for (const file of changed) {
      const line = `// file ${String(file)} of version ${String(version)}\n`;
      const text = `package bench\n${line.repeat(128)}`;
      stream.push(`M 644 inline folder${String(file % 20)}/file${String(file)}.go\n${data(text)}`);
    }
    stream.push(`reset refs/tags/v1.${String(version)}.0\nfrom refs/heads/main\n\n`);
  }
  const script = path.join(path.dirname(folder), `${name}.stream`);
  writeFileSync(script, stream.join(''));
  await run('git', ['init', '-q', '-b', 'main', '--bare', folder]);
  await run('sh', ['-c', `git fast-import --quiet <'${script}' && git repack -adq`], {
    cwd: folder,
  });
}

/** It speaks no HTTP, and breaks a connection that does: that shows that it is there. */
const startGitDaemon = (dir: string, root: string): Promise<Server> =>
  startServer({
    name: 'git daemon',
    command: 'git',
    args: (port) => [
      ...['daemon', '--export-all', `--base-path=${root}`, '--reuseaddr'],
      ...['--listen=127.0.0.1', `--port=${String(port)}`, root],
    ],
    env: () => ({ PATH }),
    log: path.join(dir, 'git.log'),
  });
