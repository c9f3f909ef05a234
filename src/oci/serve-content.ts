// Serves blobs and manifests by digest, to whom the upstream grants them.

import { LarderError } from '../engine/errors.ts';
import { memoryBody } from '../engine/memory-body.ts';
import type { Redirected, Served } from '../engine/ports.ts';
import { notCached } from '../engine/pull-through.ts';
import { orAborted } from '../http/deadline.ts';
import { readAll } from '../http/download.ts';
import { sendRedirect, serve } from '../http/serve.ts';
import { ImageAges } from './ages.ts';
import { BlobLocations } from './blob-locations.ts';
import { OciBlobRequest } from './blob-request.ts';
import { OciContentRequest, toldBy, toldOfBlob } from './content.ts';
import { digestText, type Digest } from './digest.ts';
import { contentKey } from './keys.ts';
import { MAX_MANIFEST, parseManifest } from './manifest.ts';
import type { OciExchange, OciParts } from './exchange.ts';

export interface Kept {
  readonly isNew: boolean;
  readonly bytes: Uint8Array | undefined;
}

const BLOB = 'application/octet-stream';
const IMMUTABLE = 'max-age=31536000, immutable';

/** Whose content is wanted, and how it may be answered. */
export type OciView = Pick<OciExchange, 'repository' | 'ask' | 'decision'>;

/** How a manifest goes out that was asked for by a tag. */
export interface ByTag {
  /** The word for the tag's own answer. */
  readonly outcome: Served['outcome'];
  readonly cacheControl: string;
}

export class OciContent {
  readonly #parts: OciParts;
  readonly #ages: ImageAges;
  readonly #locations = new BlobLocations();
  /** Questions to upstreams whether a repository holds what is stored already, by link. */
  readonly #grants = new Map<string, Promise<void>>();

  constructor(parts: OciParts) {
    this.#parts = parts;
    this.#ages = new ImageAges(parts);
  }

  async blob(exchange: OciExchange, digest: Digest): Promise<void> {
    const { pull, content } = this.#parts;
    const { repository, ask, head } = exchange;
    const request = new OciBlobRequest(content, this.#locations, repository, digest);
    const served = await this.#granted(request, exchange, digest, () =>
      head ? pull.head(request, ask) : pull.content(request, ask),
    );
    if ('location' in served)
      sendRedirect(exchange.res, exchange.context, served, headersOf(exchange, digest));
    else await this.#send(exchange, served, digest, BLOB);
  }

