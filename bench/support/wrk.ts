import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { run, usageOf, type Server } from './processes.ts';

const report = fileURLToPath(new URL('wrk-report.lua', import.meta.url));

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Throughput {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Of the server, its children included. */
  readonly cpuPerRequest: number;
  readonly cpuPerByte: number;
}

/** Installs wrk where it lacks and that may be done; else throws a sentence that tells what to do. */
export function needWrk(): void {
  const there = (): boolean => spawnSync('wrk', ['-v']).error === undefined;
  if (there()) return;
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['-v']).error === undefined) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    spawnSync('apt-get', ['update', '-qq'], { env });
    spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'wrk'], { env });
    if (there()) return;
  }
  throw new Error('The benchmarks of hits need wrk on the PATH: install it and run them again.');
}

/** Asks for one thing again and again, from one thread. Throws when an answer is not 2xx or 3xx, or a connection breaks. */
export async function load(server: Server, path: string, options: Load): Promise<Throughput> {
  const before = usageOf(server.pid).cpuSeconds;
  const output = await run('wrk', [
    '-t1',
    `-c${String(options.connections)}`,
    `-d${String(options.seconds)}s`,
    // a large answer may take its time where wrk itself is what is slow
    '--timeout=30s',
    ...Object.entries(options.headers ?? {}).flatMap(([name, value]) => [
      '-H',
      `${name}: ${value}`,
    ]),
    ...['-s', report],
    server.base + path,
  ]);
  const cpuSeconds = usageOf(server.pid).cpuSeconds - before;
  const counted = JSON.parse(/^\{.*\}$/m.exec(output)?.[0] ?? '{}') as Record<string, number>;
  const { us = NaN, requests = 0, bytes = 0, errors = NaN } = counted;
  // of what is large, no answer may have been whole by then
  if (errors !== 0 || bytes === 0) {
    throw new Error(
      `${server.name} failed ${String(errors)} of ${String(requests)} requests for ${path}`,
    );
  }
  return {
    requestsPerSecond: requests / (us / 1e6),
    bytesPerSecond: bytes / (us / 1e6),
    cpuPerRequest: cpuSeconds / requests,
    cpuPerByte: cpuSeconds / bytes,
  };
}
