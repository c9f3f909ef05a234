// How Larder talks to upstreams: one client for all rooms, so that limits, manners and deadlines hold for every request.
//
// One call is one thing wanted: it follows redirects, tries again what may be tried again, and hands over a body that
// resumes when it breaks (download.ts). What a host puts up with is in upstream-host.ts, what is asked for again in retry.ts.

import { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici';
import { LarderError } from '../engine/errors.ts';
import type { Listener } from '../engine/ports.ts';
import { orAborted } from './deadline.ts';
import { explain, mayTryAgain, reasonOf, unreachable } from './failures.ts';
import { Patience } from './patience.ts';
import { nextHop } from './redirect.ts';
import { attempt, TRIES } from './retry.ts';
import { holdMs } from './retry-after.ts';
import { systemTiming, type Timing } from './timing.ts';
import type { Rate, SharedBuckets } from './token-bucket.ts';
import { UpstreamHost } from './upstream-host.ts';

/** Sockets a host, where nothing else is said. */
const SOCKETS = 64;
/** Hosts whose state is known: those asked longest ago are forgotten. */
const HOSTS = 1000;
const MAX_REDIRECTS = 10;
const CONNECT_TIMEOUT_MS = 10_000;
/** Bytes of a refusal that are taken in to keep its connection. */
const MAX_REFUSAL = 64 * 1024;
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
  /** From the call until no limit of the upstream's is waited for any more, milliseconds. */
  readonly rateWaitMs: number;
  /** Longest silence in a body, milliseconds. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  /** What is left of both, and the signal, where other requests came before this one for the same thing. */
  readonly patience?: Patience;
}

/** What a host puts up with. */
export interface HostLimits {
  /** Where it is known. */
  readonly rate?: Rate | undefined;
  readonly sockets?: number | undefined;
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
  /** By `host[:port]`. Default: no known rate, and 64 sockets. */
  readonly limitsOf?: ((host: string) => HostLimits | undefined) | undefined;
  /** Whether a host's 429 is one for all that it is asked. Default true. */
  readonly holds?: boolean;
  /** Where several processes share what they ask of a host. */
  readonly shared?: SharedBuckets | undefined;
  /** Why nothing is ever sent, where that is so: then every request is refused as `not_cached`. */
  readonly offline?: string | undefined;
}

