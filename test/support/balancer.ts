// One address before several Larders, as a load balancer has it: connections go to those that say they are ready, in turn.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from './http.ts';
import { atEnd } from './tmp.ts';

/** Milliseconds between two questions to one backend. */
const INTERVAL_MS = 25;

export class Balancer {
  /** URL without a slash at its end. */
  readonly base: string;
  readonly #backends = new Map<string, { ready: boolean; open: number }>();
  #turn = 0;

  private constructor(base: string) {
    this.base = base;
  }

  /** It ends with the test or file. */
  static async start(): Promise<Balancer> {
    const server = createServer({ pauseOnConnect: true });
    const sockets = new Set<Socket>();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const balancer = new Balancer(`http://127.0.0.1:${String(port)}`);
    server.on('connection', (client) => {
      sockets.add(client);
      client.on('error', () => undefined);
      client.once('close', () => sockets.delete(client));
      balancer.#join(client);
    });
    atEnd(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
      for (const base of [...balancer.#backends.keys()]) balancer.remove(base);
    });
    return balancer;
  }

  /** It gets connections as soon as it is ready. */
  add(base: string): void {
    const backend = { ready: false, open: 0 };
    this.#backends.set(base, backend);
    void (async () => {
      while (this.#backends.get(base) === backend) {
        backend.ready = (await request(base, '/readyz', { timeoutMs: 5000 })).status === 200;
        await sleep(INTERVAL_MS);
      }
    })();
  }

  remove(base: string): void {
    this.#backends.delete(base);
  }

  isReady(base: string): boolean {
    return this.#backends.get(base)?.ready === true;
  }

  /** Connections that a backend has through this. */
  openOf(base: string): number {
    return this.#backends.get(base)?.open ?? 0;
  }

  /** To the next that is ready; where nobody listens, to the one after it. */
  #join(client: Socket, tried = new Set<string>()): void {
    const ready = [...this.#backends].filter(([base, { ready }]) => ready && !tried.has(base));
    const [base, backend] = ready[this.#turn++ % ready.length] ?? [];
    if (base === undefined || backend === undefined) {
      client.destroy();
      return;
    }
    const { hostname, port } = new URL(base);
    const upstream = connect(Number(port), hostname);
    backend.open++;
    upstream.once('close', () => backend.open--);
    const refused = () => {
      this.#join(client, tried.add(base));
    };
    upstream.once('error', refused);
    upstream.once('connect', () => {
      upstream.off('error', refused);
      upstream.on('error', () => client.resetAndDestroy());
      client.once('close', () => upstream.destroy());
      client.pipe(upstream).pipe(client);
    });
  }
}