  async manifest(exchange: OciExchange, digest: Digest, byTag?: ByTag): Promise<void> {
    await this.#ages.check(exchange, digest);
    const { pull, content } = this.#parts;
    const { repository, ask, head } = exchange;
    const request = new OciContentRequest('manifest', content, repository, digest);
    const served = await this.#granted(request, exchange, digest, () =>
      head ? pull.head(request, ask) : pull.content(request, ask),
    );
    const isHead = head && served.record === undefined;
    const known = isHead
      ? await this.#toldType(exchange, served, digest)
      : served.record?.extra['mediaType'];
    if (known !== undefined) {
      await this.#send(exchange, served, digest, known, byTag);
      return;
    }
    // stored as a blob by somebody who asked for it as such, or still unchecked and then no longer than this
    const bytes = await bytesOf(served, exchange.client.signal);
    const { mediaType } = parseManifest(bytes, undefined);
    await this.#send(exchange, { ...served, body: memoryBody(bytes) }, digest, mediaType, byTag);
  }

  /**
   * Brings content into the store for whoever does not read it, by the rules and rights of those who do: whether it was fetched
   * just now, and of a manifest its bytes. Throws LarderError.
   */
  async keep(kind: 'manifest' | 'blob', view: OciView, digest: Digest): Promise<Kept> {
    const { pull, content } = this.#parts;
    const { repository, ask } = view;
    if (kind === 'manifest') await this.#ages.check(view, digest);
    const request = new OciContentRequest(kind, content, repository, digest);
    const served = await this.#granted(request, view, digest, () => pull.content(request, ask));
    const isNew = served.outcome !== 'hit';
    const kept = isNew ? orAborted(pull.fill(request), ask.signal) : Promise.resolve(true);
    const bytes = kind === 'manifest' ? bytesOf(served, ask.signal) : undefined;
    if (bytes === undefined) served.body.close();
    const [isKept, read] = await Promise.all([kept, bytes]);
    if (!isKept) throw new LarderError('store_failed', 'it was fetched, and could not be kept');
    return { isNew, bytes: read };
  }

  /** What kind of manifest it is that is not stored, as this repository's upstream says. */
  async #toldType(
    exchange: OciExchange,
    { body }: Served,
    digest: Digest,
  ): Promise<string | undefined> {
    const { links } = this.#parts.content;
    const { repository } = exchange;
    try {
      const told = await links.describe(repository, digest);
      if (told) return told.mediaType;
      // whoever it joined asked in the name of another one
      await this.#grant('manifest', exchange, digest, true);
      return (await links.describe(repository, digest))?.mediaType;
    } catch (error) {
      body.close();
      throw error;
    }
  }

  /** Throws LarderError `store_failed`. */
  async isStored(digest: Digest): Promise<boolean> {
    return (await this.#parts.pull.record(contentKey(digest))) !== undefined;
  }

  /** From the store or the upstream; and nothing that this repository may not read. */
  async #granted<T extends Served | Redirected>(
    request: OciContentRequest,
    exchange: Pick<OciView, 'repository' | 'ask'> & { readonly head?: boolean },
    digest: Digest,
    pull: () => Promise<T>,
  ): Promise<T> {
    const { links } = this.#parts.content;
    const served = await pull().catch((error: unknown) => {
      // whoever it joined may ask in the name of a repository that does not get it
      if (request.asked || !isRefusal(error)) throw error;
      return pull();
    });
    if (request.asked || 'location' in served) return served;
    // it joined a question, which may have been in this repository's name
    const isHeadAlone = exchange.head === true && served.record === undefined;
    if (isHeadAlone && links.wasTold(exchange.repository, digest)) return served;
    try {
      // asked last, as a fill of this repository that it joins has begun by now
      if (!(await links.has(exchange.repository, digest)))
        await this.#grant(request.kind, exchange, digest, isHeadAlone);
      if (request.kind === 'manifest' && served.outcome === 'hit')
        links.read(exchange.repository, digest);
    } catch (error) {
      served.body.close();
      throw error;
    }
    return served;
  }

  /**
   * Asks the upstream whether this repository holds a digest. Throws LarderError when it does not say so. `isHeadAlone`: it need
   * not be stored.
   */
  async #grant(
    kind: 'manifest' | 'blob',
    { repository, ask }: Pick<OciView, 'repository' | 'ask'>,
    digest: Digest,
    isHeadAlone: boolean,
  ): Promise<void> {
    if (ask.mode === 'none') throw notCached(ask);
    const { fetcherOf, links } = this.#parts.content;
    const text = digestText(digest);
    const key = `${repository.upstream.name}/${repository.path}@${text} ${String(isHeadAlone)}`;
    let asking = this.#grants.get(key);
    if (asking === undefined) {
      const fetcher = fetcherOf(repository);
      // for whoever waits: it has the fetcher's own deadline
      const { signal } = new AbortController();
      const { path } = repository;
      const question =
        kind === 'blob'
          ? fetcher.headBlob(path, text, signal).then(toldOfBlob)
          : fetcher.headManifest(path, text, signal).then(toldBy);
      asking = question
        .then((told) => {
          links.told(repository, digest, told);
          if (!isHeadAlone) links.granted(repository, digest);
        })
        .finally(() => this.#grants.delete(key));
      this.#grants.set(key, asking);
    }
    await asking;
  }

  async #send(
    exchange: OciExchange,
    { outcome, body, record, url }: Served,
    digest: Digest,
    contentType: string,
    byTag?: ByTag,
  ): Promise<void> {
    const { req, res, context, client } = exchange;
    context.outcome = byTag === undefined || outcome === 'miss' ? outcome : byTag.outcome;
    context.upstream = exchange.repository.upstream.name;
    await serve(req, res, context, client, {
      body,
      record,
      contentType,
      cacheControl: byTag?.cacheControl ?? IMMUTABLE,
      etag: `"${digestText(digest)}"`,
      // manifests are always answered here
      ...(url && contentType === BLOB && { url }),
      headers: {
        ...headersOf(exchange, digest),
        ...(context.outcome === 'stale' && { Warning: STALE }),
      },
    });
  }
}

const headersOf = ({ repository }: OciExchange, digest: Digest) => ({
  'Docker-Content-Digest': digestText(digest),
  'Docker-Distribution-API-Version': 'registry/2.0',
  'OCI-Namespace': repository.upstream.name,
});

/** What may be of the one repository in whose name it was asked: what its manifest says of the size, too. */
const isRefusal = (error: unknown): boolean =>
  error instanceof LarderError &&
  ['not_found', 'upstream_unauthorized', 'upstream_forbidden', 'bad_content'].includes(error.code);

export const STALE = '299 - "the registry cannot be asked: this is what it said before"';

async function bytesOf({ body }: Served, signal: AbortSignal): Promise<Uint8Array> {
  try {
    if (body.bytes) return body.bytes;
    if ((body.size ?? 0) > MAX_MANIFEST) {
      throw new LarderError('bad_content', 'this is no manifest: it is larger than 4 MiB');
    }
    return await readAll(body.read(0, undefined, signal), MAX_MANIFEST);
  } finally {
    body.close();
  }
}
