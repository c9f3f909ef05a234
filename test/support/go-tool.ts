// Builds the Go programs of the tests, offline: what they need of golang.org/x/mod comes with every Go distribution.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  access,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = path.join(tmpdir(), 'larder-go-tools');

/**
 * Path of the program whose sources are in `test/support/<name>/`, built once for each state of these and each version
 * of Go. Throws an Error of one sentence when there is no usable go command.
 */
export async function buildGoTool(name: string): Promise<string> {
  const sources = fileURLToPath(new URL(`${name}/`, import.meta.url));
  const go = await goEnvironment();
  const folder = path.join(CACHE, await fingerprint(sources, go.GOVERSION));
  const program = path.join(folder, name);
  if (await exists(program)) return program;

  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(path.join(CACHE, 'build-'));
  try {
    await layOut(work, sources, name, go);
    await run('go', ['build', '-o', path.join(work, 'built'), '.'], {
      cwd: path.join(work, 'tool'),
      env: {
        ...process.env,
        GOENV: 'off',
        GOWORK: 'off',
        GOFLAGS: '-mod=mod',
        GOPROXY: 'off',
        GOTOOLCHAIN: 'local',
        CGO_ENABLED: '0',
      },
    });
    // whoever builds at the same time puts the same program there
    await rename(path.join(work, 'built'), program);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return program;
}

interface GoEnvironment {
  readonly GOROOT: string;
  /** As in `go1.26.1`. */
  readonly GOVERSION: string;
}

async function goEnvironment(): Promise<GoEnvironment> {
  try {
    const env = { ...process.env, GOTOOLCHAIN: 'local' };
    const { stdout } = await run('go', ['env', '-json', 'GOROOT', 'GOVERSION'], { env });
    return JSON.parse(stdout) as GoEnvironment;
  } catch (cause) {
    throw new Error('These tests need the go command on the PATH (go.dev/doc/install).', { cause });
  }
}

/** Two modules side by side: the program, and golang.org/x/mod out of the Go distribution. */
async function layOut(
  work: string,
  sources: string,
  name: string,
  go: GoEnvironment,
): Promise<void> {
  const vendored = path.join(go.GOROOT, 'src/cmd/vendor/golang.org/x/mod');
  const language = /^go(\d+\.\d+)/.exec(go.GOVERSION)?.[1] ?? '1.24';
  if (!(await exists(path.join(vendored, 'sumdb')))) {
    throw new Error(
      `These tests need a Go distribution with its sources, and ${vendored} is not there.`,
    );
  }
  await cp(vendored, path.join(work, 'mod'), { recursive: true });
  await writeFile(path.join(work, 'mod/go.mod'), `module golang.org/x/mod\n\ngo ${language}\n`);
  await cp(sources, path.join(work, 'tool'), { recursive: true });
  await writeFile(
    path.join(work, 'tool/go.mod'),
    `module larder.test/${name}\n\ngo ${language}\n\nrequire golang.org/x/mod v0.0.0\n\nreplace golang.org/x/mod => ../mod\n`,
  );
}

async function fingerprint(sources: string, version: string): Promise<string> {
  const hash = createHash('sha256').update(version);
  for (const file of (await readdir(sources)).sort()) {
    hash.update(`\n${file}\n`).update(await readFile(path.join(sources, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

const exists = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
