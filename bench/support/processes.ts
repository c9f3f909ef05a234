// The processes of a benchmark: what each uses, its children included, and that none stays behind. Linux only.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const STARTED_WITHIN_MS = 20_000;
const SAMPLE_EVERY_MS = 250;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

export interface Server {
  readonly name: string;
  /** URL without a slash at its end. */
  readonly base: string;
  readonly pid: number;
  /** Ends it, and resolves when it is gone. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly name: string;
  readonly command: string;
  /** Arguments and whole environment, for the port of 127.0.0.1 that it is to listen on. */
  readonly args: (port: number) => readonly string[];
  readonly env: (port: number) => Readonly<Record<string, string>>;
  /** File that gets its output. */
  readonly log: string;
}

/** Starts a server and waits until it answers, whatever its answer. Throws with the end of its output when it ends. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const port = await freePort();
  const log = openSync(options.log, 'a');
  const child = spawn(options.command, options.args(port), {
    env: options.env(port),
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  if (child.pid === undefined) {
    // the event tells why
    throw await new Promise<Error>((resolve) => child.once('error', resolve));
  }
  running.add(child);
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  const base = `http://127.0.0.1:${String(port)}`;
  const deadline = Date.now() + STARTED_WITHIN_MS;
  while (!(await answers(base))) {
    if (!running.has(child) || Date.now() > deadline) {
      child.kill('SIGKILL');
      const output = readFileSync(options.log, 'utf8');
      throw new Error(`${options.name} did not start:\n${output.slice(-2000)}`);
    }
    await sleep(50);
  }
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  };
  return { name: options.name, base, pid: child.pid, stop };
}

async function answers(base: string): Promise<boolean> {
  try {
    const response = await fetch(`${base}/`, { signal: AbortSignal.timeout(2000) });
    await response.arrayBuffer();
    return true;
  } catch (error) {
    // one that speaks something else breaks off
    const { code = '' } = (error as { cause?: { code?: string } }).cause ?? {};
    return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET';
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Runs a command to its end, and resolves to its standard output. Throws with the end of what it said on the other. */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => running.delete(child));
  if (code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${String(code)}:\n${stderr.slice(-2000)}`,
    );
  }
  return stdout;
}

export interface Usage {
  /** Of the process and all its children, those that have ended too. */
  readonly cpuSeconds: number;
  /** Resident memory of the process and its living children, bytes. */
  readonly residentBytes: number;
}

const systemValue = (name: string): number =>
  Number(execFileSync('getconf', [name], { encoding: 'utf8' }));
const ticksPerSecond = systemValue('CLK_TCK');
const pageBytes = systemValue('PAGESIZE');

/** What a process uses by now. */
export function usageOf(pid: number): Usage {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(readStat);
  const children = Map.groupBy(
    all.filter((stat) => stat !== undefined),
    (stat) => stat.parent,
  );
  let ticks = 0;
  let pages = 0;
  const add = (stat: Stat): void => {
    ticks += stat.ticks;
    pages += stat.pages;
    children.get(stat.pid)?.forEach(add);
  };
  const root = all.find((stat) => stat?.pid === pid);
  if (root === undefined) throw new Error(`the process ${String(pid)} is gone`);
  add(root);
  return { cpuSeconds: ticks / ticksPerSecond, residentBytes: pages * pageBytes };
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
  readonly pages: number;
}

/** proc_pid_stat(5). Undefined when the process has ended. */
function readStat(pid: string): Stat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // the name, in parentheses, may hold anything
  const fields = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [parent = 0, utime = 0, stime = 0, cutime = 0, cstime = 0, pages = 0] = [
    1, 11, 12, 13, 14, 21,
  ].map((at) => fields[at]);
  return { pid: Number(pid), parent, ticks: utime + stime + cutime + cstime, pages };
}

/** Watches a process: the result ends that, and tells the most resident memory that it had at once, bytes. */
export function watchPeak(pid: number): () => number {
  // 5: the high-water mark begins anew, proc_pid_clear_refs(5)
  writeFileSync(`/proc/${String(pid)}/clear_refs`, '5');
  let sampled = 0;
  const sample = (): void => {
    sampled = Math.max(sampled, usageOf(pid).residentBytes);
  };
  const timer = setInterval(sample, SAMPLE_EVERY_MS);
  return () => {
    clearInterval(timer);
    sample();
    const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
    return Math.max(sampled, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024);
  };
}

/** Resolves when a process does nothing any more: what it left for later is done. After 15 s at the latest. */
export async function settled(pid: number): Promise<void> {
  for (let i = 0, before = -1; i < 30; i++) {
    const { cpuSeconds } = usageOf(pid);
    if (cpuSeconds - before < 0.02) return;
    before = cpuSeconds;
    await sleep(500);
  }
}
