// Stands before a registry, and keeps what was asked in the order in which it came.

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { atEnd } from './tmp.ts';

export interface Recorded {
  readonly method: string;
  /** With its query. What it is changed to is what the registry sees. */
  url: string;
  readonly headers: http.IncomingHttpHeaders;
  /** 0 while there is no answer. */
  status: number;
}

export class RecordingProxy {
  readonly log: Recorded[] = [];
  /** What a request is answered in place of the registry's answer; or, by a promise, what it waits for first. */
  intercept: (request: Recorded) => number | Promise<undefined> | undefined = () => undefined;
  readonly #server: http.Server;

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = http.createServer((request, response) => {
      const { method = '', url = '', headers } = request;
      const recorded: Recorded = { method, url, headers, status: 0 };
      this.log.push(recorded);
      const pass = async () => {
        const instead = await this.intercept(recorded);
        if (instead !== undefined) {
          recorded.status = instead;
          request.resume();
          response.writeHead(instead).end();
          return;
        }
        // `Host` stays, so that the registry's own URLs lead here
        const onward = http.request({ hostname, port, method, path: recorded.url, headers });
        onward.on('response', (answer) => {
          recorded.status = answer.statusCode ?? 0;
          response.writeHead(recorded.status, answer.headers);
          pipeline(answer, response).catch(() => response.destroy());
        });
        await pipeline(request, onward);
      };
      // whoever went away in the middle, or was refused before its end, took the connection along
      pass().catch(() => response.destroy());
    });
  }

  /** It ends with the test or file that started it. */
  static async before(target: string): Promise<RecordingProxy> {
    const proxy = new RecordingProxy(target);
    const server = proxy.#server;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    atEnd(() => {
      server.close();
      server.closeAllConnections();
    });
    return proxy;
  }

  /** Without a slash at its end. */
  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** What was asked since the last call, such as `PUT manifests/v1 201`: without repository and upload, digests cut short. */
  taken(): string[] {
    return this.log.splice(0).map(({ method, url, status }) => {
      const [path = '', query = ''] = url.split('?');
      const what = path
        .replace(/^.*\/(manifests|blobs)\//, '$1/')
        .replace(/uploads\/.+/, 'uploads/…');
      const mount = query.includes('mount=') ? ' mount' : '';
      const short = what.replace(/(sha256:[0-9a-f]{6})[0-9a-f]+/, '$1');
      return `${method} ${short}${mount} ${String(status)}`;
    });
  }
}
