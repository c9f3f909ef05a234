// Puts one thing into one registry (distribution-spec, "Push").

import { LarderError } from '../engine/errors.ts';
import { timedOut, type UpstreamRequest, type UpstreamResponse } from '../http/client.ts';
import { header, readAll, type Sender } from '../http/download.ts';
import { nextHop } from '../http/redirect.ts';
import { drain, refusal } from './refusals.ts';
import type { RegistryFetcher } from './fetch-registry.ts';

/** Bytes of a refusal that are read. */
const MAX_REFUSAL = 1024 * 1024;
/** A timer's longest, milliseconds: the deadline of a body that flows is that of its next piece. */
const LONGEST_MS = 2 ** 31 - 1;

/** What a registry says when it lacks something that a manifest names. */
export interface Lacking {
  /** Of its answer; digests stand in it, if it names any. */
  readonly text: string;
  readonly error: LarderError;
}

/** A place in a registry that waits for the bytes of one blob. */
export interface Upload {
  readonly url: URL;
  /** Whether it is at the registry itself, which alone sees its credentials. */
  readonly isOwn: boolean;
}

/** A body that flows past once, of a known length. */
export interface Flow {
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * `registry`: how it is asked, with access to push; `client`: for where it may send uploads, without credentials. All methods throw LarderError as those of RegistryFetcher do, in whose sentences the
 * registry's error codes stand; and the signal's reason.
 */
export class RegistryPusher {
  readonly #registry: Pick<RegistryFetcher, 'request' | 'sender'>;
  readonly #client: Sender;

  constructor(registry: Pick<RegistryFetcher, 'request' | 'sender'>, client: Sender) {
    this.#registry = registry;
    this.#client = client;
  }

  /** `reference`: a tag or a digest. Resolves with undefined when the registry has taken it. Sent again with each try. */
  async putManifest(
    repository: string,
    reference: string,
    digest: string,
    { bytes, mediaType }: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal,
  ): Promise<Lacking | undefined> {
    const request: UpstreamRequest = {
      ...this.#registry.request('PUT', `${repository}/manifests/${reference}`, signal),
      headers: { 'content-type': mediaType },
      body: bytes,
    };
    const { host } = request.url;
    const response = await this.#registry.sender(repository).send(request);
    if (isGood(response)) {
      await drain(response);
      const stored = header(response, 'docker-content-digest') ?? digest;
      if (stored === digest || algorithmOf(stored) !== algorithmOf(digest)) return undefined;
      throw new LarderError('upstream_failed', `${host} has kept other bytes: ${stored}`);
    }
    const text = await textOf(response);
    const error = refused(host, response, text);
    if (lacksSomething(response.status, text)) return { text, error };
    throw error;
  }

  /**
   * Begins an upload, or with `from`, a repository of the same registry, takes the blob over from there if that may be: then
   * undefined.
   */
  async beginBlob(
    repository: string,
    digest: string,
    from: string | undefined,
    signal: AbortSignal,
  ): Promise<Upload | undefined> {
    const request = this.#registry.request('POST', `${repository}/blobs/uploads/`, signal);
    if (from !== undefined)
      request.url.search = `mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`;
    const scopes = from === undefined ? [] : [`repository:${from}:pull`];
    const response = await this.#registry.sender(repository, scopes).send(request);
    const { status } = response;
    const location = header(response, 'location');
    if (status === 202 && location !== undefined) {
      await drain(response);
      const { url } = await nextHop(request.url, location, {});
      return { url, isOwn: url.origin === request.url.origin };
    }
    if (status === 201 && from !== undefined) {
      await drain(response);
      return undefined;
    }
    const text = await textOf(response);
    // who may not read there, or cannot take over at all, may still upload
    if (from !== undefined && status >= 400 && status < 500 && status !== 429)
      return this.beginBlob(repository, digest, undefined, signal);
    throw refused(request.url.host, response, text);
  }

