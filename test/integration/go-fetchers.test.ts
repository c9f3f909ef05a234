import { renameSync, writeFileSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { AthensFetcher } from '../../src/go/fetch-athens.ts';
import { DirectoryFetcher } from '../../src/go/fetch-directory.ts';
import { ProxyFetcher } from '../../src/go/fetch-proxy.ts';
import { VcsFetcher } from '../../src/go/fetch-vcs.ts';
import { GoCommand } from '../../src/go/vcs/go-command.ts';
import { fetcherContract } from '../contract/fetcher.ts';
import { filePath, listPath, moduleVersion } from '../support/modules.ts';
import { upstreamClient } from '../support/origin.ts';
import { atEnd, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { HOST, startCode } from '../support/vcs.ts';

const VERSIONS = ['v1.0.0', 'v1.1.0'];

fetcherContract('Go proxy', async () => {
  const upstream = await startUpstream();
  const module = 'example.com/m';
  for (const version of VERSIONS) upstream.add(module, version);
  const url = new URL(upstream.url);
  url.username = 'user';
  url.password = 'secret';
  const timeouts = { firstByteMs: 20_000, rateWaitMs: 0, stallMs: 20_000 };
  return {
    fetcher: new ProxyFetcher(url, upstreamClient().client, timeouts),
    module,
    knowsSizes: true,
    hasLatest: true,
    breakDown: () => upstream.down(),
  };
});

fetcherContract('version control', async () => {
  const { git, gitConfig } = await startCode();
  const module = `${HOST}/m.git`;
  const repository = git.repository('m.git');
  for (const version of VERSIONS)
    repository.commit(
      { 'go.mod': `module ${module}\n`, 'v.go': `package m // ${version}\n` },
      version,
    );
  const go = new GoCommand(tempDir(), {
    netrc: undefined,
    gitConfig,
    sshKeyFile: undefined,
    sshKnownHostsFile: undefined,
    privatePatterns: '',
    outside: { PATH: process.env['PATH'] ?? '' },
    timeoutMs: 60_000,
  });
  atEnd(() => go.close());
  return {
    fetcher: new VcsFetcher(go),
    module,
    knowsSizes: false,
    hasLatest: true,
    breakDown: () => git.down(),
  };
});

fetcherContract('directory', async () => {
  const tree = join(tempDir(), 'a tree');
  const module = 'example.com/Cased/m';
  const write = async (path: string, bytes: string | Uint8Array) => {
    await mkdir(dirname(tree + path), { recursive: true });
    writeFileSync(tree + path, bytes);
  };
  for (const version of VERSIONS) {
    const made = moduleVersion(module, version);
    for (const ext of ['info', 'mod', 'zip'] as const)
      await write(filePath(made, ext), made[ext].bytes());
  }
  await write(listPath(module), `${VERSIONS.join('\n')}\n`);
  return {
    fetcher: new DirectoryFetcher(pathToFileURL(tree)),
    module,
    knowsSizes: true,
    hasLatest: false,
    breakDown: () => {
      // a folder that cannot be read, also not by root: its name leads to itself
      renameSync(tree, `${tree} moved`);
      return Promise.resolve();
    },
  };
});

fetcherContract('folder of Athens', async () => {
  const folder = join(tempDir(), 'athens');
  await cp(fileURLToPath(new URL('../support/athens', import.meta.url)), folder, {
    recursive: true,
  });
  return {
    fetcher: new AthensFetcher(folder),
    module: 'example.com/Team/Tool',
    knowsSizes: true,
    hasLatest: false,
    breakDown: () => {
      renameSync(folder, `${folder} that was`);
      return Promise.resolve();
    },
  };
});
