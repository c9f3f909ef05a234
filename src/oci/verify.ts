// What must hold of the images in the store: bytes have their digest, manifests are what they are said to be, links, tags
// and edges can be read, and there is an edge from everything that owns something.

import { createHash } from 'node:crypto';
import { decodeAnswer } from '../engine/answers.ts';
import { LarderError } from '../engine/errors.ts';
import type { Store, StoredContent } from '../engine/ports.ts';
import {
  documentsBelow,
  type DocumentItem,
  type GroupItem,
  type Missing,
  type OwnerItem,
  type Verifiable,
  type VerifyItem,
} from '../engine/verify-plan.ts';
import { digestText, type Digest } from './digest.ts';
import {
  edgeDocument,
  edgeKey,
  edgeRepository,
  linkDocument,
  parseElement,
  parseLink,
  repositoryHash,
  type Owner,
} from './edges.ts';
import {
  contentKey,
  linkKey,
  LISTS,
  ORPHANS,
  REFERENCES,
  referencesFolder,
  repositoryKey,
  tagKey,
} from './keys.ts';
import { MAX_MANIFEST, parseManifest } from './manifest.ts';
import { decodeMarks } from './orphan-marks.ts';
import { purgedName } from './purge-name.ts';
import { storedChildren } from './repository-view.ts';
import { targetOf } from './tags.ts';
import type { RepositoryName } from './upstreams.ts';
import { linkedDigests, edgedDigests, repositories, storedDigests, tagsOf } from './walk.ts';

/** Digests of one repository in memory; more are looked up. */
const MAX_OWNED = 50_000;

export function ociVerifiable(store: Store): Verifiable {
  return {
    contents: { items: () => contents(store) },
    documents: [
      { items: () => edges(store) },
      { items: () => linksAndTags(store) },
      { items: () => documentsBelow(store, LISTS, (bytes) => decodeAnswer(bytes) !== undefined) },
      { items: () => documentsBelow(store, ORPHANS, (bytes) => decodeMarks(bytes) !== undefined) },
    ],
    owners: [{ items: () => owners(store) }],
    async hasLostOwners() {
      if ((await store.list(REFERENCES)).length > 0) return false;
      for await (const repository of repositories(store)) {
        const first = await linkedDigests(store, repository).next();
        if (first.done !== true) return true;
      }
      return false;
    },
  };
}

async function* contents(store: Store): AsyncGenerator<VerifyItem> {
  for await (const digest of storedDigests(store)) {
    yield {
      kind: 'content',
      key: contentKey(digest),
      name: () => nameOf(store, digest),
      check: (stored, signal) => check(digest, stored, signal),
    };
  }
}

async function check(
  { algorithm, hex }: Digest,
  { record, body }: StoredContent,
  signal: AbortSignal,
): Promise<void> {
  const { mediaType } = record.extra;
  const bytes: Uint8Array[] = [];
  const own = createHash(algorithm);
  const sha256 = algorithm === 'sha256' ? own : createHash('sha256');
  let size = 0;
  for await (const chunk of body.read(0, undefined, signal)) {
    size += chunk.length;
    own.update(chunk);
    if (own !== sha256) sha256.update(chunk);
    // what was checked as a manifest has a type
    if (mediaType !== undefined && size <= MAX_MANIFEST) bytes.push(Buffer.from(chunk));
  }
  const found = own.digest('hex');
  const foundSha256 = own === sha256 ? found : sha256.digest('hex');
  if (found !== hex) wrong('its bytes are not those of its digest');
  if (record.size !== size || record.sha256 !== foundSha256) wrong('its record is of other bytes');
  if (mediaType === undefined) return;
  if (parseManifest(Buffer.concat(bytes), mediaType).mediaType !== mediaType)
    wrong('its record is of another media type');
}

function wrong(why: string): never {
  throw new LarderError('checksum_mismatch', why);
}

/** By a repository that owns it; of what is shared, whichever comes first. */
async function nameOf(store: Store, digest: Digest): Promise<string> {
  const folder = referencesFolder(digest);
  for (const element of await store.list(folder)) {
    const edge = parseElement(element);
    const document = edge && (await store.readDocument(`${folder}/${element}`));
    const repository = document && edgeRepository(document, edge.hash);
    if (repository) return purgedName(repository, { kind: 'digest', digest });
  }
  return `oci:@${digestText(digest)}`;
}

async function* edges(store: Store): AsyncGenerator<GroupItem> {
  for await (const digest of edgedDigests(store)) {
    const folder = referencesFolder(digest);
    yield { kind: 'group', key: folder, documents: () => edgesIn(store, folder) };
  }
}

