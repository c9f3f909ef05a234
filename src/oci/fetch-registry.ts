import { LarderError } from '../engine/errors.ts';
import type { Fetched } from '../engine/ports.ts';
import {
  isRedirect,
  type UpstreamClient,
  type UpstreamRequest,
  type UpstreamResponse,
} from '../http/client.ts';
import { download, header, lengthOf, readAll, type Sender } from '../http/download.ts';
import type { Patience } from '../http/patience.ts';
import { nextHop } from '../http/redirect.ts';
import { parseChallenges } from './challenge.ts';
import { ACCEPT_MANIFESTS } from './manifest.ts';
import { drain, refusal } from './refusals.ts';
import type { RegistryAuth } from './registry-auth.ts';
import type { OciUpstream } from './upstreams.ts';

export interface RegistryTimeouts {
  /** From a request to the first byte of its answer: tokens, redirects and tries together. Milliseconds. */
  readonly firstByteMs: number;
  /** How long limits of the registry, or its token server, are waited for. Milliseconds. */
  readonly rateWaitMs: number;
  /** Longest silence in a body, milliseconds. */
  readonly stallMs: number;
}

/** Headers as the registry sent them: unchecked. */
export interface ManifestHead {
  readonly contentType: string | undefined;
  readonly digest: string | undefined;
  /** Bytes. */
  readonly size: number | undefined;
}

export interface FetchedManifest extends Fetched {
  readonly contentType: string | undefined;
  readonly digest: string | undefined;
}

/** An answer of which the body is a blob: to be read, or destroyed. */
export type BegunBlob = UpstreamResponse;

/** An answer of tags or referrers. */
export interface Listing {
  readonly bytes: Buffer;
  readonly contentType: string | undefined;
  /** `Link` as it came. */
  readonly link: string | undefined;
}

/** What is to be done with its repositories: tokens must allow that. */
export type Access = 'pull' | 'push';

/** Bytes of a listing. */
const MAX_LISTING = 4 * 1024 * 1024;

/**
 * Gets one thing from one registry. It neither caches nor checks digests. All methods throw LarderError by what the
 * registry, or its token server, answers: `not_found`, `upstream_unauthorized`, `upstream_forbidden`, `rate_limited`,
 * `upstream_failed`, `upstream_timeout`; and the signal's reason.
 */
export class RegistryFetcher {
  readonly source: string;
  readonly #upstream: OciUpstream;
  readonly #client: UpstreamClient;
  readonly #auth: RegistryAuth;
  readonly #timeouts: RegistryTimeouts;
  readonly #access: Access;
  readonly #askedAt: number | undefined;

  /** `askedAt`: when that began which limits are waited for, by `performance.now`. Default: each request by itself. */
  constructor(
    upstream: OciUpstream,
    client: UpstreamClient,
    auth: RegistryAuth,
    timeouts: RegistryTimeouts,
    access: Access = 'pull',
    askedAt?: number,
  ) {
    const { origin, pathname } = upstream.url;
    this.#upstream = upstream;
    this.#client = client;
    this.#auth = auth;
    this.#timeouts = timeouts;
    this.#access = access;
    this.#askedAt = askedAt;
    this.source = `${origin}${pathname}`.replace(/\/$/, '');
  }

  /** The same for a client's request that came then: all that is sent for it waits for limits no longer than one may. */
  since(askedAt: number): RegistryFetcher {
    const timeouts = this.#timeouts;
    return new RegistryFetcher(
      this.#upstream,
      this.#client,
      this.#auth,
      timeouts,
      this.#access,
      askedAt,
    );
  }

