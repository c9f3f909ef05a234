// The HTTP server. Artifacts are answered by plain node:http handlers (the data planes), all else by the Express app of
// control.ts: Express costs more than half of a hit. Whoever answers, a request has an id, a cache word, one line in the
// access log and its place in the metrics.

import http from 'node:http';
import type {
  IncomingMessage,
  RequestListener,
  Server,
  ServerOptions,
  ServerResponse,
} from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

import type { DataPlane, RequestContext } from '../http/context.ts';
import { logRequest } from '../observability/access-log.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Config } from './config.ts';
import { controlPlane } from './control.ts';
import type { ControlParts, Readiness } from './control.ts';
import { Traffic, drainServers } from './drain.ts';
import { Refusals } from './refusals.ts';
import { requestIds } from './request-id.ts';
import { listenError } from './start-error.ts';
import { TlsServers } from './tls.ts';
import { readBuild } from './version.ts';

export interface ServerParts {
  readonly config: Pick<Config, 'host' | 'port' | 'adminPort' | 'tls' | 'drainTimeoutMs'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
  /** Asked in this order. */
  readonly planes: readonly DataPlane[];
  /** As of ControlParts. */
  readonly admin?: ControlParts['admin'];
}

/** Each such as `http://127.0.0.1:3000`. */
export interface Addresses {
  readonly address: string;
  /** Undefined without a port of its own for the admin API. */
  readonly adminAddress: string | undefined;
}

export interface LarderServer {
  readonly http: Server;
  /** Resolves with where it listens. Throws StartError. */
  listen(): Promise<Addresses>;
  /** Drains (see drainServers), then frees the ports. */
  stop(): Promise<void>;
}

/**
 * Limits on how long a client may take to ask. None on how long it may take to read: whoever reads slowly is served
 * slowly, and TCP keep-alive finds those that are gone.
 */
const limits: ServerOptions = {
  headersTimeout: 30_000,
  requestTimeout: 60_000,
  // Longer than the idle timeout of the usual load balancers, so that it is never Larder that closes first.
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 10_000,
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
  // A missing Host is refused here rather than by Node, whose answer has neither text nor id.
  requireHostHeader: false,
};

/** Builds the server; it does not listen yet. Throws StartError when a TLS file cannot be used. */
export function createServer(parts: ServerParts): LarderServer {
  const { config, logger } = parts;
  const traffic = new Traffic();
  const tls = config.tls && new TlsServers(config.tls, logger);
  const control = {
    ...parts,
    build: readBuild(),
    draining: () => traffic.draining,
    clientPort: () => portOf(server),
  };
  const refusals = new Refusals(requestIds.make, ({ status, requestId, remote, code }) => {
    logger.info(
      { status, requestId, remote, code, outcome: 'bypass' },
      'refused what was no request',
    );
    parts.metrics.requestEnded(refusedSample(status));
  });
  const serverOf = (planes: readonly DataPlane[], inward: boolean): Server => {
    const made = tls?.create(limits) ?? http.createServer(limits);
    const handler = requestHandler(parts, traffic, planes, controlPlane({ ...control, inward }));
    traffic.watch(made);
    made.on('request', handler);
    // What Node would answer with a bare 417 is served as if nothing were expected, as RFC 9110, 10.1.1 allows.
    made.on('checkExpectation', handler);
    made.on('clientError', refusals.clientError);
    made.on('connect', refusals.connect);
    return made;
  };
  const server = serverOf(parts.planes, config.adminPort === undefined);
  const admin = config.adminPort === undefined ? undefined : serverOf([], true);
  return {
    http: server,
    async listen() {
      const { host, adminPort = 0 } = config;
      // first, so that no client is let in when the start fails
      const adminAddress = admin && (await listen(admin, host, adminPort, 'LARDER_ADMIN_PORT'));
      const address = await listen(server, host, config.port, 'LARDER_PORT');
      return { address, adminAddress };
    },
    async stop() {
      tls?.close();
      if (!server.listening) return;
      const servers = admin ? [server, admin] : [server];
      if (await drainServers(servers, traffic, config.drainTimeoutMs)) return;
      logger.warn(
        `requests still in flight after ${String(config.drainTimeoutMs)} ms were cut off`,
      );
    },
  };
}

const refusedSample = (status: number) =>
  ({ protocol: 'control', method: 'none', status, outcome: 'bypass', bytes: 0, ms: 0 }) as const;