  /** Sends bytes, which are sent again with each try, or a flow, which is sent once. */
  async putBlob(
    repository: string,
    digest: string,
    upload: Upload,
    body: Uint8Array | Flow,
    signal: AbortSignal,
  ): Promise<void> {
    const url = new URL(upload.url);
    url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
    const headers = { 'content-type': 'application/octet-stream' };
    const request = {
      ...this.#registry.request('PUT', '', signal),
      url,
      headers,
    };
    // whoever else takes the bytes is told in the address who sends them
    const sender: Sender = upload.isOwn ? this.#registry.sender(repository) : this.#client;
    const response =
      body instanceof Uint8Array
        ? await sender.send({ ...request, body })
        : await sendFlow(sender, request, body);
    if (isGood(response)) return drain(response);
    throw refused(url.host, response, await textOf(response));
  }
}

/** Sends a flow for as long as it flows: its deadline is that of the next piece, and after the last of the answer. */
async function sendFlow(
  sender: Sender,
  request: UpstreamRequest & { readonly headers: Readonly<Record<string, string>> },
  { size, bytes }: Flow,
): Promise<UpstreamResponse> {
  const { url, firstByteMs, stallMs } = request;
  const late = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  const within = (ms: number) => {
    clearTimeout(timer);
    if (over) return;
    timer = setTimeout(() => {
      late.abort(timedOut(url, ms));
    }, ms);
  };
  let broken: { readonly error: unknown } | undefined;
  const watched = async function* () {
    try {
      for await (const piece of bytes) {
        within(stallMs);
        yield piece;
        // while the source is read its own deadlines count
        clearTimeout(timer);
      }
      within(firstByteMs);
    } catch (error) {
      broken = { error };
      throw error;
    }
  };
  within(firstByteMs);
  try {
    return await sender.send({
      ...request,
      firstByteMs: LONGEST_MS,
      headers: { ...request.headers, 'content-length': String(size) },
      stream: watched(),
      signal: AbortSignal.any([request.signal, late.signal]),
    });
  } catch (error) {
    // what went wrong with the source is not the registry's fault
    throw broken ? broken.error : error;
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

/** The sentence of an answer that is none of the good ones. That something is not there is said of what is read alone. */
function refused(host: string, response: UpstreamResponse, text: string): LarderError {
  const { code, message, retryAfterMs } = refusal(host, response);
  const said = code === 'not_found' ? `${host} answers ${String(response.status)}` : message;
  const codes = codesIn(text);
  return new LarderError(
    code === 'not_found' ? 'upstream_failed' : code,
    codes.length === 0 ? said : `${said}: ${codes.join(', ')}`,
    retryAfterMs === undefined ? {} : { retryAfterMs },
  );
}

const isGood = ({ status }: UpstreamResponse): boolean => status >= 200 && status < 300;

const algorithmOf = (digest: string): string => digest.slice(0, digest.indexOf(':'));

async function textOf(response: UpstreamResponse): Promise<string> {
  // one that breaks off, or never ends, says no more than its status
  const bytes = await readAll(response.body, MAX_REFUSAL).catch(() => Buffer.alloc(0));
  response.body.destroy();
  return bytes.toString();
}

/** Who is not let in, or sends too much or too often, does not learn by it that something is missing. */
const NEVER_LACKING = new Set([401, 403, 413, 429]);

function lacksSomething(status: number, text: string): boolean {
  if (NEVER_LACKING.has(status)) return false;
  return status === 404 || status === 400 || codesIn(text).some((code) => code.endsWith('UNKNOWN'));
}

/** Of the specification's envelope of errors. */
function codesIn(text: string): string[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return []; // such as a page of HTML
  }
  const errors: unknown =
    typeof json === 'object' && json !== null && 'errors' in json && json.errors;
  if (!Array.isArray(errors)) return [];
  const codes = errors.map((one: unknown) =>
    typeof one === 'object' && one !== null && 'code' in one ? one.code : undefined,
  );
  return [...new Set(codes.filter((code): code is string => /^[A-Z_]{1,40}$/.test(String(code))))];
}