export class UpstreamClient {
  readonly #options: ClientOptions;
  readonly #timing: Timing = systemTiming;
  readonly #hosts = new LRUCache<string, UpstreamHost>({ max: HOSTS });
  #dispatcher: Dispatcher;
  #isClosed = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#dispatcher = dispatcher((host) => options.limitsOf?.(host)?.sockets);
  }

  /** Time that `request` may take until its first byte. The caller ends it. */
  patience({
    url,
    firstByteMs,
    rateWaitMs,
    signal,
  }: Pick<UpstreamRequest, 'url' | 'firstByteMs' | 'rateWaitMs' | 'signal'>): Patience {
    const late = () => timedOut(url, firstByteMs);
    return new Patience(this.#timing, { firstByteMs, rateWaitMs, late, signal });
  }

  /**
   * Sends a request until there is an answer that is not to be tried again: any status but 500, 502, 503, 504, or the
   * last of these; 429 where it would take too long to wait. Throws LarderError `upstream_timeout`, `upstream_failed`,
   * `rate_limited`, `not_cached`, or the signal's reason.
   */
  async send(request: UpstreamRequest, most = TRIES): Promise<UpstreamResponse> {
    const { offline } = this.#options;
    const tries = request.stream === undefined ? most : 1;
    if (offline !== undefined) throw new LarderError('not_cached', `not asked: ${offline}`);
    const patience = request.patience ?? this.patience(request);
    let response: UpstreamResponse | undefined;
    try {
      response = await attempt({
        timing: this.#timing,
        patience,
        tries,
        isRepeatable: request.stream === undefined,
        once: (triesLeft) => this.#follow(request, patience, triesLeft),
        waitMs: ({ url, headers }) => Math.max(holdMs(headers), this.#host(url).waitMs()),
        discard: ({ body }) => {
          body.dump({ limit: MAX_REFUSAL }).catch(() => undefined); // it only costs the connection
        },
      });
      return response;
    } catch (error) {
      if (error instanceof LarderError || patience.signal.aborted) throw error;
      throw unreachable(request.url, error);
    } finally {
      if (request.patience === undefined) patience.end(response?.body);
    }
  }

  /** From now on new limits hold; what is under way ends on its old connections. */
  limitsChanged(): void {
    const { limitsOf } = this.#options;
    const old = this.#dispatcher;
    this.#dispatcher = dispatcher((host) => limitsOf?.(host)?.sockets);
    old.close().catch(() => undefined); // of one that is destroyed meanwhile
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#dispatcher.destroy();
  }

  #host({ host }: URL): UpstreamHost {
    let known = this.#hosts.get(host);
    if (known === undefined) {
      const { listener, shared, limitsOf, holds = true } = this.#options;
      const rateOf = (name: string) => limitsOf?.(name)?.rate;
      known = new UpstreamHost(host, { timing: this.#timing, rateOf, shared, holds, listener });
      this.#hosts.set(host, known);
    }
    return known;
  }

  async #follow(
    request: UpstreamRequest,
    patience: Patience,
    triesLeft: number,
  ): Promise<Answered> {
    let { url } = request;
    let headers = request.headers ?? {};
    for (let hops = 0; ; hops++) {
      const response = await this.#exchange({ ...request, url, headers }, patience, triesLeft);
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
      ({ url, headers } = await orAborted(nextHop(url, location, headers), patience.signal));
    }
  }

  async #exchange(
    request: UpstreamRequest,
    patience: Patience,
    triesLeft: number,
  ): Promise<Dispatcher.ResponseData> {
    const { url, method } = request;
    const { listener } = this.#options;
    const { signal } = patience;
    const host = this.#host(url);
    const pass = await host.turn(patience);
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
      pass.answered();
      host.note(response.statusCode, response.headers);
      // a body that is destroyed unread tells nobody; readers see its error by reading
      response.body.on('error', () => undefined);
      return response;
    } catch (error) {
      report(0);
      // what is tried again has not failed yet
      const goesOn = triesLeft > 0 && mayTryAgain(error);
      // whoever gives the body that is sent breaks it off
      const isOfBody = error instanceof LarderError;
      if (patience.isOver) pass.failed('it was silent for too long');
      else if (signal.aborted || this.#isClosed || goesOn || isOfBody) pass.left();
      else pass.failed(reasonOf(error));
      throw error;
    }
  }
}

/** As it is inside: with a body that can be taken in and thrown away. */
interface Answered extends UpstreamResponse {
  readonly body: Dispatcher.ResponseData['body'];
}

/** `socketsOf`: of a host, where it is known. */
function dispatcher(socketsOf: (host: string) => number | undefined): Dispatcher {
  // the deadlines are our own
  const limits = { connections: SOCKETS, headersTimeout: 0, bodyTimeout: 0 };
  // honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY; the pool to a proxy gets no limits but by the factory
  return new EnvHttpProxyAgent({
    ...limits,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    factory: (origin, options) => {
      const connections = socketsOf(new URL(origin).host) ?? SOCKETS;
      return new Pool(origin, { ...(options as Pool.Options), ...limits, connections });
    },
  });
}

export const timedOut = (url: URL, ms: number): LarderError =>
  new LarderError('upstream_timeout', `fetch timed out: ${url.host} was silent for ${explain(ms)}`);

export const isRedirect = (status: number): boolean =>
  status >= 301 && status <= 308 && status !== 304 && status !== 305 && status !== 306;

function basicAuth(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}
