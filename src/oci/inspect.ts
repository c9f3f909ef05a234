// All that is known of one manifest or blob in a repository.

import type { Answer } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import type { ContentRecord, Store } from '../engine/ports.ts';
import { digestText, type Digest } from './digest.ts';
import { edgeRepository, parseElement, type Owner } from './edges.ts';
import { contentKey, referencesFolder } from './keys.ts';
import { READS } from './purge-cascade.ts';
import { purgedName } from './purge-name.ts';
import {
  childrenOf,
  manifestUnlessBlob,
  storedManifest,
  type RepositoryView,
} from './repository-view.ts';
import type { RepositoryName } from './upstreams.ts';
import { linkedDigests } from './walk.ts';

/** Of either kind, that are told. */
const MOST = 1000;
/** Links of a repository that are looked at. */
const MOST_LINKS = 10_000;

/** `answer`: of the tag that led to it. Throws LarderError `store_failed`. */
export async function inspect(
  store: Store,
  view: RepositoryView,
  digest: Digest,
  record: ContentRecord | undefined,
  answer: Answer | undefined,
): Promise<Readonly<Record<string, unknown>>> {
  const manifest =
    record?.extra['mediaType'] === undefined ? undefined : await storedManifest(store, digest);
  const children = manifest ? [...childrenOf(manifest).values()].slice(0, MOST) : [];
  const named = [
    ...children.map((child) => ({ digest: child, by: 'manifest' })),
    ...(manifest?.subject ? [{ digest: manifest.subject.digest, by: 'subject' }] : []),
  ];
  const refersTo = await mapBounded(named, READS, async ({ digest: target, by }) => {
    const found = await store.record(contentKey(target));
    return {
      digest: digestText(target),
      by,
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
    referredBy: [
      ...(await referredBy(store, view, digest)),
      // no blob is a subject
      ...(manifest || !record ? await referrersOf(store, view, digest) : []),
    ],
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

/** Manifests of the repository whose subject it is. They own nothing, so that no edge tells of them: each is looked at. */
async function referrersOf(store: Store, { repository }: RepositoryView, subject: Digest) {
  const text = digestText(subject);
  const linked: Digest[] = [];
  for await (const digest of linkedDigests(store, repository))
    if (linked.push(digest) === MOST_LINKS) break;
  const found = await mapBounded(linked, READS, async (digest) => {
    const manifest = await manifestUnlessBlob(store, digest);
    if (manifest?.subject === undefined || digestText(manifest.subject.digest) !== text) return [];
    return [{ name: purgedName(repository, { kind: 'digest', digest }), by: 'subject' }];
  });
  return found.flat().slice(0, MOST);
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
