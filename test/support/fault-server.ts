// A server on loopback whose answers are computed: with an exact log, and faults by path.

import { once } from 'node:events';
import http from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { conditional, spoil, type Answer } from './answers.ts';
import { Body } from './body.ts';
import { beforeAnswer, Cut, paced, type Fault } from './faults.ts';
import { atEnd } from './tmp.ts';

export interface Asked {
  readonly method: string;
  /** As it came. */
  readonly url: string;
  /** Decoded, without a query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** What came with it. */
  readonly body: string;
  /** When it came, by `performance.now`. */
  readonly at: number;
  /** 0 while there is no answer. */
  status: number;
  /** Bytes of body sent so far. */
  sent: number;
  /** `broken`: by either side, before all was sent. */
  state: 'open' | 'done' | 'broken';
}

/** A path as a whole, or what it must contain, or whatever a test asks of it. */
export type PathMatch = string | RegExp | ((path: string) => boolean);

function matches(match: PathMatch, path: string): boolean {
  if (typeof match === 'function') return match(path);
  return typeof match === 'string' ? match === path : match.test(path);
}

export const json = (status: number, value: unknown, contentType = 'application/json'): Answer => ({
  status,
  headers: { 'content-type': contentType },
  body: Body.of(JSON.stringify(value)),
  isFile: false,
});

/** What the server would say if nothing were wrong. The signal aborts when the connection is gone. */
export type Answering = (asked: Asked, signal: AbortSignal) => Answer | Promise<Answer>;

export interface FaultServerOptions {
  /** ETags on files. Ranges are there without them too. Default true. */
  readonly etags?: boolean;
}

export class FaultServer {
  /** What was asked so far, whatever the method, in order. */
  readonly log: Asked[] = [];
  readonly #answer: Answering;
  readonly #etags: boolean;
  readonly #sockets = new Set<Socket>();
  readonly #server: http.Server;
  #faults: { match: PathMatch; fault: Fault; left: number }[] = [];
  #port = 0;

  constructor(answer: Answering, { etags = true }: FaultServerOptions = {}) {
    this.#answer = answer;
    this.#etags = etags;
    this.#server = http.createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        // a test must not pass over a fault of the mock itself
        process.emitWarning(new Error('The mock server failed.', { cause: error }));
        response.destroy();
      });
    });
    this.#server.keepAliveTimeout = 120_000;
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    atEnd(() => this.down());
  }

  get host(): string {
    return `127.0.0.1:${String(this.#port)}`;
  }

  /** Without a slash at its end. */
  get url(): string {
    return `http://${this.host}`;
  }

  /** The newest fault that matches counts. The result takes it away again. */
  fault(match: PathMatch, fault: Fault): () => void {
    const active = { match, fault, left: fault.times ?? Infinity };
    this.#faults.unshift(active);
    return () => {
      this.#faults = this.#faults.filter((other) => other !== active);
    };
  }

  clearFaults(): void {
    this.#faults = [];
  }

  requests(match: PathMatch = /^/): Asked[] {
    return this.log.filter(({ path }) => matches(match, path));
  }

  clearLog(): void {
    this.log.length = 0;
  }

  /** Breaks every connection and refuses new ones. */
  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Listens, again on the same port. */
  async up(): Promise<this> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => {
      gone.abort(new Error('the connection is gone'));
    });
    try {
      const asked = await read(request);
      this.log.push(asked);
      response.on('close', () => {
        if (asked.state === 'open') asked.state = 'broken';
      });
      const active = this.#faults.find(({ match, left }) => left > 0 && matches(match, asked.path));
      if (active) active.left -= 1;
      await this.#respond(asked, active?.fault ?? {}, response, gone.signal);
    } catch (error) {
      // a write may fail before the connection says that it is closed
      if (!gone.signal.aborted && !request.socket.destroyed) throw error;
    }
  }

  async #respond(
    asked: Asked,
    fault: Fault,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    await beforeAnswer(fault, signal);
    if (fault.hangUp === true) {
      response.socket?.destroy();
      return;
    }
    const faulty = spoil(await this.#answer(asked, signal), fault, asked.path);
    const ranges = fault.noRange !== true && fault.gzip !== true;
    const { status, headers, range } = conditional(faulty, asked.headers, ranges);
    if (!this.#etags) delete headers.etag;
    for (const name in headers)
      if (headers[name] === undefined) Reflect.deleteProperty(headers, name);
    if (fault.chunked !== true && status !== 304)
      headers['content-length'] = range[1] - range[0] + (fault.lengthError ?? 0);
    if (fault.lengthError !== undefined) headers.connection = 'close';
    asked.status = status;
    response.writeHead(status, headers);
    if (asked.method !== 'HEAD' && status !== 304) {
      response.flushHeaders();
      const chunks = paced(faulty.body, range, fault, signal);
      if (!(await sendAll(asked, response, chunks, fault))) return;
    }
    asked.state = 'done';
    response.end();
  }
}

/** Whether all of it went out. */
async function sendAll(
  asked: Asked,
  response: ServerResponse,
  chunks: AsyncIterable<Uint8Array>,
  fault: Fault,
): Promise<boolean> {
  try {
    for await (const chunk of chunks) {
      asked.sent += chunk.length;
      await flushed(response, chunk);
    }
    return true;
  } catch (error) {
    if (!(error instanceof Cut)) throw error;
    if (fault.cutBy === 'rst') response.socket?.resetAndDestroy();
    else response.socket?.destroySoon();
    return false;
  }
}

async function read(request: IncomingMessage): Promise<Asked> {
  const { method = '', url = '/', headers } = request;
  const at = performance.now();
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  const [raw = '', search] = url.split('?', 2);
  return {
    method,
    url,
    path: decode(raw),
    query: new URLSearchParams(search),
    headers,
    body: Buffer.concat(chunks).toString(),
    at,
    status: 0,
    sent: 0,
    state: 'open',
  };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // not valid percent-encoding: logged and looked up as it is
  }
}

/** Writes a chunk and waits until the system has it: what is cut afterwards is exactly what comes after it. */
function flushed(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(chunk, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
