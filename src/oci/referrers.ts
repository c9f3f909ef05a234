// What refers to a manifest: the registry's own list, or the index under the tag `<algorithm>-<hex>` where it has no list
// (distribution-spec, "ListPage Referrers", "Referrers Tag Schema"). Always an index, if need be an empty one.

import { LarderError } from '../engine/errors.ts';
import type { Freshness } from '../engine/freshness.ts';
import type { AnswerRequest } from '../engine/pull-through.ts';
import { readAll } from '../http/download.ts';
import { digestText, type Digest } from './digest.ts';
import type { RegistryFetcher } from './fetch-registry.ts';
import { referrersFolder } from './keys.ts';
import { MAX_MANIFEST } from './manifest.ts';
import { nextQuery, queryKey, type ListPage } from './tags.ts';
import type { Repository } from './upstreams.ts';

export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

const EMPTY = JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [] });

/** `query`: of a further page; empty for the first one. Filters are for whoever serves it. */
export function referrersRequest(
  fetcher: RegistryFetcher,
  repository: Repository,
  digest: Digest,
  query: string,
  freshness: Freshness,
): AnswerRequest {
  const { algorithm, hex } = digest;
  return {
    key: `${referrersFolder(repository)}/${algorithm}/${hex}/${queryKey(query)}`,
    freshness,
    async fetch(signal) {
      const listing = await listed(fetcher, repository, digest, query, signal);
      return { bytes: Buffer.from(JSON.stringify(listing)), source: fetcher.source };
    },
  };
}

async function listed(
  fetcher: RegistryFetcher,
  repository: Repository,
  digest: Digest,
  query: string,
  signal: AbortSignal,
): Promise<ListPage> {
  const text = digestText(digest);
  const list = await unlessMissing(fetcher.referrers(repository.path, text, query, signal));
  if (list && isIndex(list.bytes)) {
    return {
      body: Buffer.from(list.bytes).toString(),
      contentType: INDEX_TYPE,
      next: nextQuery(list.link),
    };
  }
  const tag = `${digest.algorithm}-${digest.hex}`;
  const tagged = await unlessMissing(
    fetcher.manifest(repository.path, tag, signal).then(({ body }) => readAll(body, MAX_MANIFEST)),
  );
  const body = tagged && isIndex(tagged) ? tagged.toString() : EMPTY;
  return { body, contentType: INDEX_TYPE, next: undefined };
}

/** The index with nothing in it but what is of this artifact type. */
export function ofArtifactType(index: string, artifactType: string): string {
  const json = JSON.parse(index) as { manifests: { artifactType?: unknown }[] };
  const manifests = json.manifests.filter((one) => one.artifactType === artifactType);
  return JSON.stringify({ ...json, manifests });
}

async function unlessMissing<T>(run: Promise<T>): Promise<T | undefined> {
  try {
    return await run;
  } catch (error) {
    if (error instanceof LarderError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function isIndex(bytes: Uint8Array): boolean {
  try {
    const json = JSON.parse(Buffer.from(bytes).toString()) as { manifests?: unknown } | null;
    return Array.isArray(json?.manifests);
  } catch {
    return false;
  }
}
