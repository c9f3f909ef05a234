// Servers of others as processes of the tests: started on free ports, ended by their id.

import { execFile, spawn } from 'node:child_process';
import { openSync, closeSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { atExit, eventually } from './tmp.ts';

export interface Daemon {
  signal(signal: NodeJS.Signals): void;
  /** Ends it with no chance to tidy up; it may have ended already. */
  kill(): Promise<void>;
  /** Throws an Error with the end of its output when it has ended by itself. */
  throwIfEnded(): void;
}

interface DaemonOptions {
  /** Where its output goes, as `NAME.log`. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a program that stays in the foreground. It is killed when this process ends, at the latest. */
export function startDaemon(
  name: string,
  command: string,
  args: readonly string[],
  { folder, env = {} }: DaemonOptions,
): Daemon {
  const log = path.join(folder, `${name}.log`);
  const output = openSync(log, 'a');
  const child = spawn(command, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  let end: string | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end = error.message;
      resolve();
    });
    child.once('exit', (code, signal) => {
      end = `it ended with ${String(code ?? signal)}`;
      resolve();
    });
  });
  atExit(() => child.kill('SIGKILL'));
  return {
    signal: (signal) => {
      child.kill(signal);
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    throwIfEnded() {
      if (end === undefined) return;
      const said = readFileSync(log, 'utf8').slice(-2000);
      throw new Error(
        `${name} does not run (scripts/install-servers.sh installs it): ${end}\n${said}`,
      );
    },
  };
}

/** Waits until a URL is answered, whatever the answer. Throws when the daemon ends before. */
export async function answering(url: string, daemon: Daemon): Promise<void> {
  const answered = async () => {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    return answer !== undefined || hasEnded(daemon);
  };
  await eventually(`an answer of ${url}`, answered, 60_000);
  daemon.throwIfEnded();
}

function hasEnded(daemon: Daemon): boolean {
  try {
    daemon.throwIfEnded();
    return false;
  } catch {
    return true;
  }
}

/** Ports of loopback that nobody uses now. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

const execute = promisify(execFile);

/** Runs a command to its end and gives its output. Throws an Error with what it said when it fails. */
export async function run(command: string, ...args: string[]): Promise<string> {
  try {
    return (await execute(command, args, { timeout: 30_000 })).stdout;
  } catch (cause) {
    throw new Error(`${command} failed (scripts/install-servers.sh installs it)`, { cause });
  }
}
