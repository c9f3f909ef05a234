// All that is stored of images, come upon folder by folder, in the order of its names: of each folder on the way no more is
// in memory than its names. What is stored or deleted meanwhile may be met or not.

import { ALL_KEYS, type KeyRange } from '../engine/key-range.ts';
import type { Store } from '../engine/ports.ts';
import { parseDigest, type Digest } from './digest.ts';
import { linksFolder, REFERENCES, tagsFolder } from './keys.ts';
import type { RepositoryName } from './upstreams.ts';

type Lists = Pick<Store, 'list'>;

/**
 * Every repository that has a link or a tag; of those whose `HOST/PATH/_` is in the range. Throws LarderError
 * `store_failed`, as do the others.
 */
export async function* repositories(
  store: Lists,
  range = ALL_KEYS,
): AsyncGenerator<RepositoryName> {
  for (const name of foldersIn(await store.list(REPOS)))
    if (range.reaches(`${name}/`)) yield* repositoriesBelow(store, range, { name }, '');
}

/** Digests that the repository has a link to. */
export async function* linkedDigests(
  store: Lists,
  repository: RepositoryName,
): AsyncGenerator<Digest> {
  const folder = linksFolder(repository);
  for (const algorithm of foldersIn(await store.list(folder))) {
    for (const hex of await store.list(`${folder}/${algorithm}`)) {
      const digest = parseDigest(`${algorithm}:${hex}`);
      if (digest) yield digest;
    }
  }
}

export const tagsOf = (store: Lists, repository: RepositoryName): Promise<string[]> =>
  store.list(tagsFolder(repository));

/** Digests whose bytes are stored. */
export async function* storedDigests(store: Lists): AsyncGenerator<Digest> {
  for await (const { digests } of digestFolders(store)) yield* digests;
}

/** The same, folder by folder. */
export async function* digestFolders(
  store: Lists,
): AsyncGenerator<{ readonly folder: string; readonly digests: readonly Digest[] }> {
  for (const folder of await blobFolders(store))
    yield { folder, digests: await digestsIn(store, folder) };
}

/** Folders that bytes are kept in: 256 an algorithm at most. */
export async function blobFolders(store: Lists): Promise<string[]> {
  const folders: string[] = [];
  for (const algorithm of foldersIn(await store.list(BLOBS))) {
    for (const start of foldersIn(await store.list(`${BLOBS}/${algorithm}`)))
      folders.push(`${BLOBS}/${algorithm}/${start}`);
  }
  return folders;
}

/** Digests whose bytes are stored in one of these folders. */
export async function digestsIn(store: Lists, folder: string): Promise<Digest[]> {
  const [, , algorithm = ''] = folder.split('/');
  const found = (await store.list(folder)).map((hex) => parseDigest(`${algorithm}:${hex}`));
  return found.filter((digest) => digest !== undefined);
}

/** Digests that an edge may lead to. */
export async function* edgedDigests(store: Lists): AsyncGenerator<Digest> {
  for (const algorithm of foldersIn(await store.list(REFERENCES))) {
    for (const hex of foldersIn(await store.list(`${REFERENCES}/${algorithm}`))) {
      const digest = parseDigest(`${algorithm}:${hex}`);
      if (digest) yield digest;
    }
  }
}

const REPOS = 'oci/repos';
const BLOBS = 'oci/blobs';

async function* repositoriesBelow(
  store: Lists,
  range: KeyRange,
  upstream: RepositoryName['upstream'],
  path: string,
): AsyncGenerator<RepositoryName> {
  const own = `${upstream.name}${path && `/${path}`}`;
  const names = foldersIn(await store.list(`${REPOS}/${own}`));
  let isMet = path === '';
  for (const name of names) {
    // no element of a name begins with an underscore
    if (!name.startsWith('_')) {
      if (range.reaches(`${own}/${name}/`))
        yield* repositoriesBelow(store, range, upstream, path === '' ? name : `${path}/${name}`);
    } else if (!isMet && (name === '_links' || name === '_tags')) {
      isMet = true;
      if (range.has(`${own}/_`)) yield { upstream, path };
    }
  }
}

const foldersIn = (names: readonly string[]): string[] =>
  names.filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
