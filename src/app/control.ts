// The control plane: health, readiness, version, metrics, the welcome page, the admin API, and the 404 of every path that
// is nobody's. Express serves it; hits never come here.

import express from 'express';
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express';

import { messageOf } from '../engine/errors.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Build } from './version.ts';
import { welcomeHtml, welcomePolicy, welcomeText } from './welcome.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Sentences, empty when ready. */
  readonly reasons: readonly string[];
  /** Sentences on what does not work, and is no reason not to be asked. */
  readonly warnings: readonly string[];
}

export interface ControlParts {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly build: Build;
  readonly readiness: () => Promise<Readiness>;
  readonly draining: () => boolean;
  /** Whether /admin, /metrics and the page are here, and not on a port of their own. */
  readonly inward: boolean;
  /** Where clients are served. */
  readonly clientPort: () => number | undefined;
  /** Everything below /admin. Without it there is nothing there. */
  readonly admin?: RequestHandler | undefined;
}

export function controlPlane(parts: ControlParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('strict routing');
  app.enable('case sensitive routing');
  app.use((_req, res, next) => {
    res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' });
    next();
  });
  const get = (path: string, handler: RequestHandler) => {
    app.get(path, handler);
    app.all(path, notAllowed);
  };
  get('/healthz', (_req, res) => {
    sendText(res, 200, 'ok');
  });
  get('/readyz', async (_req, res) => {
    const readiness = await readinessNow(parts);
    res.status(readiness.ready ? 200 : 503).json(readiness);
  });
  get('/version', (_req, res) => {
    res.json(parts.build);
  });
  if (parts.inward) {
    get('/', welcome(parts));
    get('/metrics', async (_req, res) => {
      const text = await parts.metrics.text();
      res.set('Content-Type', parts.metrics.contentType).send(text);
    });
    if (parts.admin) app.use('/admin', parts.admin);
  }
  const nothing = parts.inward ? `${notFound} / says more.` : notFound;
  app.use((_req, res) => {
    sendText(res, 404, nothing);
  });
  app.use(mistake(parts.logger));
  return app;
}

const notFound =
  'not found: there is nothing here by that name.\n' +
  'Go modules are at /<module>/@v/list, /<module>/@latest and /<module>/@v/<version>.info .mod .zip.';

async function readinessNow({ draining, readiness, logger }: ControlParts): Promise<Readiness> {
  if (draining()) return { ready: false, reasons: ['Larder is stopping.'], warnings: [] };
  try {
    return await readiness();
  } catch (error) {
    logger.error({ err: error }, 'the readiness check failed');
    return { ready: false, reasons: [messageOf(error)], warnings: [] };
  }
}

function welcome({ build, clientPort }: ControlParts): RequestHandler {
  return (req, res) => {
    const own = ownAddress(req);
    const { localPort } = req.socket;
    const port = clientPort();
    const base = port === localPort ? own : withPort(own, port);
    const page = { base, own, version: build.version };
    res.set({ 'Content-Security-Policy': welcomePolicy, 'Referrer-Policy': 'no-referrer' });
    res.vary('Accept');
    if (req.accepts(['text/plain', 'text/html']) === 'text/html')
      res.type('html').send(welcomeHtml(page));
    else sendText(res, 200, welcomeText(page).trimEnd());
  };
}

/**
 * The address under which the visitor reached this server. A Host that is no host and port is not repeated; a TLS proxy in
 * front is believed about the scheme, which decides nothing but a text on a page.
 */
function ownAddress(req: Request): string {
  const forwarded = req.headers['x-forwarded-proto'];
  const scheme = forwarded === 'https' || 'encrypted' in req.socket ? 'https' : 'http';
  const host = req.headers.host ?? '';
  if (/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host)) return `${scheme}://${host}`;
  const { localAddress = '127.0.0.1', localPort = 80 } = req.socket;
  const address = localAddress.includes(':') ? `[${localAddress}]` : localAddress;
  return `${scheme}://${address}:${String(localPort)}`;
}

/** Of an address without a path. */
function withPort(address: string, port: number | undefined): string {
  return port === undefined ? address : address.replace(/(?::\d{1,5})?$/, `:${String(port)}`);
}

const notAllowed: RequestHandler = (_req, res) => {
  res.set('Allow', 'GET, HEAD');
  sendText(res, 405, 'method not allowed: this can only be read, with GET or HEAD.');
};

function mistake(logger: Logger): ErrorRequestHandler {
  return (error: unknown, _req, res, next) => {
    if (res.headersSent) {
      next(error); // Express breaks the connection
      return;
    }
    const status = statusOf(error);
    if (status >= 500) logger.error({ err: error }, 'a request of the control plane failed');
    const text =
      status >= 500
        ? 'Larder made a mistake; its log says more.'
        : 'bad request: the address cannot be read.';
    sendText(res, status, text);
  };
}

/** Express marks what the client did wrong with a status of 4xx. */
function statusOf(error: unknown): number {
  const status: unknown = error instanceof Error && 'status' in error ? error.status : undefined;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}

function sendText(res: Response, status: number, text: string): void {
  res.status(status).type('text/plain; charset=utf-8').send(`${text}\n`);
}
