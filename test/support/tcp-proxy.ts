// Stands before a server, counts what passes, and breaks a connection where a test says.

import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { atEnd } from './tmp.ts';

type Direction = 'up' | 'down';

export class TcpProxy {
  /** Bytes so far to the server, and to its clients. */
  readonly bytes = { up: 0, down: 0 };
  /** Connections that have come. */
  connections = 0;
  /** Connections that are open. */
  open = 0;
  readonly #server = createServer({ pauseOnConnect: true });
  #cut: { direction: Direction; at: number } | undefined;

  /** URL of the proxy. It ends with the test or file that started it. */
  static async before(target: string): Promise<{ proxy: TcpProxy; endpoint: string }> {
    const proxy = new TcpProxy();
    const server = proxy.#server;
    const { hostname, port } = new URL(target);
    const sockets = new Set<Socket>();
    server.on('connection', (client) => {
      const upstream = connect(Number(port), hostname);
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      }
      proxy.#join(client, upstream);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address() as AddressInfo;
    return { proxy, endpoint: `http://127.0.0.1:${String(address.port)}` };
  }

  /** Resets the connection over which the byte after so many more goes. Once. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cut = { direction, at: this.bytes[direction] + bytes };
  }

  #join(client: Socket, upstream: Socket): void {
    this.connections++;
    this.open++;
    const end = () => {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    };
    const pass = (from: Socket, to: Socket, direction: Direction) => {
      from.on('data', (chunk) => {
        this.bytes[direction] += chunk.length;
        if (this.#cut?.direction === direction && this.bytes[direction] > this.#cut.at) {
          this.#cut = undefined;
          end();
        } else if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('end', () => to.end());
      from.on('error', end);
      from.on('close', () => to.destroy());
    };
    pass(client, upstream, 'up');
    pass(upstream, client, 'down');
    client.once('close', () => this.open--);
    client.resume();
  }
}
