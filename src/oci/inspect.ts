// All that is known of one manifest or blob in a repository.

import type { Answer } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import type { ContentRecord, Store } from '../engine/ports.ts';
import { digestText, type Digest } from './digest.ts';
import { edgeRepository, parseElement, type Owner } from './edges.ts';
import { contentKey, referencesFolder } from './keys.ts';
import { READS } from './purge-cascade.ts';
import { purgedName } from './purge-name.ts';
import type { RepositoryView } from './repository-view.ts';
import type { RepositoryName } from './upstreams.ts';

/** Of either kind, that are told. */
const MOST = 1000;

/** `answer`: of the tag that led to it. Throws LarderError `store_failed`. */
export async function inspect(
  store: Store,
  view: RepositoryView,
  digest: Digest,
  record: ContentRecord | undefined,
  answer: Answer | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const children = [...((await view.children(digest))?.values() ?? [])].slice(0, MOST);
  const refersTo = await mapBounded(children, READS, async (child) => {
    const found = await store.record(contentKey(child));
    return {
      digest: digestText(child),
      stored: found !== undefined,
      ...(found && { bytes: found.size }),
    };
  });
  return {
    digest: digestText(digest),
    stored: record !== undefined,
    ...(record && {
      bytes: record.size,
      sha256: record.sha256,
      time: record.time,
      source: record.source,
      ...record.extra,
    }),
    ...(answer && {
      tag: {
        seen: answer.record.time,
        confirmed: new Date(answer.confirmedAt).toISOString(),
        source: answer.record.source,
      },
    }),
    referredBy: await referredBy(store, view, digest),
    refersTo,
  };
}

/** Whoever an edge says owns it, in whichever repository. */
async function referredBy(store: Store, view: RepositoryView, digest: Digest) {
  const folder = referencesFolder(digest);
  const elements = (await view.edges(digest)).elements.slice(0, MOST);
  const found = await mapBounded(elements, READS, async (element) => {
    const edge = parseElement(element);
    const document = edge && (await store.readDocument(`${folder}/${element}`));
    const repository = document && edgeRepository(document, edge.hash);
    return repository
      ? [{ name: ownerName(repository, edge.owner, digest), by: edge.owner.kind }]
      : [];
  });
  return found.flat();
}

function ownerName(repository: RepositoryName, owner: Owner, digest: Digest): string {
  switch (owner.kind) {
    case 'tag':
      return purgedName(repository, owner);
    case 'manifest':
      return purgedName(repository, { kind: 'digest', digest: owner.digest });
    case 'use':
      return purgedName(repository, { kind: 'digest', digest });
  }
}
