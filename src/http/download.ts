// One body from an upstream, whole: a transfer that breaks, or falls silent, is taken up again where it ended.

import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { LarderError } from '../engine/errors.ts';
import { unseen } from '../engine/unseen.ts';
import {
  timedOut,
  type UpstreamClient,
  type UpstreamRequest,
  type UpstreamResponse,
} from './client.ts';
import { unreachable } from './failures.ts';

export interface Download {
  /** Announced length, bytes. */
  readonly size: number | undefined;
  /** Throws LarderError `upstream_failed` or `upstream_timeout` when it breaks for good. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Asks again for what broke: the client, or who adds credentials on the way to it. */
export type Sender = Pick<UpstreamClient, 'send'>;

export interface DownloadOptions {
  /** A check of all bytes follows, so that a transfer may go on where it broke without a validator too. */
  readonly digestDecides?: boolean;
}

/** The body of a 200 answer to this request. Throws LarderError for what is no plain body. */
export function download(
  client: Sender,
  request: UpstreamRequest,
  response: UpstreamResponse,
  { digestDecides = false }: DownloadOptions = {},
): Download {
  const { host } = request.url;
  const refuse = (why: string): never => {
    response.body.destroy();
    throw new LarderError('upstream_failed', `${host} ${why}`);
  };
  if (response.status !== 200) refuse(`answers ${String(response.status)} where a 200 was due`);
  const encoding = encodingOf(response);
  if (encoding !== undefined)
    refuse(`sends ${encoding} where it was asked for the bytes as they are`);
  return { size: lengthOf(response), body: whole(client, request, response, digestDecides) };
}

/** Reads a small body. Throws LarderError `bad_content` when it is larger than `maxBytes`. */
export async function readAll(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes)
      throw new LarderError('bad_content', `the answer is larger than ${String(maxBytes)} bytes`);
    // one of a body lives only until the next
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}

async function* whole(
  client: Sender,
  request: UpstreamRequest,
  first: UpstreamResponse,
  digestDecides: boolean,
): AsyncGenerator<Uint8Array> {
  const validator = strongEtag(first);
  const size = lengthOf(first);
  // where a digest will decide, no second hash is needed to say that what comes again is the same
  const handedOn = digestDecides ? undefined : createHash('sha256');
  let received = 0;
  let skip = 0;
  for (let response = first; ;) {
    const before = { size: skip, hash: handedOn };
    const broken = yield* transfer(request, response, before, (chunk) => {
      handedOn?.update(chunk);
      received += chunk.length;
      if (received > (size ?? Infinity)) fail(request, response, 'sends more than it announced');
    });
    if (broken === undefined && (size === undefined || received === size)) return;
    if (response.triesLeft === 0) {
      if (isSilence(broken)) throw broken;
      fail(request, response, `breaks the transfer at byte ${String(received)}, for the last time`);
    }
    const resume = received > 0 && (validator !== undefined || digestDecides);
    const range = resume ? rangeFrom(received, validator) : {};
    const headers = { ...request.headers, ...range };
    response = await client.send({ ...request, headers }, response.triesLeft);
    skip = response.status === 200 ? received : 0;
    if (resume && response.status === 206) expectRange(request, response, received, size);
    else if (response.status !== 200) {
      fail(
        request,
        response,
        `answers ${String(response.status)} to go on with a transfer that broke`,
      );
    }
  }
}

/**
 * Hands the chunks of one response on, without those that came `before`; returns the error by which the transfer broke, or
 * `upstream_timeout` where it fell silent.
 */
async function* transfer(
  request: UpstreamRequest,
  response: UpstreamResponse,
  before: Parameters<typeof unseen>[1],
  onChunk: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array, unknown> {
  const differs = () =>
    fail(request, response, 'sends other bytes when asked again for a transfer that broke');
  const chunks = guarded(request, response.body);
  try {
    for await (const chunk of before.size === 0 ? chunks : unseen(chunks, before, differs)) {
      onChunk(chunk);
      yield chunk;
    }
    return undefined;
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason as Error;
    if (isSilence(error)) return error;
    if (error instanceof LarderError) throw error;
    return unreachable(request.url, error);
  }
}

/** The body, broken off when it is silent for too long. Time that the reader takes for itself does not count. */
async function* guarded(
  { url, stallMs, signal }: UpstreamRequest,
  body: Readable,
): AsyncGenerator<Uint8Array> {
  let waiting = false;
  const timer = setTimeout(() => {
    if (waiting) body.destroy(timedOut(url, stallMs));
    else timer.refresh();
  }, stallMs);
  const aborted = () => body.destroy(signal.reason as Error);
  signal.addEventListener('abort', aborted, { once: true });
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      waiting = true;
      timer.refresh();
      const next = await chunks.next();
      waiting = false;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', aborted);
    body.destroy();
  }
}

const isSilence = (error: unknown): error is LarderError =>
  error instanceof LarderError && error.code === 'upstream_timeout';

function rangeFrom(from: number, validator: string | undefined): Record<string, string> {
  const range = `bytes=${String(from)}-`;
  return validator === undefined ? { range } : { range, 'if-range': validator };
}

function expectRange(
  request: UpstreamRequest,
  response: UpstreamResponse,
  from: number,
  size: number | undefined,
): void {
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(header(response, 'content-range') ?? '');
  const sameSize = size === undefined || range?.[3] === '*' || Number(range?.[3]) === size;
  if (Number(range?.[1]) !== from || !sameSize)
    fail(request, response, 'sends another range than it was asked for');
}

function fail(request: UpstreamRequest, response: UpstreamResponse, why: string): never {
  response.body.destroy();
  throw new LarderError('upstream_failed', `${request.url.host} ${why}`);
}

function strongEtag(response: UpstreamResponse): string | undefined {
  const etag = header(response, 'etag');
  return etag?.startsWith('"') ? etag : undefined;
}

/** Content-Length in bytes, where it is sent, sane, and of the bytes as they are. */
export function lengthOf(response: Pick<UpstreamResponse, 'headers'>): number | undefined {
  if (encodingOf(response) !== undefined) return undefined;
  const length = header(response, 'content-length');
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

/** Content-Encoding, where there is one. */
function encodingOf(response: Pick<UpstreamResponse, 'headers'>): string | undefined {
  const encoding = header(response, 'content-encoding');
  return encoding === 'identity' ? undefined : encoding;
}

export function header(
  response: Pick<UpstreamResponse, 'headers'>,
  name: string,
): string | undefined {
  const value = response.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
