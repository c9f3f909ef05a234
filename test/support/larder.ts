// The real program as a process of its own, with the Node that runs the tests and an environment that holds nothing
// but what a test gives it; or as a container, where the run of the tests says so (container.ts).

import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageOfRun, startContainer, type Running } from './container.ts';
import { request } from './http.ts';
import { storeOfRun } from './store-of-run.ts';
import { atEnd, atExit, eventually, tempDir } from './tmp.ts';

/** The sources, or what was built of them where TEST_PROGRAM says so. */
const program = process.env['TEST_PROGRAM'] ?? 'src/main.ts';
const main = fileURLToPath(new URL(`../../${program}`, import.meta.url));
const loopbackOnly = new URL('loopback.ts', import.meta.url).href;

export type Settings = Readonly<Record<string, string>>;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Run extends Ended {
  readonly stdout: string;
  readonly stderr: string;
}

/** What one line of the log says. */
type LogLine = Readonly<Record<string, unknown>>;

export interface LarderOptions {
  /** LARDER_ settings. Without them nothing is asked of anybody: upstream and checksum database are off. */
  readonly env?: Settings;
  /** Where it keeps everything; give one of an earlier process to start on its store. Default: a fresh one. */
  readonly dir?: string;
  /** May it reach addresses of elsewhere? For the live tests alone. Default: loopback only. */
  readonly live?: boolean;
}

export interface RunningLarder {
  /** URL without a slash at its end. */
  readonly base: string;
  readonly pid: number;
  readonly dir: string;
  /** Of the file store. */
  readonly storageDir: string;
  readonly spoolDir: string;
  /** The lines of standard output that are JSON objects, so far. */
  log(): LogLine[];
  /** Everything on standard error so far. */
  stderr(): string;
  /** Resolves when it is gone, however that came. */
  readonly ended: Promise<Ended>;
  /** Sends SIGTERM or another signal, waits for nothing. */
  signal(signal?: NodeJS.Signals): void;
  /** Sends SIGTERM and waits for the end. */
  stop(): Promise<Ended>;
  /** Ends it with no chance to tidy up. */
  kill9(): Promise<Ended>;
  /** Resident memory in bytes: now, and at its highest since the start. Linux only. */
  memory(): { readonly now: number; readonly peak: number };
}

const running = new Set<Running>();
// whatever ends the tests, no server stays behind
atExit(() => {
  for (const one of running) one.kill('SIGKILL');
});

/** How a container that was killed has ended; a process has a signal then. */
const KILLED = 137;

interface Spawned extends Running {
  readonly ended: Promise<Ended>;
  readonly stdout: () => string;
  readonly stderr: () => string;
}

function spawnLarder(
  args: readonly string[],
  env: Settings,
  cwd: string,
  guard: readonly string[] = ['--import', loopbackOnly],
): Spawned {
  const started =
    imageOfRun === undefined
      ? startProcess([...guard, main, ...args], env, cwd)
      : startContainer(imageOfRun, args, env, cwd);
  const { child } = started;
  running.add(started);
  let stdout = '';
  let stderr = '';
  // whoever takes no more of its input is no failure of the test
  child.stdin.on('error', () => undefined);
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      running.delete(started);
      // how Docker tells of a signal
      const killed = imageOfRun !== undefined && code === KILLED;
      resolve(killed ? { code: null, signal: 'SIGKILL' } : { code, signal });
    });
  });
  return { ...started, ended, stdout: () => stdout, stderr: () => stderr };
}

function startProcess(args: readonly string[], env: Settings, cwd: string): Running {
  const child = spawn(process.execPath, args, {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', HOME: cwd, ...env },
    stdio: 'pipe',
  });
  return {
    child,
    pid() {
      if (child.pid === undefined) throw new Error('it was never begun');
      return child.pid;
    },
    kill: (signal) => void child.kill(signal),
  };
}

interface RunOptions {
  readonly env?: Settings;
  readonly cwd?: string;
  /** On standard input. */
  readonly input?: string;
  /** It gets the signal that this resolves with. */
  readonly kill?: Promise<NodeJS.Signals>;
}

