// All that is stored of images, come upon folder by folder, in the order of its names: of each folder on the way no more is
// in memory than its names. What is stored or deleted meanwhile may be met or not.

import type { Store } from '../engine/ports.ts';
import { parseDigest, type Digest } from './digest.ts';
import { linksFolder, tagsFolder } from './keys.ts';
import type { RepositoryName } from './upstreams.ts';

type Lists = Pick<Store, 'list'>;

/** Every repository that has a link or a tag. Throws LarderError `store_failed`, as do the others. */
export async function* repositories(store: Lists): AsyncGenerator<RepositoryName> {
  for (const name of foldersIn(await store.list(REPOS)))
    yield* repositoriesBelow(store, { name }, '');
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
  for (const algorithm of foldersIn(await store.list(BLOBS))) {
    for (const start of foldersIn(await store.list(`${BLOBS}/${algorithm}`))) {
      for (const hex of await store.list(`${BLOBS}/${algorithm}/${start}`)) {
        const digest = parseDigest(`${algorithm}:${hex}`);
        if (digest) yield digest;
      }
    }
  }
}

const REPOS = 'oci/repos';
const BLOBS = 'oci/blobs';

async function* repositoriesBelow(
  store: Lists,
  upstream: RepositoryName['upstream'],
  path: string,
): AsyncGenerator<RepositoryName> {
  const names = foldersIn(await store.list(`${REPOS}/${upstream.name}${path && `/${path}`}`));
  // no element of a name begins with an underscore
  if (path !== '' && names.some((name) => name === '_links' || name === '_tags'))
    yield { upstream, path };
  for (const name of names) {
    if (!name.startsWith('_'))
      yield* repositoriesBelow(store, upstream, path === '' ? name : `${path}/${name}`);
  }
}

const foldersIn = (names: readonly string[]): string[] =>
  names.filter((name) => name.endsWith('/')).map((name) => name.slice(0, -1));
