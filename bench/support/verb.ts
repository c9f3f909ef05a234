import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { larderProgram } from './servers.ts';

const SAMPLE_EVERY_MS = 100;

export interface TimedVerb {
  /** Of its last line, which is JSON. */
  readonly result: unknown;
  readonly seconds: number;
  /** The most resident memory that it was seen with, bytes. */
  readonly peakBytes: number;
}

/** Runs a verb of the built program with `--json` to its end, whatever its exit code. */
export async function timeVerb(
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<TimedVerb> {
  const begun = performance.now();
  const child = spawn(process.execPath, [larderProgram, ...args, '--json'], {
    env: { PATH: process.env['PATH'], ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let peakBytes = 0;
  const timer = setInterval(() => {
    const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8');
    const [, kib = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
    peakBytes = Math.max(peakBytes, Number(kib) * 1024);
  }, SAMPLE_EVERY_MS);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => {
    clearInterval(timer);
  });
  const seconds = (performance.now() - begun) / 1000;
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as unknown;
  return { result, seconds, peakBytes };
}