/** Runs the program to its own end with exactly these settings. Killed after 20 s: then `signal` is set. */
export async function runLarder(
  args: readonly string[],
  { env = {}, cwd = tempDir(), input = '', kill }: RunOptions = {},
): Promise<Run> {
  const run = spawnLarder(args, env, cwd);
  const { child, ended, stdout, stderr } = run;
  child.stdin.end(input);
  kill?.then(run.kill, () => undefined);
  const timer = setTimeout(() => {
    run.kill('SIGKILL');
  }, 20_000);
  atEnd(() => {
    run.kill('SIGKILL');
  });
  const { code, signal } = await ended;
  clearTimeout(timer);
  return { code, signal, stdout: stdout(), stderr: stderr() };
}

/** Starts a verb, whose standard input stays open until the test ends it. Killed at the end of the test. */
export function startVerb(args: readonly string[], env: Settings): Spawned {
  const started = spawnLarder(args, env, tempDir());
  atEnd(() => {
    started.kill('SIGKILL');
  });
  return started;
}

/** Where it keeps things: as the test says, else as the run of the tests says, else in a folder. */
function storeSettings(dir: string, env: Settings): Settings {
  if (env['LARDER_STORAGE'] !== undefined || env['LARDER_STORAGE_DIR'] !== undefined) return {};
  return storeOfRun?.settings(dir) ?? { LARDER_STORAGE_DIR: join(dir, 'data') };
}

/** Starts `larder serve` and waits until it answers. It ends with the test or file. */
export async function startLarderProcess({
  env = {},
  dir = tempDir(),
  live = false,
}: LarderOptions = {}): Promise<RunningLarder> {
  const port = await freePort();
  const scheme = env['LARDER_TLS_CERT_FILE'] === undefined ? 'http' : 'https';
  const base = `${scheme}://127.0.0.1:${String(port)}`;
  const storageDir = join(dir, 'data');
  const spoolDir = join(dir, 'spool');
  const home = join(dir, 'home');
  mkdirSync(home, { recursive: true });
  const settings = {
    LARDER_HOST: '127.0.0.1',
    LARDER_PORT: String(port),
    LARDER_SPOOL_DIR: spoolDir,
    LARDER_GO_UPSTREAM: 'off',
    LARDER_GO_SUMDB: 'off',
    ...storeSettings(dir, env),
    ...(env['LARDER_PEER_SECRET'] !== undefined && { LARDER_PEER_URL: base }),
    ...env,
  };
  const { kill, ended, stdout, stderr, ...started } = spawnLarder(
    ['serve'],
    settings,
    home,
    live ? [] : undefined,
  );
  started.child.stdin.end();
  atEnd(async () => {
    kill('SIGKILL');
    const { code } = await ended;
    // a test may not have noticed that its server is gone
    if (code !== null && code !== 0) {
      throw new Error(`Larder ended with code ${String(code)} during the tests:\n${stderr()}`);
    }
  });
  let gone: Ended | undefined;
  void ended.then((end) => (gone = end));
  await eventually('Larder answers /healthz', async () => {
    if (gone !== undefined) return true;
    const { status } = await request(base, '/healthz', { timeoutMs: 2000 });
    return status === 200;
  });
  if (gone !== undefined) {
    throw new Error(`Larder ended at its start:\n${stdout()}${stderr()}`);
  }
  const pid = started.pid();
  const end = (signal: NodeJS.Signals) => {
    kill(signal);
    return ended;
  };
  return {
    base,
    pid,
    dir,
    storageDir,
    spoolDir,
    log: () => jsonLines(stdout()),
    stderr,
    ended,
    signal: (signal = 'SIGTERM') => {
      kill(signal);
    },
    stop: () => end('SIGTERM'),
    kill9: () => end('SIGKILL'),
    memory: () => memoryOf(pid),
  };
}

function jsonLines(output: string): LogLine[] {
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as LogLine);
}

function memoryOf(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  const bytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
}

/** A port that nothing listens on, below those that the system gives to clients (which would take it meanwhile). */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
