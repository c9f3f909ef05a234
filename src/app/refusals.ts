// Answers to what never became a request: bytes that are no HTTP, headers without end, connections that send nothing.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Refusal {
  readonly status: number;
  readonly phrase: string;
  readonly sentence: string;
}

const malformed: Refusal = {
  status: 400,
  phrase: 'Bad Request',
  sentence: 'bad request: what came is not HTTP/1.1.',
};

const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    phrase: 'Request Header Fields Too Large',
    sentence: 'request too large: its address and headers are longer than 16 KiB.',
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: 413,
    phrase: 'Content Too Large',
    sentence: 'request too large: its chunk extensions are longer than 16 KiB.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    phrase: 'Request Timeout',
    sentence: 'request timeout: the request did not come to an end in time.',
  },
};

const forwardProxy: Refusal = {
  status: 405,
  phrase: 'Method Not Allowed',
  sentence:
    'method not allowed: Larder opens no tunnels. Point GOPROXY at it, not HTTP_PROXY or HTTPS_PROXY.',
};

/** Told of every refusal that was sent. */
export type OnRefusal = (refusal: {
  readonly status: number;
  readonly requestId: string;
  readonly remote: string | undefined;
  readonly code: string | undefined;
}) => void;

/** How long a refused client may go on sending before it is cut off: cut at once, it would often not see the answer. */
const lingerMs = 1000;

export class Refusals {
  readonly #makeId: () => string;
  readonly #onRefusal: OnRefusal;
  readonly #refused = new WeakSet<Socket>();

  constructor(makeId: () => string, onRefusal: OnRefusal) {
    this.#makeId = makeId;
    this.#onRefusal = onRefusal;
  }

  /** Listener of the server's `clientError`, which comes again while a refused client goes on sending. */
  readonly clientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (this.#refused.has(socket)) return;
    // An answer under way on this connection must not have another's text in its body.
    const busy = (socket as { _httpMessage?: ServerResponse | null })._httpMessage;
    if (error.code === 'ECONNRESET' || !socket.writable || (busy !== undefined && busy !== null)) {
      socket.destroy();
      return;
    }
    this.#refuse(socket, refusals[error.code ?? ''] ?? malformed, error.code);
  };

  /** Listener of the server's `connect`: somebody takes Larder for a forward proxy. */
  readonly connect = (_req: IncomingMessage, socket: Socket): void => {
    socket.on('error', () => {
      socket.destroy();
    });
    this.#refuse(socket, forwardProxy, 'CONNECT');
  };

  #refuse(socket: Socket, refusal: Refusal, code: string | undefined): void {
    this.#refused.add(socket);
    const requestId = this.#makeId();
    const { status } = refusal;
    this.#onRefusal({ status, requestId, remote: socket.remoteAddress, code });
    socket.end(message(refusal, requestId));
    socket.resume();
    const cut = setTimeout(() => {
      socket.destroy();
    }, lingerMs);
    socket.once('close', () => {
      clearTimeout(cut);
    });
  }
}

function message({ status, phrase, sentence }: Refusal, requestId: string): string {
  const body = `${sentence}\n`;
  return [
    `HTTP/1.1 ${String(status)} ${phrase}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    ...(status === 405 ? ['Allow: GET, HEAD'] : []),
    'Cache-Control: no-store',
    'X-Larder-Cache: bypass',
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
