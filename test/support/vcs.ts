// A Larder that fetches from a git server on loopback, which stands in for the hosts of a test: by git's own insteadOf.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { goModDownload, type GoDownload } from './go.ts';
import { startGitServer, type GitServer } from './git-server.ts';
import { tempDir } from './tmp.ts';

/** Host of the modules. The `.git` in their names tells go what they are, without a question to that host. */
export const HOST = 'code.example.com';

/** Git's configuration that leads to a server from https://code.example.com/, and to nobody by what go tries besides. */
export const leadingTo = (url: string): string =>
  Object.entries({ https: url, 'git+ssh': NOBODY, ssh: NOBODY })
    .map(([scheme, to]) => `[url "${to}/"]\n\tinsteadOf = ${scheme}://${HOST}/\n`)
    .join('');

const NOBODY = 'http://127.0.0.1:1';

/** A git server, and the file of git's configuration that leads to it from code.example.com. */
export async function startCode(root?: string): Promise<{ git: GitServer; gitConfig: string }> {
  const git = await startGitServer(root);
  const gitConfig = join(tempDir(), 'gitconfig');
  writeFileSync(gitConfig, leadingTo(git.url));
  return { git, gitConfig };
}

/** What the go command itself makes of these, straight from version control. */
export async function directly(
  modules: readonly string[],
  gitConfig: string,
  env: Readonly<Record<string, string>> = {},
): Promise<GoDownload[]> {
  return goModDownload(modules, { proxy: 'direct', vcs: { GIT_CONFIG_GLOBAL: gitConfig, ...env } });
}

/** What runs for version control of the Larder with this spool folder, the dead that nobody has buried apart. Linux only. */
export function processesOf(spoolDir: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        const state = /^State:\s+(\w)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
        if (!environment.includes(`HOME=${spoolDir}/.vcs/`) || state === 'Z') return [];
        return [`${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`];
      } catch {
        return []; // gone meanwhile
      }
    });
}
