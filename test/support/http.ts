// A client for tests that hides nothing: the path goes out as given, no redirect is followed, no body decoded,
// no connection reused, and a transfer that breaks is a result like any other.

import { createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type {
  ClientRequest,
  IncomingHttpHeaders,
  IncomingMessage,
  OutgoingHttpHeaders,
} from 'node:http';

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Uint8Array;
  /** Called for each chunk, before the next is read. */
  readonly onChunk?: (chunk: Buffer) => void;
  /** Reads no faster than this on average. */
  readonly bytesPerSecond?: number;
  /** The client gives up after so many milliseconds: `complete` is false then. Default 30 s. */
  readonly timeoutMs?: number;
  /** Whether to keep the bytes beside their hash. Default true. */
  readonly keepBody?: boolean;
  /** Breaks the connection when it aborts. */
  readonly signal?: AbortSignal;
}

export interface Reply {
  /** 0 when no answer came. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Empty with `keepBody: false`. */
  readonly body: Buffer;
  readonly text: string;
  /** Bytes of the body that came. */
  readonly length: number;
  /** Of the bytes that came, hex. */
  readonly sha256: string;
  /** All of the answer came, as its framing announced it. */
  readonly complete: boolean;
  /** Why it is not complete. */
  readonly error: Error | undefined;
  /** Milliseconds to the first byte of the body. */
  readonly ttfb: number | undefined;
}

/** What is known of an answer so far. */
class Transfer {
  readonly #started = performance.now();
  readonly #hash = createHash('sha256');
  readonly #chunks: Buffer[] = [];
  readonly #keep: boolean;
  #response: IncomingMessage | undefined;
  #length = 0;
  #ttfb: number | undefined;
  error: Error | undefined;

  constructor(keep: boolean) {
    this.#keep = keep;
  }

  begin(response: IncomingMessage): void {
    this.#response = response;
  }

  add(chunk: Buffer): void {
    this.#ttfb ??= performance.now() - this.#started;
    this.#length += chunk.length;
    this.#hash.update(chunk);
    if (this.#keep) this.#chunks.push(chunk);
  }

  finish(): Reply {
    const body = Buffer.concat(this.#chunks);
    const complete = this.error === undefined && this.#response?.complete === true;
    return {
      status: this.#response?.statusCode ?? 0,
      headers: this.#response?.headers ?? {},
      body,
      text: body.toString(),
      length: this.#length,
      sha256: this.#hash.digest('hex'),
      complete,
      error: this.error ?? (complete ? undefined : new Error('the connection broke')),
      ttfb: this.#ttfb,
    };
  }
}

/** Lets a chunk through, then reads nothing for as long as the chunk may take. */
function slowDown(response: IncomingMessage, bytesPerSecond: number): void {
  let timer: NodeJS.Timeout | undefined;
  response.on('data', (chunk: Buffer) => {
    response.pause();
    timer = setTimeout(() => response.resume(), (chunk.length / bytesPerSecond) * 1000);
  });
  response.on('close', () => {
    clearTimeout(timer);
  });
}

/**
 * One request on a connection of its own. `path` is appended to the base URL exactly as given.
 * Always resolves: see `complete` and `error`.
 */
export function request(base: string, path: string, options: RequestOptions = {}): Promise<Reply> {
  const { protocol, hostname, port, pathname } = new URL(base);
  const send = protocol === 'https:' ? https.request : http.request;
  const transfer = new Transfer(options.keepBody ?? true);
  return new Promise((resolve) => {
    const outgoing: ClientRequest = send({
      rejectUnauthorized: false,
      hostname,
      port,
      path: pathname.replace(/\/$/, '') + path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: false,
    });
    const timeoutMs = options.timeoutMs ?? 30_000;
    const timer = setTimeout(() => {
      outgoing.destroy(new Error(`the client gave up after ${String(timeoutMs)} ms`));
    }, timeoutMs);
    const leave = () => outgoing.destroy(new Error('the client left'));
    options.signal?.addEventListener('abort', leave, { once: true });
    const fail = (error: Error) => {
      transfer.error ??= error;
    };
    outgoing.on('error', fail);
    const finish = () => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', leave);
      resolve(transfer.finish());
    };
    outgoing.on('close', finish);
    outgoing.on('response', (response) => {
      // the request may close while its answer still waits to be read
      outgoing.off('close', finish);
      response.on('close', finish);
      response.on('error', fail);
      transfer.begin(response);
      response.on('data', (chunk: Buffer) => {
        transfer.add(chunk);
        options.onChunk?.(chunk);
      });
      if (options.bytesPerSecond !== undefined) slowDown(response, options.bytesPerSecond);
    });
    if (options.signal?.aborted === true) leave();
    outgoing.end(options.body);
  });
}
