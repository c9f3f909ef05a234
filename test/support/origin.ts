// A server on loopback that answers by hand, for what no well-behaved upstream does; and a proxy in front of it.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http, {
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';
import { UpstreamClient, type ClientOptions, type UpstreamRequest } from '../../src/http/client.ts';
import { recorder } from './engine.ts';
import { atEnd, tempDir } from './tmp.ts';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Whether the connection closed before the answer was all sent. */
  broken: boolean;
}

export interface Origin {
  /** Without a slash at its end. */
  readonly url: string;
  readonly host: string;
  readonly asked: Asked[];
  /** Connections that are open, and the most that ever were at once. */
  readonly sockets: { open: number; most: number };
}

export type Turn = (request: IncomingMessage, response: ServerResponse) => void;

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Self-signed, for 127.0.0.1. */
export function certificate(): Certificate {
  const dir = tempDir();
  const [cert, key] = [path.join(dir, 'crt'), path.join(dir, 'key')];
  // prettier-ignore
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** Listens on loopback, counts connections, and ends with the test or file. */
async function listen(server: net.Server): Promise<{ port: number; sockets: Origin['sockets'] }> {
  const sockets = { open: 0, most: 0 };
  const all = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    all.add(socket);
    sockets.most = Math.max(sockets.most, ++sockets.open);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      all.delete(socket);
      sockets.open--;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => {
    server.close();
    for (const socket of all) socket.destroy();
    await once(server, 'close');
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

/** Answers the first request with the first turn, and so on; the last turn answers all that follow. */
export async function origin(turns: Turn | readonly Turn[], tls?: Certificate): Promise<Origin> {
  const asked: Asked[] = [];
  const list = Array.isArray(turns) ? (turns as readonly Turn[]) : [turns as Turn];
  const answer: Turn = (request, response) => {
    const { method = '', url = '', headers } = request;
    const entry = { method, path: url, headers, broken: false };
    const turn = list[Math.min(asked.push(entry), list.length) - 1];
    response.on('close', () => {
      entry.broken = !response.writableFinished;
    });
    turn?.(request, response);
  };
  const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
  const { port, sockets } = await listen(server);
  const host = `127.0.0.1:${String(port)}`;
  return { url: `${tls ? 'https' : 'http'}://${host}`, host, asked, sockets };
}

/** A proxy for whoever is told of it: forwards plain requests, tunnels the others. */
export async function proxy(): Promise<Origin> {
  const asked: Asked[] = [];
  const note = ({ method = '', url = '', headers }: IncomingMessage) =>
    asked.push({ method, path: url, headers, broken: false });
  const server = http.createServer((request, response) => {
    note(request);
    const { method, url = '', headers } = request;
    const onwards = http.request(url, { method, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    });
    onwards.end();
  });
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    note(request);
    const { hostname, port } = new URL(`http://${request.url ?? ''}`);
    const onwards = net.connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onwards.pipe(socket).pipe(onwards);
    });
    onwards.on('error', () => socket.destroy());
    socket.on('close', () => onwards.destroy());
  });
  const { port, sockets } = await listen(server);
  const host = `127.0.0.1:${String(port)}`;
  return { url: `http://${host}`, host, asked, sockets };
}

export const status =
  (code: number, headers: http.OutgoingHttpHeaders = {}, body = ''): Turn =>
  (_request, response) => {
    response.writeHead(code, headers).end(body);
  };

/** Closes the connection without an answer. */
export const hangUp: Turn = (request) => {
  request.socket.resetAndDestroy();
};

/** Says nothing. */
export const silence: Turn = () => undefined;

export interface Sent {
  readonly code?: number;
  readonly headers?: http.OutgoingHttpHeaders;
  /** What is announced: true for the length of the bytes. Default true. */
  readonly length?: boolean | number;
  /** Breaks the connection after so many bytes. */
  readonly cutAt?: number;
  /** Says nothing more after so many bytes. */
  readonly stallAt?: number;
}

/** Sends these bytes, or the part of them that a turn is told to. */
export const send =
  (bytes: Uint8Array, { code = 200, headers, length = true, cutAt, stallAt }: Sent = {}): Turn =>
  (request, response) => {
    const announced = length === true ? bytes.length : length;
    response.writeHead(code, {
      ...headers,
      ...(announced === false ? {} : { 'content-length': announced }),
    });
    const stop = cutAt ?? stallAt;
    if (stop === undefined) {
      response.end(bytes);
      return;
    }
    response.flushHeaders();
    response.write(bytes.subarray(0, stop), () => {
      if (cutAt !== undefined) request.socket.destroySoon();
    });
  };

/** A client of Larder's, and what its listener is told. */
export function upstreamClient(options: Pick<ClientOptions, 'limitsOf' | 'shared'> = {}) {
  const { listener, events } = recorder();
  const own = { userAgent: 'larder/test', via: 'larder-test', listener };
  const client = new UpstreamClient({ ...own, ...options });
  atEnd(() => client.close());
  return { client, events };
}

export const request = (url: string, options: Partial<UpstreamRequest> = {}): UpstreamRequest => ({
  url: new URL(url),
  method: 'GET',
  firstByteMs: 20_000,
  rateWaitMs: 0,
  stallMs: 20_000,
  signal: new AbortController().signal,
  ...options,
});
