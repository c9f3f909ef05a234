// Runs go and git, each with all of its children in a process group of its own, of which nothing stays behind: neither when it
// has ended, nor at its deadline, nor when Larder itself is killed.

import { spawn, type ChildProcess } from 'node:child_process';
import { LarderError } from '../../engine/errors.ts';

/** Bytes of standard output; of standard error only the first ones are kept. */
const MAX_STDOUT = 64 * 1024 * 1024;
const MAX_STDERR = 64 * 1024;

/**
 * A guard beside the command reads from a pipe whose other end Larder holds, and writes nothing to: at its end, which comes with
 * the end of Larder whatever the cause, it kills the group, itself too.
 */
const GUARDED = '(read -r _; kill -KILL 0) <&3 >/dev/null 2>&1 & exec "$@" 3<&-';

export interface Command {
  readonly args: readonly [string, ...string[]];
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Ended {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a command to its end. When the signal aborts, its group is killed; then it rejects with the signal's reason, once all is
 * gone. Throws LarderError `upstream_failed` when it cannot be started or says too much.
 */
export function run({ args, cwd, env }: Command, signal: AbortSignal): Promise<Ended> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    // a group of its own, which has the number of its first process
    const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', ...args], {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    let failure: Error | undefined;
    const end = () => {
      killGroup(child);
      child.stdio[3]?.destroy();
    };
    const fail = (error: Error) => {
      failure ??= error;
      end();
    };
    const aborted = () => {
      fail(signal.reason as Error);
    };
    signal.addEventListener('abort', aborted, { once: true });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let [said, complained] = [0, 0];
    child.stdout?.on('data', (chunk: Buffer) => {
      stdout.push(chunk);
      said += chunk.length;
      if (said > MAX_STDOUT)
        fail(new LarderError('upstream_failed', `${args[0]} says more than Larder takes`));
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      if (complained < MAX_STDERR) stderr.push(chunk);
      complained += chunk.length;
    });
    // the guard holds it open to the end
    child.stdio[3]?.on('error', () => undefined);
    child.once('exit', end);
    child.once('error', (cause) => {
      fail(new LarderError('upstream_failed', `${args[0]} cannot be started`, { cause }));
      // no `close` comes of what was never there
      if (child.pid === undefined) finish(null);
    });
    child.once('close', (code) => {
      finish(code);
    });
    const finish = (code: number | null) => {
      signal.removeEventListener('abort', aborted);
      if (failure) reject(failure);
      else
        resolve({
          code,
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString(),
        });
    };
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // all of it has ended by itself; a group of which only the dead are left is EPERM on some systems
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}
