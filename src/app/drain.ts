// The gentle end of servers: what is under way may finish, and whoever comes meanwhile learns that it is the end.

import type { Server, ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { allSent } from './unsent.ts';

/** How long connections may be silent once no request is in flight: whoever has just connected will ask something. */
const silenceMs = 1000;

/** Requests in flight and connections of servers that are stopped together. */
export class Traffic {
  readonly #answers = new Set<ServerResponse>();
  readonly #connections = new Set<Socket>();
  #draining = false;
  #whenNone: (() => void) | undefined;

  get draining(): boolean {
    return this.#draining;
  }

  /** Counts what connects from now on. */
  watch(server: Server): void {
    const name = server instanceof https.Server ? 'secureConnection' : 'connection';
    server.on(name, (connection: Socket) => {
      this.#connections.add(connection);
      connection.once('close', () => this.#connections.delete(connection));
    });
  }

  started(answer: ServerResponse): void {
    this.#answers.add(answer);
  }

  /** When an answer is closed: written is not yet gone out. */
  ended(answer: ServerResponse): void {
    this.#answers.delete(answer);
    if (!this.#draining) return;
    this.#closeIdle();
    if (this.#answers.size === 0) this.#whenNone?.();
  }

  /**
   * From now on answers close their connections, and idle ones are closed. Resolves when no request is in flight and none
   * is to be expected of whoever is connected; true if that came in time.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    const end = performance.now() + timeoutMs;
    const noneInTime = () => inTime(this.#none(), end - performance.now());
    this.#draining = true;
    this.#closeIdle();
    if (!(await noneInTime())) return false;
    const silent = [...this.#connections].map(closed);
    await inTime(Promise.all(silent), Math.min(silenceMs, end - performance.now()));
    return noneInTime();
  }

  /**
   * Node's own closeIdleConnections also ends who has connected and not asked yet, and who has not got all of an answer that is
   * written.
   */
  #closeIdle(): void {
    const busy = new Set([...this.#answers].map(({ req }) => req.socket));
    for (const connection of this.#connections)
      if (connection.bytesRead > 0 && !busy.has(connection)) connection.destroy();
  }

  #none(): Promise<void> {
    if (this.#answers.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenNone = resolve;
    });
  }
}

const closed = (connection: Socket): Promise<void> =>
  new Promise((resolve) => {
    connection.once('close', () => {
      resolve();
    });
  });

/**
 * Stops servers gently: requests in flight get `timeoutMs` to finish, and new ones are accepted meanwhile, so that a load
 * balancer can see that they are not ready. Resolves when the ports are free and clients have what was written for them; true
 * if nothing had to be cut off.
 */
export async function drainServers(
  servers: readonly Server[],
  traffic: Traffic,
  timeoutMs: number,
): Promise<boolean> {
  const end = performance.now() + timeoutMs;
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  const finished = await traffic.drain(timeoutMs);
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  return (await allSent(ports, end - performance.now())) && finished;
}

async function inTime(done: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = sleep(Math.max(0, timeoutMs), false, { signal: timer.signal }).catch(() => false);
  const result = await Promise.race([done.then(() => true), late]);
  timer.abort();
  return result;
}