  /** `reference`: a tag or a digest. */
  async manifest(
    repository: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<FetchedManifest> {
    const request = this.#manifestRequest('GET', repository, reference, signal);
    const sender = this.sender(repository);
    const response = await this.#expect200(sender, request);
    const { contentType, digest } = manifestHead(response);
    const { size, body } = download(sender, request, response);
    return { size, body, source: this.source, contentType, digest };
  }

  async headManifest(
    repository: string,
    reference: string,
    signal: AbortSignal,
  ): Promise<ManifestHead> {
    const request = this.#manifestRequest('HEAD', repository, reference, signal);
    const response = await this.#expect200(this.sender(repository), request);
    await drain(response);
    return manifestHead(response);
  }

  /**
   * A body that breaks goes on where it broke, validator or not: whoever reads it must check its digest. `begun`: the answer
   * to a question where it is.
   */
  async blob(
    repository: string,
    digest: string,
    signal: AbortSignal,
    begun?: BegunBlob,
  ): Promise<Fetched> {
    const request = this.request('GET', `${repository}/blobs/${digest}`, signal);
    const sender = this.#blobSender(repository);
    const response = begun ?? (await this.#expect200(sender, request));
    const { size, body } = download(sender, request, response, { digestDecides: true });
    return { size, body, source: this.source };
  }

  /** Where the registry sends whoever asks it for a blob; or its answer, where that is the blob itself. */
  async locateBlob(
    repository: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<string | BegunBlob> {
    const request = this.request('GET', `${repository}/blobs/${digest}`, signal);
    const response = await this.sender(repository).send({ ...request, redirects: 'manual' });
    const location = header(response, 'location');
    if (isRedirect(response.status) && location !== undefined) {
      await drain(response);
      return (await nextHop(request.url, location, {})).url.href;
    }
    if (response.status === 200) return response;
    response.body.destroy();
    throw refusal(this.#upstream.url.host, response);
  }

  /** Length in bytes, where it is told. */
  async headBlob(
    repository: string,
    digest: string,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const request = this.request('HEAD', `${repository}/blobs/${digest}`, signal);
    const response = await this.#expect200(this.#blobSender(repository), request);
    await drain(response);
    return lengthOf(response);
  }

  /** `query`: as it goes out, without a question mark. Throws `bad_content` too, for what is larger than 4 MiB. */
  tags(repository: string, query: string, signal: AbortSignal): Promise<Listing> {
    return this.#listing(repository, 'tags/list', query, signal);
  }

  /** As `tags`. */
  referrers(
    repository: string,
    digest: string,
    query: string,
    signal: AbortSignal,
  ): Promise<Listing> {
    return this.#listing(repository, `referrers/${digest}`, query, signal);
  }

  async #listing(
    repository: string,
    what: string,
    query: string,
    signal: AbortSignal,
  ): Promise<Listing> {
    const request = this.request('GET', `${repository}/${what}`, signal);
    request.url.search = query;
    const sender = this.sender(repository);
    const response = await this.#expect200(sender, request);
    const link = response.headers['link'];
    return {
      bytes: await readAll(download(sender, request, response).body, MAX_LISTING),
      contentType: header(response, 'content-type'),
      link: Array.isArray(link) ? link.join(', ') : link,
    };
  }

  #manifestRequest(
    method: 'GET' | 'HEAD',
    repository: string,
    reference: string,
    signal: AbortSignal,
  ): UpstreamRequest {
    const request = this.request(method, `${repository}/manifests/${reference}`, signal);
    return { ...request, headers: { accept: ACCEPT_MANIFESTS } };
  }

  /** `path`: below `/v2/`. For who puts something there, as `sender` is. */
  request(method: UpstreamRequest['method'], path: string, signal: AbortSignal): UpstreamRequest {
    const url = new URL(this.#upstream.url);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/v2/${path}`;
    const waitedMs = this.#askedAt === undefined ? 0 : performance.now() - this.#askedAt;
    const rateWaitMs = Math.max(0, this.#timeouts.rateWaitMs - waitedMs);
    return { url, method, signal, ...this.#timeouts, rateWaitMs };
  }

  async #expect200(sender: Sender, request: UpstreamRequest): Promise<UpstreamResponse> {
    const response = await sender.send(request);
    const { host } = this.#upstream.url;
    if (response.status === 200 && !(request.method === 'HEAD' && isPage(response)))
      return response;
    response.body.destroy();
    if (response.status !== 200) throw refusal(host, response);
    throw new LarderError('upstream_failed', `${host} answers with a page for people`);
  }

  /**
   * Sends with what the registry wants to see; a transfer that goes on later gets a token that lives then. `scopes`: what a
   * token must allow beside what the registry asks for.
   */
  sender(repository: string, scopes: readonly string[] = []): Sender {
    return {
      send: (request, tries) =>
        this.#withPatience(request, (bounded, patience) =>
          this.#authorized(repository, bounded, patience, tries, scopes),
        ),
    };
  }

  /** Where the registry redirects to a URL that has expired, it is asked once for a fresh one. */
  #blobSender(repository: string): Sender {
    return {
      send: (request, tries) =>
        this.#withPatience(request, async (bounded, patience) => {
          const first = await this.#authorized(repository, bounded, patience, tries);
          if (!isExpiredRedirect(request, first)) return first;
          await drain(first);
          const second = await this.#authorized(repository, bounded, patience, first.triesLeft + 1);
          if (!isExpiredRedirect(request, second)) return second;
          second.body.destroy();
          throw new LarderError(
            'upstream_failed',
            `${request.url.host} redirects to a server that answers ${String(second.status)}, twice`,
          );
        }),
    };
  }

