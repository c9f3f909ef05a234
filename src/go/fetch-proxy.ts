import { LarderError } from '../engine/errors.ts';
import type { Fetched } from '../engine/ports.ts';
import type { UpstreamClient, UpstreamResponse } from '../http/client.ts';
import { download, lengthOf, readAll } from '../http/download.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import type { GoFetcher } from './fetcher.ts';

export interface ProxyTimeouts {
  readonly firstByteMs: number;
  readonly rateWaitMs: number;
  readonly stallMs: number;
}

/** How much of an upstream's error text is handed on, bytes. */
const MAX_REASON = 4096;

/** Gets one file from one Go proxy. It neither caches nor falls back. */
export class ProxyFetcher implements GoFetcher {
  readonly source: string;
  readonly #base: URL;
  readonly #client: UpstreamClient;
  readonly #timeouts: ProxyTimeouts;

  constructor(base: URL, client: UpstreamClient, timeouts: ProxyTimeouts) {
    this.#base = base;
    this.#client = client;
    this.#timeouts = timeouts;
    this.source = `${base.origin}${base.pathname}`.replace(/\/$/, '');
  }

  /** Throws LarderError by what the upstream answers; `path` is escaped and begins with `/`. */
  async fetch(path: string, signal: AbortSignal): Promise<Fetched> {
    const request = this.#request('GET', path, signal);
    const response = await this.#client.send(request);
    if (response.status !== 200) throw await this.#refusal(response);
    const { size, body } = download(this.#client, request, response);
    return { size, body, source: this.source };
  }

  /** Length in bytes as a `HEAD` tells it. */
  async fetchSize(path: string, signal: AbortSignal): Promise<number | undefined> {
    const response = await this.#client.send(this.#request('HEAD', path, signal));
    if (response.status !== 200) throw await this.#refusal(response);
    response.body.destroy();
    return lengthOf(response);
  }

  /** The URL for clients; undefined where it is open to Larder alone. */
  location(path: string): string | undefined {
    return this.#base.username === '' && this.#base.password === ''
      ? this.#url(path).href
      : undefined;
  }

  #request(method: 'GET' | 'HEAD', path: string, signal: AbortSignal) {
    return { url: this.#url(path), method, signal, ...this.#timeouts };
  }

  #url(path: string): URL {
    const url = new URL(this.#base);
    url.pathname = url.pathname.replace(/\/$/, '') + path;
    return url;
  }

  async #refusal(response: UpstreamResponse): Promise<LarderError> {
    const { status } = response;
    const { host } = this.#base;
    const text = await readAll(response.body, MAX_REASON).then(
      (bytes) => bytes.toString().trim(),
      () => '',
    );
    response.body.destroy();
    const said = text === '' || text.startsWith('<') ? '' : `: ${text}`;
    if (status === 404 || status === 410)
      return new LarderError('not_found', text.startsWith('<') || text === '' ? 'not found' : text);
    if (status === 401)
      return new LarderError(
        'upstream_unauthorized',
        `${host} asks Larder for credentials (401)${said}`,
      );
    if (status === 403)
      return new LarderError('upstream_forbidden', `${host} refuses (403)${said}`);
    if (status === 429) {
      return new LarderError(
        'rate_limited',
        `${host} says that it is asked too often (429)${said}`,
        { retryAfterMs: retryAfterMs(response.headers) },
      );
    }
    return new LarderError('upstream_failed', `${host} answers ${String(status)}${said}`);
  }
}
