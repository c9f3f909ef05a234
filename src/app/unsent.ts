// What the kernel has not sent yet of connections that are closed here. It goes on sending after a process has ended, but
// not after the network of its container has ended with it: who reads slowly would wait for the rest for ever.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between two looks. */
const INTERVAL_MS = 50;

/** States of a closed connection of which the peer has not confirmed everything: FIN_WAIT1, LAST_ACK, CLOSING. */
const UNCONFIRMED: ReadonlySet<string> = new Set(['04', '09', '0B']);

/**
 * Resolves when the peers of all closed connections of these local ports have everything: true if that came in time. At
 * once, and true, where the system is not Linux. Rejects when the kernel's tables cannot be read.
 */
export async function allSent(ports: readonly number[], timeoutMs: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const end = performance.now() + timeoutMs;
  while (await hasUnsent(new Set(ports))) {
    if (performance.now() >= end) return false;
    await sleep(INTERVAL_MS);
  }
  return true;
}

/** proc_net_tcp: number, local and remote address in hexadecimal as ADDRESS:PORT, state, queues, and more. */
async function hasUnsent(ports: ReadonlySet<number>): Promise<boolean> {
  const tables = await Promise.all(['tcp', 'tcp6'].map(tableOf));
  return tables
    .flatMap((table) => table.split('\n').slice(1))
    .some((line) => {
      const [, local = '', , state = ''] = line.trim().split(/\s+/);
      return UNCONFIRMED.has(state) && ports.has(parseInt(local.split(':')[1] ?? '', 16));
    });
}

/** Empty where the kernel has none, as without IPv6. */
async function tableOf(name: string): Promise<string> {
  try {
    return await readFile(`/proc/self/net/${name}`, 'latin1');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}