  async #withPatience(
    request: UpstreamRequest,
    run: (bounded: UpstreamRequest, patience: Patience) => Promise<UpstreamResponse>,
  ): Promise<UpstreamResponse> {
    const patience = this.#client.patience(request);
    let response: UpstreamResponse | undefined;
    try {
      response = await run({ ...request, patience }, patience);
      return response;
    } finally {
      patience.end(response?.body);
    }
  }

  async #authorized(
    path: string,
    request: UpstreamRequest,
    patience: Patience,
    tries: number | undefined,
    scopes: readonly string[] = [],
  ): Promise<UpstreamResponse> {
    const repository = { upstream: this.#upstream, path };
    const wanted = this.#access === 'pull' ? scopes : [`repository:${path}:pull,push`, ...scopes];
    const known = await this.#auth.known(repository, patience, wanted);
    const first = await this.#client.send(withAuthorization(request, known), tries);
    const challenge = first.headers['www-authenticate'];
    // who is redirected to has no say on what the registry gets
    const isOwn = first.url.origin === request.url.origin;
    if (first.status !== 401 || challenge === undefined || !isOwn) return first;
    // what flows past is gone by now
    if (request.stream !== undefined) return first;
    const challenges = parseChallenges(challenge);
    const answer = await this.#auth.answer(repository, challenges, known, patience, wanted);
    if (answer === undefined) return first;
    await drain(first);
    // a challenge is no failed try
    return this.#client.send(withAuthorization(request, answer), first.triesLeft + 1);
  }
}

const withAuthorization = (
  request: UpstreamRequest,
  authorization: string | undefined,
): UpstreamRequest =>
  authorization === undefined
    ? request
    : { ...request, headers: { ...request.headers, authorization } };

/** Such as a log-in page with 200. A body is checked by its digest or form, a head by this alone. */
const isPage = (response: UpstreamResponse): boolean =>
  /^text\/html\b/i.test(header(response, 'content-type') ?? '');

/** 429 is no sign of that: asking at once again would make it worse. */
const isExpiredRedirect = ({ url }: UpstreamRequest, response: UpstreamResponse): boolean =>
  response.url.href !== url.href &&
  response.status >= 400 &&
  response.status < 500 &&
  response.status !== 429;

const manifestHead = (response: UpstreamResponse): ManifestHead => ({
  contentType: header(response, 'content-type'),
  digest: header(response, 'docker-content-digest'),
  size: lengthOf(response),
});
