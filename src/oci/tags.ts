// What may change in a registry: which digest a tag has, the list of tags, what refers to a manifest. Answers, each with a time to live.

import { createHash } from 'node:crypto';
import { LarderError } from '../engine/errors.ts';
import type { AnswerBytes } from '../engine/answers.ts';
import type { Freshness } from '../engine/freshness.ts';
import type { AnswerRequest } from '../engine/pull-through.ts';
import { digestText, parseDigest, type Digest } from './digest.ts';
import type { RegistryFetcher } from './fetch-registry.ts';
import { tagKey, tagListFolder } from './keys.ts';
import { readManifest } from './look-up.ts';
import type { Repository } from './upstreams.ts';

/** What a tag stands for. */
export interface TagTarget {
  readonly digest: Digest;
  readonly mediaType: string | undefined;
  /** Bytes, where the registry told. */
  readonly size: number | undefined;
}

interface StoredTarget {
  readonly digest: string;
  readonly mediaType?: string | undefined;
  readonly size?: number | undefined;
}

/** A tag: asked by HEAD, which registries do not count as a pull. `tagging`: writes what refers to the manifest. */
export function tagRequest(
  fetcher: RegistryFetcher,
  repository: Repository,
  tag: string,
  freshness: Freshness,
  tagging: (digest: Digest) => Promise<void>,
): AnswerRequest {
  return {
    key: tagKey(repository, tag),
    freshness,
    references: (bytes) => tagging(targetOf(bytes).digest),
    async fetch(signal) {
      const head = await fetcher.headManifest(repository.path, tag, signal);
      const digest =
        head.digest ??
        digestText((await readManifest({ fetcher, path: repository.path }, tag, signal)).digest);
      if (parseDigest(digest) === undefined) {
        throw new LarderError('bad_content', 'the registry gives a tag a digest that is none');
      }
      const target: StoredTarget = { digest, mediaType: head.contentType, size: head.size };
      return { bytes: Buffer.from(JSON.stringify(target)), source: fetcher.source };
    },
  };
}

const targets = new WeakMap<Uint8Array, TagTarget>();

/** The target in an answer to `tagRequest`; read once for all requests that get the same answer. */
export function targetOf(answer: Uint8Array): TagTarget {
  let target = targets.get(answer);
  if (target === undefined) {
    const stored = JSON.parse(Buffer.from(answer).toString()) as StoredTarget;
    const digest = parseDigest(stored.digest);
    if (digest === undefined) throw new LarderError('store_failed', 'a stored tag cannot be read');
    target = { digest, mediaType: stored.mediaType, size: stored.size };
    targets.set(answer, target);
  }
  return target;
}

/** A page of tags, or referrers, as the registry sent it. */
export interface ListPage {
  readonly body: string;
  readonly contentType: string;
  /** The query of the next page, where there is one. */
  readonly next: string | undefined;
}

export function tagsRequest(
  fetcher: RegistryFetcher,
  repository: Repository,
  query: string,
  freshness: Freshness,
  fallback: () => Promise<AnswerBytes | undefined>,
): AnswerRequest {
  return {
    key: `${tagListFolder(repository)}/${queryKey(query)}`,
    freshness,
    fallback,
    fetch: async (signal) => listing(fetcher, await fetcher.tags(repository.path, query, signal)),
  };
}

export const pageOf = (answer: Uint8Array): ListPage =>
  JSON.parse(Buffer.from(answer).toString()) as ListPage;

function listing(
  { source }: RegistryFetcher,
  answer: Awaited<ReturnType<RegistryFetcher['tags']>>,
): AnswerBytes {
  const { bytes, contentType, link } = answer;
  if (!isTagList(bytes)) throw new LarderError('bad_content', 'the registry sends no list of tags');
  const found: ListPage = {
    body: Buffer.from(bytes).toString(),
    contentType: contentType ?? 'application/json',
    next: nextQuery(link),
  };
  return { bytes: Buffer.from(JSON.stringify(found)), source };
}

function isTagList(bytes: Uint8Array): boolean {
  try {
    const json = JSON.parse(Buffer.from(bytes).toString()) as { tags?: unknown } | null;
    // null where there are none
    return Array.isArray(json?.tags) || json?.tags === null;
  } catch {
    return false;
  }
}

/** The query of `<url>; rel="next"` (RFC 8288). */
export function nextQuery(link: string | undefined): string | undefined {
  const [, target = ''] = /<([^>]*)>\s*;\s*rel="?next"?/i.exec(link ?? '') ?? [];
  const at = target.indexOf('?');
  return at < 0 ? undefined : target.slice(at + 1);
}

/** A page of a list, as an element of a key. */
export const queryKey = (query: string): string =>
  query === '' ? 'all' : createHash('sha256').update(query).digest('hex');
