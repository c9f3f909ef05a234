// A running Larder, asked for things as any client would, until it has them itself.

import { setTimeout as sleep } from 'node:timers/promises';
import { LarderError } from '../engine/errors.ts';
import { Slots } from '../engine/limits.ts';
import { waitOut } from '../engine/wait-out.ts';
import type { UpstreamClient, UpstreamRequest, UpstreamResponse } from '../http/client.ts';
import { download, readAll } from '../http/download.ts';
import { explain } from '../http/failures.ts';
import { retryAfterMs } from '../http/retry-after.ts';
import { sentenceOf } from './refusal-text.ts';

/** Bytes of a body that are read to keep its connection; of a longer one that is held already the connection is given up. */
const WORTH_READING = 64 * 1024;
/** Between two looks whether it is stored, milliseconds: at first, and at most. */
const FIRST_LOOK_MS = 5;
const LAST_LOOK_MS = 500;

export interface Asked {
  /** As it stands in a URL, beginning with a slash. */
  readonly path: string;
  /** Without its question mark. */
  readonly query?: string;
  readonly accept?: string;
}

export interface Answer {
  /** The word of `X-Larder-Cache`. */
  readonly outcome: string;
  readonly headers: UpstreamResponse['headers'];
  /** Of what was to be read. */
  readonly bytes: Buffer | undefined;
}

export interface RunningLarderOptions {
  readonly client: UpstreamClient;
  /** May have a user and a password in it. */
  readonly server: URL;
  /** Requests at once. */
  readonly parallel: number;
  /** Longest for one thing without any progress, milliseconds. */
  readonly timeoutMs: number;
}

export class RunningLarder {
  readonly #options: RunningLarderOptions;
  readonly #places: Slots;

  constructor(options: RunningLarderOptions) {
    this.#options = options;
    this.#places = new Slots({
      places: options.parallel,
      maxWaiting: Infinity,
      maxWaitMs: 2 ** 31 - 1,
    });
  }

  /**
   * Asks for it, again as long as the server is busy or fetches it behind. `most`: bytes to be read of its body; without it the body is let go. Throws
   * LarderError, and the signal's reason.
   */
  ask(asked: Asked, signal: AbortSignal, most?: number): Promise<Answer> {
    return this.#placed(signal, () => this.#answer('GET', asked, signal, most));
  }

  /** Asks for content until the server has it: true when it had not. Throws LarderError, and the signal's reason. */
  keep(asked: Asked, signal: AbortSignal): Promise<boolean> {
    return this.#placed(signal, async () => {
      const { outcome } = await this.#answer('GET', asked, signal);
      if (outcome === 'hit' || outcome === 'redirect') return false;
      await this.#untilStored(asked, signal);
      return true;
    });
  }

  /** The server hands things on before it has kept them. Throws LarderError `store_failed` when it does not in time. */
  async untilStored(asked: Asked, signal: AbortSignal): Promise<void> {
    await this.#placed(signal, () => this.#untilStored(asked, signal));
  }

  async #untilStored(asked: Asked, signal: AbortSignal): Promise<void> {
    const end = performance.now() + this.#options.timeoutMs;
    for (let pause = FIRST_LOOK_MS; ; pause = Math.min(2 * pause, LAST_LOOK_MS)) {
      const { outcome } = await this.#answer('HEAD', asked, signal);
      if (outcome === 'hit') return;
      if (performance.now() + pause > end)
        throw new LarderError('store_failed', 'the server handed it on, and has not kept it');
      await sleep(pause, undefined, { signal });
    }
  }

  async #placed<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
    const leave = await this.#places.take();
    try {
      signal.throwIfAborted();
      return await run();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw error;
    } finally {
      leave();
    }
  }

  #answer(
    method: 'GET' | 'HEAD',
    { path, query = '', accept }: Asked,
    signal: AbortSignal,
    most?: number,
  ): Promise<Answer> {
    const { client, server, timeoutMs } = this.#options;
    const url = new URL(server);
    url.pathname = server.pathname.replace(/\/+$/, '') + path;
    url.search = query;
    const end = performance.now() + timeoutMs;
    return waitOut({ withinMs: timeoutMs, signal }, async () => {
      const request: UpstreamRequest = {
        url,
        method,
        headers: accept === undefined ? {} : { accept },
        redirects: 'manual',
        firstByteMs: Math.max(1, end - performance.now()),
        rateWaitMs: 0,
        stallMs: timeoutMs,
        signal,
      };
      const response = await client.send(request).catch((error: unknown) => {
        if (!(error instanceof LarderError) || error.code !== 'upstream_timeout') throw error;
        throw new LarderError('upstream_timeout', `no answer in ${explain(timeoutMs)}`);
      });
      const { status, headers } = response;
      const outcome = String(headers['x-larder-cache']);
      if (status === 307) {
        // of what it has in a bucket, where clients read it by themselves
        response.body.destroy();
        return { outcome, headers, bytes: undefined };
      }
      if (status !== 200) throw await refusal(response);
      if (headers['x-larder-cache'] === undefined) {
        response.body.destroy();
        throw new LarderError('unsupported', `${server.host} is no Larder`);
      }
      if (method === 'HEAD') {
        await toNowhere(response.body);
        return { outcome, headers, bytes: undefined };
      }
      const isIdle = most === undefined && outcome === 'hit';
      if (isIdle && Number(headers['content-length']) > WORTH_READING) {
        response.body.destroy();
        return { outcome, headers, bytes: undefined };
      }
      const { body } = download(client, request, response);
      if (most !== undefined) return { outcome, headers, bytes: await readAll(body, most) };
      await toNowhere(body);
      return { outcome, headers, bytes: undefined };
    });
  }
}

async function toNowhere(body: AsyncIterable<Uint8Array>): Promise<void> {
  const chunks = body[Symbol.asyncIterator]();
  while (!(await chunks.next()).done);
}

/** What an answer that is none of these says, as an error that can be waited out where time mends it. */
async function refusal(response: UpstreamResponse): Promise<LarderError> {
  const { status, headers } = response;
  const sentence = await sentenceOf(response);
  const again = { retryAfterMs: retryAfterMs(headers) };
  if (status === 429) return new LarderError('rate_limited', sentence, again);
  if (status === 503) return new LarderError('overloaded', sentence, again);
  if (status === 302) return new LarderError('not_cached', elsewhere, again);
  if (status === 401) return new LarderError('upstream_unauthorized', credentials);
  if (status === 403) return new LarderError('denied', sentence);
  if (status !== 404) return new LarderError('upstream_failed', sentence);
  return headers['retry-after'] === undefined
    ? new LarderError('not_found', sentence)
    : new LarderError('not_cached', sentence, again);
}

const elsewhere = 'the server sends its clients elsewhere for it, and has not kept it';
const credentials =
  'the server wants a user and a password: give them in --server, as in https://alice:PASSWORD@larder.example.com';
