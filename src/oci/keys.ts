// Where images are in the store. No element of a repository's name begins with an underscore: so no repository's key is
// a folder of another one's.

import type { Digest } from './digest.ts';
import type { RepositoryName } from './upstreams.ts';

/** What the keys of a repository begin with. Repositories may lie below it: `a` and `a/b`. */
export const repositoryKey = ({ upstream, path }: RepositoryName): string =>
  `oci/repos/${upstream.name}/${path}`;

/** A folder: links, `<algorithm>/<hex>`. */
export const linksFolder = (repository: RepositoryName): string =>
  `${repositoryKey(repository)}/_links`;

export const linkKey = (repository: RepositoryName, { algorithm, hex }: Digest): string =>
  `${linksFolder(repository)}/${algorithm}/${hex}`;

/** A folder: answers, one a tag. */
export const tagsFolder = (repository: RepositoryName): string =>
  `${repositoryKey(repository)}/_tags`;

export const tagKey = (repository: RepositoryName, tag: string): string =>
  `${tagsFolder(repository)}/${tag}`;

/** A folder: lists of all repositories. */
export const LISTS = 'answers/oci';

/** A folder: pages of the list of tags. */
export const tagListFolder = (repository: RepositoryName): string =>
  `answers/${repositoryKey(repository)}/_tags_list`;

/** A folder: pages of lists of referrers, `<algorithm>/<hex>/<page>`. */
export const referrersFolder = (repository: RepositoryName): string =>
  `answers/${repositoryKey(repository)}/_referrers`;

/** Bytes, once for all repositories. */
export const contentKey = ({ algorithm, hex }: Digest): string =>
  `oci/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`;

/** Under which it is remembered that a repository does not get a digest. */
export const failureKey = (repository: RepositoryName, digest: Digest): string =>
  `${repositoryKey(repository)}@${contentKey(digest)}`;

/** A folder that is none: what all failure keys of a repository begin with. */
export const failuresFolder = (repository: RepositoryName): string =>
  `${repositoryKey(repository)}@oci/blobs`;

/** A folder: all edges. */
export const REFERENCES = 'oci/references';

/** A folder: edges that lead to a digest, one an owner (edges.ts). */
export const referencesFolder = ({ algorithm, hex }: Digest): string =>
  `${REFERENCES}/${algorithm}/${hex}`;

/** A folder: when orphans were seen first, one document a repository (orphan-marks.ts). */
export const ORPHANS = 'oci/orphans';

/** `hash`: of the repository, as its edges have it. */
export const orphansKey = (hash: string): string => `${ORPHANS}/${hash}`;
