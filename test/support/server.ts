// The shell without the engine: the real server on loopback with a data plane of the test's own, and clients that send what
// no library would.

import http from 'node:http';
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import net from 'node:net';
import { pino } from 'pino';
import { expect } from 'vitest';

import { createServer } from '../../src/app/server.ts';
import type { ServerParts } from '../../src/app/server.ts';
import type { DataPlane } from '../../src/http/context.ts';
import { Metrics } from '../../src/observability/metrics.ts';
import { atEnd } from './tmp.ts';

/** A plane for tests: /go/… is its own, and answered as a hit with a few bytes. */
const plane: DataPlane = (_req, res, path, context) => {
  if (!path.startsWith('/go/')) return false;
  context.protocol = 'go';
  context.outcome = 'hit';
  context.bytes = 6;
  const { requestId, outcome } = context;
  const ids = { 'X-Request-Id': requestId, 'X-Larder-Cache': outcome };
  res.writeHead(200, { 'Content-Length': 6, ...ids }).end('answer');
  return true;
};

interface Options extends Partial<ServerParts['config']> {
  go?: DataPlane;
  readiness?: ServerParts['readiness'];
  admin?: ServerParts['admin'];
}

export async function serve({ go = plane, readiness, admin, ...change }: Options = {}) {
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => lines.push(JSON.parse(line) as (typeof lines)[0]) };
  const metrics = new Metrics();
  const server = createServer({
    config: {
      host: '127.0.0.1',
      port: 0,
      adminPort: undefined,
      tls: undefined,
      drainTimeoutMs: 10_000,
      ...change,
    },
    logger: pino({ base: null, formatters: { level: (level) => ({ level }) } }, stream),
    metrics,
    readiness: readiness ?? (() => Promise.resolve({ ready: true, reasons: [], warnings: [] })),
    planes: [go],
    admin,
  });
  const { address: base, adminAddress } = await server.listen();
  atEnd(() => {
    server.http.closeAllConnections();
    server.http.close();
  });
  const { port } = server.http.address() as AddressInfo;
  const logged = async (matching: object) =>
    expect.poll(() => lines, { timeout: 20_000 }).toContainEqual(expect.objectContaining(matching));
  return { server, base, adminAddress, port, lines, logged, metrics };
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  complete: boolean;
}

interface Ask {
  method?: string;
  headers?: OutgoingHttpHeaders;
  agent?: http.Agent;
  body?: string | Uint8Array;
}

/** One request with the path as given, on its own connection unless there is an agent. */
export function ask(
  base: string,
  path: string,
  { agent, body, ...options }: Ask = {},
): Promise<Answer> {
  const { protocol, hostname, port } = new URL(base);
  const { request } = protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const sent = request(
      { hostname, port, path, agent: agent ?? false, rejectUnauthorized: false, ...options },
      (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => (text += chunk));
        res.on('error', () => undefined);
        res.on('close', () => {
          const { statusCode = 0, headers, complete } = res;
          resolve({ status: statusCode, headers, text, complete });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Bytes sent on a bare socket, and all that came back until it was closed. */
export function raw(port: number, ...pieces: string[]): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1', () => {
      for (const piece of pieces) socket.write(piece);
    });
    socket.on('data', (chunk) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(text);
    });
  });
}

/** A plane whose answers the test writes, and the requests that have reached it. */
export function manualPlane() {
  const arrived: { res: http.ServerResponse; path: string }[] = [];
  const waiting: (() => void)[] = [];
  const go: DataPlane = (_req, res, path, context) => {
    if (!path.startsWith('/go/')) return false;
    context.protocol = 'go';
    context.outcome = 'miss';
    arrived.push({ res, path });
    for (const wake of waiting.splice(0)) wake();
    return true;
  };
  const next = async (count = 1) => {
    while (arrived.length < count) await new Promise<void>((resolve) => waiting.push(resolve));
    const last = arrived[count - 1];
    if (last === undefined) throw new Error('a request that arrived is gone');
    return last.res;
  };
  return { go, next, arrived };
}

/** An agent that keeps its connections, until the end of the test. */
export function keepAliveAgent(base: string): http.Agent {
  const agent = new (base.startsWith('https:') ? https : http).Agent({
    keepAlive: true,
    maxSockets: 1,
  });
  atEnd(() => {
    agent.destroy();
  });
  return agent;
}