/** Those that this version writes: another one knows what its own say. */
async function edgesIn(store: Store, folder: string): Promise<DocumentItem[]> {
  return (await store.list(folder)).flatMap((element) => {
    const edge = parseElement(element);
    if (edge === undefined) return [];
    const isSound = (bytes: Uint8Array) => edgeRepository(bytes, edge.hash) !== undefined;
    return [{ kind: 'document', key: `${folder}/${element}`, isSound }];
  });
}

async function* linksAndTags(store: Store): AsyncGenerator<DocumentItem> {
  for await (const repository of repositories(store)) {
    for await (const digest of linkedDigests(store, repository)) {
      const key = linkKey(repository, digest);
      // its name says all that it is for
      const rewrite = () => store.writeDocument(key, linkDocument(new Date()));
      const isSound = (bytes: Uint8Array) => parseLink(bytes) !== undefined;
      yield { kind: 'document', key, isSound, rewrite };
    }
    for (const tag of await tagsOf(store, repository)) {
      const isSound = (bytes: Uint8Array) => targetIn(bytes) !== undefined;
      yield { kind: 'document', key: tagKey(repository, tag), isSound };
    }
  }
}

async function* owners(store: Store): AsyncGenerator<OwnerItem> {
  for await (const repository of repositories(store)) {
    const key = `${repositoryKey(repository)}/_`;
    yield {
      kind: 'owner',
      key,
      missing: (signal) => new Owners(store, repository).missing(signal),
    };
  }
}

/** What is not there of what follows from one repository. */
class Owners {
  readonly #store: Store;
  readonly #repository: RepositoryName;
  readonly #hash: string;
  /** By their text: what manifests and tags own. */
  readonly #owned = new Set<string>();

  constructor(store: Store, repository: RepositoryName) {
    this.#store = store;
    this.#repository = repository;
    this.#hash = repositoryHash(repository);
  }

  async *missing(signal: AbortSignal): AsyncGenerator<Missing> {
    for await (const digest of linkedDigests(this.#store, this.#repository)) {
      signal.throwIfAborted();
      yield* this.#ofManifest(digest);
    }
    for (const tag of await tagsOf(this.#store, this.#repository)) yield* this.#ofTag(tag);
    // a use is for what nobody else turns out to own
    for await (const digest of linkedDigests(this.#store, this.#repository)) {
      signal.throwIfAborted();
      yield* this.#use(digest);
    }
  }

  async *#ofManifest(digest: Digest): AsyncGenerator<Missing> {
    const children = await storedChildren(this.#store, digest);
    const stays = () => this.#isLinked(digest);
    for (const child of children?.values() ?? [])
      yield* this.#edge(child, { kind: 'manifest', digest }, stays);
  }

  async *#ofTag(tag: string): AsyncGenerator<Missing> {
    const digest = await this.#target(tag);
    if (digest === undefined) return;
    const stays = async () => (await this.#target(tag))?.hex === digest.hex;
    if (!(await this.#isLinked(digest))) {
      // its registry has said that it is of this repository
      const key = linkKey(this.#repository, digest);
      yield { key, bytes: linkDocument(new Date()), isEdge: false, stays };
    }
    yield* this.#edge(digest, { kind: 'tag', tag }, stays);
  }

  /** Whatever edge there is of the repository, a stale one too, tells that it was owned: then it is no use that is missing. */
  async *#use(digest: Digest): AsyncGenerator<Missing> {
    // there may be many of what many repositories hold
    if (this.#owned.has(digestText(digest))) return;
    const edges = await this.#store.list(referencesFolder(digest));
    if (edges.some((element) => parseElement(element)?.hash === this.#hash)) return;
    yield* this.#edge(digest, { kind: 'use' }, () => this.#isLinked(digest));
  }

  async *#edge(digest: Digest, owner: Owner, stays: Missing['stays']): AsyncGenerator<Missing> {
    if (this.#owned.size < MAX_OWNED) this.#owned.add(digestText(digest));
    const key = edgeKey(digest, this.#hash, owner);
    if ((await this.#store.readDocument(key)) !== undefined) return;
    yield { key, bytes: edgeDocument(this.#repository, new Date()), isEdge: true, stays };
  }

  async #isLinked(digest: Digest): Promise<boolean> {
    return (await this.#store.readDocument(linkKey(this.#repository, digest))) !== undefined;
  }

  async #target(tag: string): Promise<Digest | undefined> {
    const document = await this.#store.readDocument(tagKey(this.#repository, tag));
    return document && targetIn(document);
  }
}

/** What a tag's document leads to; undefined for what is none. */
function targetIn(document: Uint8Array): Digest | undefined {
  const answer = decodeAnswer(document);
  try {
    return answer && targetOf(answer.bytes).digest;
  } catch {
    return undefined;
  }
}
