// The real go command, in an environment that holds nothing but what a test gives it.

import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atEnd, tempDir } from './tmp.ts';

export interface GoOptions {
  /** GOPROXY. */
  readonly proxy: string;
  /** GOSUMDB. Default: off. */
  readonly sumdb?: string;
  /** Home of the module cache. Default: a fresh one. */
  readonly gopath?: string;
  /** Lets it use version control, with these variables for git. */
  readonly vcs?: Readonly<Record<string, string>>;
  /** Folder to run in. Default: an empty one. */
  readonly cwd?: string;
  /** Authorities to trust, as PEM. */
  readonly certFile?: string;
}

export interface GoRun {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One object of `go mod download -json`; the fields that tests look at. */
export interface GoDownload {
  readonly Path: string;
  readonly Version: string;
  readonly Error?: string;
  readonly Info?: string;
  readonly GoMod?: string;
  readonly Zip?: string;
  readonly Sum?: string;
  readonly GoModSum?: string;
}

const missing =
  'These tests run the real go command and found none in PATH: install Go (https://go.dev/dl) and run them again.';

/** Runs go to its end. Throws an Error of one sentence where there is no go command. */
export function go(args: readonly string[], options: GoOptions): Promise<GoRun> {
  const gopath = options.gopath ?? tempDir();
  withoutTelemetry(gopath);
  const child = spawn('go', args, {
    cwd: options.cwd ?? tempDir(),
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: gopath,
      GOPATH: gopath,
      GOMODCACHE: join(gopath, 'pkg/mod'),
      GOCACHE: join(gopath, 'cache'),
      GOENV: 'off',
      GOFLAGS: '-modcacherw', // or else the cache could not be removed
      GOTOOLCHAIN: 'local',
      ...(options.vcs === undefined
        ? { GOVCS: '*:off' }
        : { GIT_TERMINAL_PROMPT: '0', GIT_CONFIG_SYSTEM: '/dev/null', ...options.vcs }),
      GOWORK: 'off',
      GO111MODULE: 'on',
      GOPROXY: options.proxy,
      GOSUMDB: options.sumdb ?? 'off',
      ...(options.certFile !== undefined && { SSL_CERT_FILE: options.certFile }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const ended = new Promise<GoRun>((resolve, reject) => {
    child.on('error', (cause) => {
      reject('code' in cause && cause.code === 'ENOENT' ? new Error(missing, { cause }) : cause);
    });
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
  atEnd(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return ended;
}

/** Or else go leaves a process behind that counts in its home after it has ended itself. */
function withoutTelemetry(home: string): void {
  const folder = join(home, '.config/go/telemetry');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'mode'), 'off\n');
}

/** Like `go`, for what must succeed: resolves to its standard output, throws with all that go said. */
export async function goOutput(args: readonly string[], options: GoOptions): Promise<string> {
  const { code, stdout, stderr } = await go(args, options);
  if (code === 0) return stdout.trim();
  throw new Error(`go ${args.join(' ')} ended with ${String(code)}:\n${stderr}${stdout}`);
}

/** `go mod download -json` of these modules; a failed one has its `Error`. */
export async function goModDownload(
  modules: readonly string[],
  options: GoOptions,
): Promise<GoDownload[]> {
  const { stdout, stderr } = await go(['mod', 'download', '-json', ...modules], options);
  const objects = stdout.match(/^\{$[^]*?^\}$/gm) ?? [];
  if (objects.length === 0) throw new Error(`go mod download printed no JSON:\n${stderr}${stdout}`);
  return objects.map((object) => JSON.parse(object) as GoDownload);
}

/** A main module in a folder of its own. Returns the folder. */
export function project(gomod: string, files: Readonly<Record<string, string>> = {}): string {
  const dir = tempDir();
  for (const [name, content] of Object.entries({ 'go.mod': gomod, ...files })) {
    const file = join(dir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  return dir;
}