function requestHandler(
  { logger, metrics }: ServerParts,
  traffic: Traffic,
  planes: readonly DataPlane[],
  control: RequestListener,
) {
  return (req: IncomingMessage, res: ServerResponse): void => {
    const started = performance.now();
    const requestId = requestIds.of(req.headers['x-request-id']);
    // prettier-ignore
    const context: RequestContext = { requestId, user: undefined, upstream: undefined, protocol: 'control', outcome: 'bypass', bytes: 0 };
    const path = pathOf(req);
    const remote = req.socket.remoteAddress;
    traffic.started(res);
    if (traffic.draining) res.shouldKeepAlive = false;
    res.once('close', () => {
      traffic.ended(res);
      const { method = '' } = req;
      const { protocol, outcome, user, upstream } = context;
      const bytes = protocol === 'control' ? bodyBytes(req, res) : context.bytes;
      const ms = performance.now() - started;
      const status = res.headersSent ? res.statusCode : clientClosedRequest;
      const aborted = !res.writableFinished;
      const userAgent = req.headers['user-agent'];
      metrics.requestEnded({ protocol, method, status, outcome, bytes, ms, upstream });
      // prettier-ignore
      logRequest(logger, { protocol, method, path, status, bytes, ms, outcome, requestId, remote, userAgent, user, aborted });
    });
    if (res.socket === null) closeWithConnection(req, res);

    try {
      const problem = problemWith(req, path);
      if (problem === undefined) {
        for (const plane of planes) if (plane(req, res, path, context)) return;
      }
      identify(res, context);
      if (problem === undefined) control(req, res);
      else refuse(res, 400, problem);
    } catch (error) {
      logger.error({ err: error, requestId }, 'a request failed by a mistake of Larder');
      if (res.headersSent) {
        res.destroy();
        return;
      }
      identify(res, context);
      refuse(res, 500, 'Larder made a mistake; its log says more.');
    }
  };
}

/** A data plane writes these with the rest of its head: headers set one by one would cost it a fifth of a hit. */
function identify(res: ServerResponse, { requestId }: RequestContext): void {
  res.setHeader('X-Request-Id', requestId);
  res.setHeader('X-Larder-Cache', 'bypass');
}

/** The log's status of a request whose client left before it got any; nginx made the number known. */
const clientClosedRequest = 499;

/** The path of the request target without its query, still escaped. An absolute target (RFC 9112, 3.2.2) is cut to its path. */
function pathOf(req: IncomingMessage): string {
  let url = req.url ?? '';
  if (!url.startsWith('/')) {
    url = url.replace(/^https?:\/\/[^/?#]*/i, '');
    if (url === '' || url.startsWith('?')) url = `/${url}`;
    req.url = url;
  }
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

function problemWith(req: IncomingMessage, path: string): string | undefined {
  if (!path.startsWith('/')) return 'bad request: the address must be a path that begins with /.';
  const needsHost = req.httpVersionMajor === 1 && req.httpVersionMinor === 1;
  if (needsHost && req.headers.host === undefined)
    return 'bad request: HTTP/1.1 requires a Host header.';
  return undefined;
}

function refuse(res: ServerResponse, status: number, sentence: string): void {
  const body = `${sentence}\n`;
  res.statusCode = status;
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.setHeader('Cache-Control', 'no-store');
  res.end(body);
}

function bodyBytes(req: IncomingMessage, res: ServerResponse): number {
  return req.method === 'HEAD' || !res.headersSent
    ? 0
    : Number(res.getHeader('Content-Length') ?? 0);
}

/**
 * A pipelined request's answer has no connection until its turn comes. If the connection ends before, Node 22 lets it
 * hang for ever, and whoever writes it with it; Node 24 and later close it by themselves.
 */
function closeWithConnection(req: IncomingMessage, res: ServerResponse): void {
  req.socket.once('close', () => {
    if (res.closed) return;
    res.destroy();
    if (res.socket === null) res.emit('close');
  });
}

const portOf = (server: Server): number | undefined =>
  (server.address() as AddressInfo | null)?.port;

function listen(server: Server, host: string, port: number, setting: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => {
      reject(listenError(error, host, port, setting));
    };
    server.once('error', failed);
    server.listen(port, host, () => {
      server.off('error', failed);
      const { address, port: taken } = server.address() as AddressInfo;
      const shown = address.includes(':') ? `[${address}]` : address;
      const scheme = server instanceof https.Server ? 'https' : 'http';
      resolve(`${scheme}://${shown}:${String(taken)}`);
    });
  });
}
