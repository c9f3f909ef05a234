// A mock GOPROXY on loopback: modules as data, an exact log of what was asked, and faults by path.

import { once } from 'node:events';
import http from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { conditional, passOn, spoil, text } from './answers.ts';
import type { Answer } from './answers.ts';
import { beforeAnswer, Cut, paced } from './faults.ts';
import type { Fault } from './faults.ts';
import { Catalogue, moduleVersion } from './modules.ts';
import type { ModuleVersion, VersionOptions } from './modules.ts';
import { atEnd } from './tmp.ts';

export interface UpstreamOptions {
  /** Strong ETags, If-None-Match, Range and If-Range on files. Default true. */
  readonly ranges?: boolean;
}

interface LoggedRequest {
  readonly method: string;
  /** As it came. */
  readonly url: string;
  /** Decoded, without a query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** 0 while there is no answer. */
  status: number;
  /** Bytes of body sent so far. */
  sent: number;
  /** `broken`: by either side, before all was sent. */
  state: 'open' | 'done' | 'broken';
  /** Milliseconds on the clock of `performance.now()`. */
  readonly startedAt: number;
  endedAt: number | undefined;
}

/** A path as a whole, or what it must contain. */
type PathMatch = string | RegExp;

export interface Upstream {
  /** Without a slash at its end. */
  readonly url: string;
  /** Where a checksum database asks for go.sum lines; `{module}` and `{version}` stand for these. */
  readonly sumsTemplate: string;
  readonly log: readonly LoggedRequest[];
  /** Makes a version and serves it. */
  add(module: string, version: string, options?: VersionOptions): ModuleVersion;
  remove(module: string, version: string): void;
  /** Lets a branch, tag or commit resolve to a version. */
  name(module: string, revision: string, version: string): void;
  /** The newest fault that matches counts. The result takes it away again. */
  fault(match: PathMatch, fault: Fault): () => void;
  clearFaults(): void;
  /** Serves `/sumdb/<name>/…` from the database at that URL. */
  passSumdb(name: string, url: string): void;
  /** What was asked so far, whatever the method, in order. */
  requests(match?: PathMatch): LoggedRequest[];
  clearLog(): void;
  /** Breaks every connection and refuses new ones. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
}

const matches = (match: PathMatch, path: string): boolean =>
  typeof match === 'string' ? match === path : match.test(path);

/** Starts one; it ends with the test or file. */
export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const upstream = new MockUpstream(options);
  await upstream.up();
  atEnd(() => upstream.down());
  return upstream;
}

interface ActiveFault {
  readonly match: PathMatch;
  readonly fault: Fault;
  left: number;
}

class MockUpstream implements Upstream {
  log: LoggedRequest[] = [];
  readonly #ranges: boolean;
  readonly #catalogue = new Catalogue();
  readonly #databases = new Map<string, string>();
  readonly #sockets = new Set<Socket>();
  readonly #server: http.Server;
  #faults: ActiveFault[] = [];
  #port = 0;

