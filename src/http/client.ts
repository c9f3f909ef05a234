// How Larder talks to upstreams: one client for all rooms, so that limits, manners and deadlines hold for every request.
//
// One call is one thing wanted: it follows redirects, tries again what may be tried again, and hands over a body that
// resumes when it breaks (download.ts). Token buckets and the breaker join here, around `#exchange`.

import { Readable } from 'node:stream';
import { EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici';
import { LarderError } from '../engine/errors.ts';
import type { Listener } from '../engine/ports.ts';
import { orAborted, withDeadline } from './deadline.ts';
import { explain, mayTryAgain, unreachable } from './failures.ts';
import { nextHop } from './redirect.ts';

/** At most this many tries for one thing, whatever went wrong with each. */
const TRIES = 3;
const RETRY_PAUSE_MS = [100, 400];
/** Sockets a host. */
const SOCKETS = 64;
const MAX_REDIRECTS = 10;
const CONNECT_TIMEOUT_MS = 10_000;
/** How much later than its reader the connection itself gives up a silent body, milliseconds; and the longest timer. */
const STALL_SLACK_MS = 1000;
const LONGEST_MS = 2 ** 31 - 1;

export interface UpstreamRequest {
  readonly url: URL;
  /** A redirected POST or PUT is not followed: what is in its body is for that server alone. */
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  /** `manual`: a redirect is the answer. Default: it is followed. */
  readonly redirects?: 'manual';
  /** Of a POST or PUT. Sent again with each try. */
  readonly body?: string | Uint8Array;
  /** A body that flows past once, in place of `body`: it is sent once, whatever becomes of it. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** From the call to the first byte of the answer, all tries and redirects together, milliseconds. */
  readonly firstByteMs: number;
  /** Longest silence in a body, milliseconds. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Where the answer came from in the end. */
  readonly url: URL;
  /** Must be read to its end or destroyed. */
  readonly body: Readable;
  /** Tries that are left for the same thing. */
  readonly triesLeft: number;
}

export interface ClientOptions {
  readonly userAgent: string;
  /** Name of this server in `Via`, by which it knows a request that came back to it. */
  readonly via: string;
  readonly listener: Required<Listener>;
  /** Why nothing is ever sent, where that is so: then every request is refused as `not_cached`. */
  readonly offline?: string | undefined;
}

export class UpstreamClient {
  readonly #options: ClientOptions;
  readonly #dispatcher: Dispatcher;

  constructor(options: ClientOptions) {
    this.#options = options;
    // the deadlines are our own
    const limits = { connections: SOCKETS, headersTimeout: 0, bodyTimeout: 0 };
    // honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY; the pool to a proxy gets no limits but by the factory
    this.#dispatcher = new EnvHttpProxyAgent({
      ...limits,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      factory: (origin, options) => new Pool(origin, { ...(options as Pool.Options), ...limits }),
    });
  }

  /**
   * Sends a request until there is an answer that is not to be tried again: any status but 500, 502, 503, 504, or the
   * last of these. Throws LarderError `upstream_timeout`, `upstream_failed`, `not_cached`, or the signal's reason.
   */
  async send(request: UpstreamRequest, most = TRIES): Promise<UpstreamResponse> {
    const { offline } = this.#options;
    const tries = request.stream === undefined ? most : 1;
    if (offline !== undefined) throw new LarderError('not_cached', `not asked: ${offline}`);
    const late = () => timedOut(request.url, request.firstByteMs);
    return withDeadline(request.firstByteMs, late, request.signal, async (signal) => {
      for (let left = tries - 1; ; left--) {
        const response = await this.#follow(request, signal, left).catch((error: unknown) => {
          if (signal.aborted) throw signal.reason as Error;
          if (left > 0 && mayTryAgain(error)) return undefined;
          throw error instanceof LarderError ? error : unreachable(request.url, error);
        });
        if (response && (left === 0 || !isTransient(response.status))) return response;
        response?.body.destroy();
        await pause(RETRY_PAUSE_MS[tries - 1 - left] ?? 400, signal);
      }
    });
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #follow(
    request: UpstreamRequest,
    signal: AbortSignal,
    triesLeft: number,
  ): Promise<UpstreamResponse> {
    let { url } = request;
    let headers = request.headers ?? {};
    for (let hops = 0; ; hops++) {
      const response = await this.#exchange({ ...request, url, headers }, signal);
      const location = response.headers['location'];
      const follows =
        isRedirect(response.statusCode) &&
        (request.method === 'GET' || request.method === 'HEAD') &&
        request.redirects === undefined;
      if (!follows || typeof location !== 'string') {
        return {
          status: response.statusCode,
          headers: response.headers,
          url,
          body: response.body,
          triesLeft,
        };
      }
      response.body.destroy();
      if (hops === MAX_REDIRECTS) {
        throw new LarderError(
          'upstream_failed',
          `${request.url.host} redirects more than ${String(MAX_REDIRECTS)} times`,
        );
      }
      ({ url, headers } = await orAborted(nextHop(url, location, headers), signal));
    }
  }

  async #exchange(request: UpstreamRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { url, method } = request;
    const { listener } = this.#options;
    const started = performance.now();
    const report = (status: number) => {
      listener.upstreamAnswered({ host: url.host, status, ms: performance.now() - started });
    };
    try {
      const response = await this.#dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: {
          'user-agent': this.#options.userAgent,
          'accept-encoding': 'identity',
          via: `1.1 ${this.#options.via}`,
          ...basicAuth(url),
          ...request.headers,
        },
        body: request.stream ? Readable.from(request.stream) : (request.body ?? null),
        signal,
        // undici closes the connection after every HEAD otherwise
        reset: false,
        // for bodies that nobody watches, such as the text of a refusal
        bodyTimeout: Math.min(request.stallMs + STALL_SLACK_MS, LONGEST_MS),
      });
      report(response.statusCode);
      // a body that is destroyed unread tells nobody; readers see its error by reading
      response.body.on('error', () => undefined);
      return response;
    } catch (error) {
      report(0);
      throw error;
    }
  }
}

export const timedOut = (url: URL, ms: number): LarderError =>
  new LarderError('upstream_timeout', `fetch timed out: ${url.host} was silent for ${explain(ms)}`);

const isTransient = (status: number) => status === 500 || (status >= 502 && status <= 504);
export const isRedirect = (status: number): boolean =>
  status >= 301 && status <= 308 && status !== 304 && status !== 305 && status !== 306;

function basicAuth(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await orAborted(over, signal).finally(() => {
    clearTimeout(timer);
  });
}
