// Serves what may change: a tag's manifest, the list of tags, referrers.

import type { ServerResponse } from 'node:http';
import { LarderError } from '../engine/errors.ts';
import { headBody, memoryBody } from '../engine/memory-body.ts';
import type { Freshness } from '../engine/freshness.ts';
import type { ServedAnswer } from '../engine/pull-through.ts';
import { serve } from '../http/serve.ts';
import { digestText, type Digest } from './digest.ts';
import { INDEX_TYPE, ofArtifactType, referrersRequest } from './referrers.ts';
import type { OciExchange, OciParts } from './exchange.ts';
import { STALE, type OciContent, type OciView } from './serve-content.ts';
import { storedTags } from './stored-tags.ts';
import { pageOf, tagRequest, tagsRequest, targetOf, type ListPage } from './tags.ts';

export class OciAnswers {
  readonly #parts: OciParts;
  readonly #content: OciContent;

  constructor(parts: OciParts, content: OciContent) {
    this.#parts = parts;
    this.#content = content;
  }

  tag(exchange: OciExchange, tag: string): Promise<void> {
    return this.byTag(exchange, tag, (answer) => this.#tagged(exchange, answer));
  }

  /**
   * Runs with what a tag stands for; once more, asked anew, where that throws `not_found`, as the tag may have moved since and its
   * old manifest be gone. Throws LarderError.
   */
  async byTag<T>(
    view: OciView & { readonly res?: ServerResponse },
    tag: string,
    run: (answer: ServedAnswer) => Promise<T>,
  ): Promise<T> {
    const { content, pull } = this.#parts;
    const { repository } = view;
    const fetcher = content.fetcherOf(repository);
    const { links } = content;
    const request = tagRequest(fetcher, repository, tag, this.#freshness(view), (digest) =>
      links.tagging(repository, digest, tag),
    );
    for (let last = false; ; last = true) {
      const answer = await pull.answer(request, view.ask);
      try {
        const { digest, mediaType, size } = targetOf(bytesOf(answer));
        const told = mediaType === undefined ? undefined : { mediaType, size };
        links.tagged(repository, digest, tag, told);
        return await run(answer);
      } catch (error) {
        if (!(error instanceof LarderError) || error.code !== 'not_found') throw error;
        if (view.res?.headersSent) throw error;
        await pull.expire(request.key, () => false);
        if (last) throw error;
      }
    }
  }

  async #tagged(exchange: OciExchange, answer: ServedAnswer): Promise<void> {
    const { digest, mediaType, size } = targetOf(bytesOf(answer));
    const byTag = { outcome: answer.outcome, cacheControl: maxAge(answer) };
    // a manifest that may not be fetched is not there for HEAD either, and one is read to know its age
    const { ask, decision } = exchange;
    const mayTell = ask.mode !== 'none' && decision.minAgeMs === 0;
    const suffices = size !== undefined && mediaType !== undefined && mayTell;
    if (!exchange.head || !suffices || (await this.#content.isStored(digest))) {
      await this.#content.manifest(exchange, digest, byTag);
      return;
    }
    const body = headBody(size);
    const headers = { 'Docker-Content-Digest': digestText(digest) };
    await this.#send(exchange, { ...answer, body }, mediaType, headers, `"${digestText(digest)}"`);
  }

  async tags(exchange: OciExchange): Promise<void> {
    const { content, pull } = this.#parts;
    const { repository, query } = exchange;
    const fetcher = content.fetcherOf(repository);
    const page = pageQuery(query);
    const request = tagsRequest(fetcher, repository, page, this.#freshness(exchange), () =>
      storedTags(this.#parts, repository, page),
    );
    const answer = await pull.answer(request, exchange.ask);
    await this.#list(exchange, answer, pageOf(bytesOf(answer)), 'tags/list');
  }

  async referrers(exchange: OciExchange, digest: Digest): Promise<void> {
    const { query } = exchange;
    const artifactType = query.get('artifactType');
    const page = new URLSearchParams(query);
    for (const name of ['ns', 'artifactType']) page.delete(name);
    const answer = await this.referrersPage(exchange, digest, page.toString());
    const listing = pageOf(bytesOf(answer));
    const path = `referrers/${digestText(digest)}`;
    if (artifactType === null) {
      await this.#list(exchange, answer, listing, path);
      return;
    }
    const body = ofArtifactType(listing.body, artifactType);
    const filtered = { 'OCI-Filters-Applied': 'artifactType' };
    await this.#list(
      exchange,
      answer,
      { ...listing, body, contentType: INDEX_TYPE },
      path,
      filtered,
    );
  }

  /** `query`: of a further page; empty for the first one. Throws LarderError. */
  referrersPage(
    { repository, ask }: OciView,
    digest: Digest,
    query: string,
  ): Promise<ServedAnswer> {
    const { content, pull, freshness } = this.#parts;
    const fetcher = content.fetcherOf(repository);
    return pull.answer(referrersRequest(fetcher, repository, digest, query, freshness), ask);
  }

  #freshness({ decision }: Pick<OciView, 'decision'>): Freshness {
    const { freshness } = this.#parts;
    const ttlMs = decision.rule?.tagTtlMs;
    return ttlMs === undefined ? freshness : { ...freshness, ttlMs };
  }

  async #list(
    exchange: OciExchange,
    answer: ServedAnswer,
    listing: ListPage,
    path: string,
    extra: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { name, query } = exchange;
    const headers: Record<string, string> = { ...extra };
    if (listing.next !== undefined) {
      const next = new URLSearchParams(listing.next);
      // the next page is asked of the same place in the same way
      for (const kept of ['ns', 'artifactType']) {
        const value = query.get(kept);
        if (value !== null) next.set(kept, value);
      }
      headers['Link'] = `</v2/${name.name}/${path}?${next.toString()}>; rel="next"`;
    }
    const body = memoryBody(Buffer.from(listing.body));
    await this.#send(
      exchange,
      { ...answer, body, record: undefined },
      listing.contentType,
      headers,
    );
  }

  async #send(
    { req, res, context, client, repository }: OciExchange,
    answer: ServedAnswer,
    contentType: string,
    headers: Readonly<Record<string, string>>,
    etag?: string,
  ): Promise<void> {
    context.outcome = answer.outcome;
    await serve(req, res, context, client, {
      body: answer.body,
      record: undefined,
      contentType,
      cacheControl: maxAge(answer),
      ...(etag !== undefined && { etag }),
      headers: {
        'Docker-Distribution-API-Version': 'registry/2.0',
        'OCI-Namespace': repository.upstream.name,
        ...(answer.outcome === 'stale' && { Warning: STALE }),
        ...headers,
      },
    });
  }
}

export const bytesOf = ({ body }: ServedAnswer): Uint8Array => body.bytes ?? new Uint8Array();

const maxAge = ({ maxAgeMs }: ServedAnswer): string =>
  `max-age=${String(Math.floor(maxAgeMs / 1000))}`;

/** What of a query says which page is wanted. Throws LarderError `invalid`. */
function pageQuery(query: URLSearchParams): string {
  const page = new URLSearchParams();
  const count = query.get('n');
  if (count !== null) {
    if (!/^\d{1,9}$/.test(count)) throw new LarderError('invalid', 'n must be a number of tags');
    page.set('n', count);
  }
  const last = query.get('last');
  if (last !== null) page.set('last', last);
  return page.toString();
}