  constructor({ ranges = true }: UpstreamOptions) {
    this.#ranges = ranges;
    this.#server = http.createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        // a test must not pass over a fault of the mock itself
        process.emitWarning(new Error('The mock upstream failed.', { cause: error }));
        response.destroy();
      });
    });
    this.#server.keepAliveTimeout = 120_000;
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.#port)}`;
  }

  get sumsTemplate(): string {
    return `${this.url}/_sums/{module}@{version}`;
  }

  add(module: string, version: string, options?: VersionOptions): ModuleVersion {
    const added = moduleVersion(module, version, options);
    this.#catalogue.add(added);
    return added;
  }

  remove(module: string, version: string): void {
    this.#catalogue.remove(module, version);
  }

  name(module: string, revision: string, version: string): void {
    this.#catalogue.name(module, revision, version);
  }

  fault(match: PathMatch, fault: Fault): () => void {
    const active: ActiveFault = { match, fault, left: fault.times ?? Infinity };
    this.#faults.unshift(active);
    return () => {
      this.#faults = this.#faults.filter((other) => other !== active);
    };
  }

  clearFaults(): void {
    this.#faults = [];
  }

  passSumdb(name: string, url: string): void {
    this.#databases.set(name, url);
  }

  requests(match: PathMatch = /^/): LoggedRequest[] {
    return this.log.filter(({ path }) => matches(match, path));
  }

  clearLog(): void {
    this.log = [];
  }

  async down(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async up(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '/';
    const path = decode(url.split('?', 1)[0] ?? '');
    if (path.startsWith('/_sums/')) {
      this.#sums(path, response);
      return;
    }
    const gone = new AbortController();
    const entry: LoggedRequest = {
      method: request.method ?? '',
      url,
      path,
      headers: request.headers,
      status: 0,
      sent: 0,
      state: 'open',
      startedAt: performance.now(),
      endedAt: undefined,
    };
    this.log.push(entry);
    response.on('close', () => {
      entry.endedAt = performance.now();
      if (entry.state === 'open') entry.state = 'broken';
      gone.abort(new ConnectionGone());
    });
    try {
      await this.#answer(entry, this.#faultFor(path), request, response, gone.signal);
    } catch (error) {
      // a write may fail before the connection says that it is closed
      if (!gone.signal.aborted && !request.socket.destroyed) throw error;
    }
  }

  #faultFor(path: string): Fault {
    const active = this.#faults.find(({ match, left }) => left > 0 && matches(match, path));
    if (active === undefined) return {};
    active.left -= 1;
    return active.fault;
  }

  #sums(path: string, response: ServerResponse): void {
    const [, module = '', version = ''] = /^\/_sums\/(.+)@([^@]+)$/.exec(path) ?? [];
    const found = this.#catalogue.find(module, version);
    response.writeHead(found === undefined ? 404 : 200, { 'content-type': 'text/plain' });
    response.end(found?.sums ?? `no ${module}@${version} here\n`);
  }

  async #answer(
    entry: LoggedRequest,
    fault: Fault,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    await beforeAnswer(fault, signal);
    if (fault.hangUp === true) {
      request.socket.destroy();
      return;
    }
    const faulty = spoil(await this.#trueAnswer(entry.path, signal), fault, entry.path);
    const validators = this.#ranges && fault.noRange !== true && fault.gzip !== true;
    const { status, headers, range } = conditional(faulty, request.headers, validators);
    const length = range[1] - range[0];
    if (fault.chunked !== true && status !== 304)
      headers['content-length'] = length + (fault.lengthError ?? 0);
    if (fault.lengthError !== undefined) headers.connection = 'close';
    entry.status = status;
    response.writeHead(status, headers);
    if (entry.method !== 'HEAD' && status !== 304) {
      response.flushHeaders();
      if (!(await this.#send(entry, response, paced(faulty.body, range, fault, signal), fault)))
        return;
    }
    entry.state = 'done';
    response.end();
  }

  /** Whether all of it went out. */
  async #send(
    entry: LoggedRequest,
    response: ServerResponse,
    chunks: AsyncIterable<Uint8Array>,
    fault: Fault,
  ): Promise<boolean> {
    try {
      for await (const chunk of chunks) {
        entry.sent += chunk.length;
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

  async #trueAnswer(path: string, signal: AbortSignal): Promise<Answer> {
    const [, name = '', rest = ''] = /^\/sumdb\/([^/]+)(\/.*)$/.exec(path) ?? [];
    const database = this.#databases.get(name);
    if (database !== undefined) return await passOn(database + rest, signal);
    const answer = this.#catalogue.answer(path);
    if (answer === undefined) return text(404, `not found: this mock upstream has no ${path}\n`);
    const { contentType, body, isFile } = answer;
    return { status: 200, headers: { 'content-type': contentType }, body, isFile };
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

class ConnectionGone extends Error {
  override readonly message = 'the connection is gone';
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // not valid percent-encoding: logged and looked up as it is
  }
}
