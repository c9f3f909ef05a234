// A purge of a repository, a tag or a digest: what is there of it, and what nothing else owns once it is gone. Nothing lists
// more than the repository's own links and the edges that lead to them.

import type { Answers } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import type { Store } from '../engine/ports.ts';
import type { PlannedContent, Purgeable, PurgePlan, PurgeScope } from '../engine/purge-plan.ts';
import { documentsOf, PurgeCascade, READS, type Gone } from './purge-cascade.ts';
import { digestText, type Digest } from './digest.ts';
import { edgeRepository, parseElement } from './edges.ts';
import {
  contentKey,
  failureKey,
  failuresFolder,
  linkKey,
  linksFolder,
  referencesFolder,
  referrersFolder,
  tagKey,
  tagListFolder,
  tagsFolder,
} from './keys.ts';
import { parsePurgeName, purgedName, type PurgeName, type PurgeTarget } from './purge-name.ts';
import { RepositoryView } from './repository-view.ts';
import type { OciUpstreams, RepositoryName } from './upstreams.ts';

export interface OciPurgeParts {
  readonly store: Store;
  readonly answers: Pick<Answers, 'read'>;
  readonly upstreams: Pick<OciUpstreams, 'has'>;
}

/** `text`: `HOST/REPO`, `HOST/REPO:TAG` or `HOST/REPO@DIGEST`. Throws LarderError `invalid` with a sentence. */
export function ociPurgeable(parts: OciPurgeParts, text: string): Purgeable {
  const wanted = parsePurgeName(text, parts.upstreams);
  const lists = wanted.repositories.flatMap(listsOf);
  return {
    name: wanted.name,
    scope: scopeOf(wanted, lists),
    plan: () => planOf(parts, wanted, lists),
  };
}

/** A tag or digest as one that is evicted: lists stay, as nothing of them is wrong. */
export function ociUnitPurgeable(
  parts: Omit<OciPurgeParts, 'upstreams'>,
  repository: RepositoryName,
  target: PurgeTarget,
): Purgeable {
  const name = purgedName(repository, target);
  const wanted = { name, repositories: [repository], target };
  return { name, scope: scopeOf(wanted, []), plan: () => planOf(parts, wanted, []) };
}

/** Bytes that no repository has a link to. */
export function strayPurgeable(store: Store, digest: Digest): Purgeable {
  const key = contentKey(digest);
  const mayGo = async () => !(await isHeld(store, digest, new Set()));
  return {
    name: `oci:@${digestText(digest)}`,
    scope: { keys: [key], folders: [] },
    async plan(): Promise<PurgePlan> {
      const goes = await mayGo();
      return { names: [], documents: [], contents: goes ? [{ key, mayGo }] : [] };
    },
  };
}

const listsOf = (repository: RepositoryName): string[] => [
  tagListFolder(repository),
  referrersFolder(repository),
];

function scopeOf({ repositories, target }: PurgeName, lists: readonly string[]): PurgeScope {
  const keys: string[] = [];
  const folders = [...lists];
  for (const repository of repositories) {
    if (target.kind === 'repository') {
      folders.push(tagsFolder(repository), linksFolder(repository), failuresFolder(repository));
    } else if (target.kind === 'tag') {
      keys.push(tagKey(repository, target.tag));
    } else {
      const { digest } = target;
      keys.push(linkKey(repository, digest), failureKey(repository, digest), contentKey(digest));
    }
  }
  return { keys, folders };
}

async function planOf(
  parts: Omit<OciPurgeParts, 'upstreams'>,
  { repositories, target }: PurgeName,
  lists: readonly string[],
): Promise<PurgePlan> {
  const { store } = parts;
  const found = await Promise.all(
    repositories.map((repository) =>
      new PurgeCascade(store, new RepositoryView(parts, repository)).gone(target),
    ),
  );
  const inLists = await Promise.all(lists.map((folder) => keysBelow(store, folder)));
  const contents = await contentsOf(store, repositories, found);
  const documents = [...documentsOf(found), inLists.flat()];
  return { names: await namesOf(store, found, contents), documents, contents };
}

/** Bytes that no repository holds any more when this is done. */
async function contentsOf(
  store: Store,
  repositories: readonly RepositoryName[],
  found: readonly Gone[],
): Promise<PlannedContent[]> {
  const digests = new Map<string, { digest: Digest; goneFrom: Set<string> }>();
  for (const { hash, digests: gone } of found) {
    for (const [text, digest] of gone) {
      const known = digests.get(text) ?? { digest, goneFrom: new Set() };
      known.goneFrom.add(hash);
      digests.set(text, known);
    }
  }
  const contents = await mapBounded(digests.values(), READS, async ({ digest, goneFrom }) => {
    if (await isHeld(store, digest, goneFrom)) return [];
    const mayGo = async () => {
      const anew = repositories.map((repository) =>
        store.readDocument(linkKey(repository, digest)),
      );
      if ((await Promise.all(anew)).some((link) => link !== undefined)) return false;
      return !(await isHeld(store, digest, new Set()));
    };
    return [{ key: contentKey(digest), mayGo }];
  });
  return contents.flat();
}

/** Whether a repository that has an owner of it holds it, other than those of these hashes. What cannot be read holds it. */
export async function isHeld(
  store: Pick<Store, 'list' | 'readDocument'>,
  digest: Digest,
  except: ReadonlySet<string>,
): Promise<boolean> {
  const folder = referencesFolder(digest);
  const seen = new Set(except);
  for (const element of await store.list(folder)) {
    const edge = parseElement(element);
    if (edge === undefined) return true;
    if (seen.has(edge.hash)) continue;
    const document = await store.readDocument(`${folder}/${element}`);
    // taken away meanwhile: another one of its repository may be there
    if (document === undefined) continue;
    const repository = edgeRepository(document, edge.hash);
    if (repository === undefined) return true;
    if ((await store.readDocument(linkKey(repository, digest))) !== undefined) return true;
    seen.add(edge.hash);
  }
  return false;
}

/** Tags, then digests of what is stored and went from its repository. */
export async function namesOf(
  store: Pick<Store, 'record'>,
  found: readonly Gone[],
  contents: readonly PlannedContent[],
): Promise<string[]> {
  const deleted = new Set(contents.map(({ key }) => key));
  const tags = found.flatMap(({ repository, tags }) =>
    tags.map((tag) => purgedName(repository, { kind: 'tag', tag })),
  );
  const digests = found.flatMap(({ repository, digests, links }) => {
    const linked = new Set(links);
    return [...digests.values()]
      .filter((one) => linked.has(linkKey(repository, one)) || deleted.has(contentKey(one)))
      .map((digest) => ({ repository, digest }));
  });
  const named = await mapBounded(digests, READS, async ({ repository, digest }) => {
    if ((await store.record(contentKey(digest))) === undefined) return [];
    return [purgedName(repository, { kind: 'digest', digest })];
  });
  return [...tags.sort(), ...named.flat().sort()];
}

/** All documents below a folder. */
async function keysBelow(store: Pick<Store, 'list'>, folder: string): Promise<string[]> {
  const names = await store.list(folder);
  const below = await mapBounded(names, READS, (name) => {
    const key = `${folder}/${name}`;
    return name.endsWith('/') ? keysBelow(store, key.slice(0, -1)) : Promise.resolve([key]);
  });
  return below.flat();
}
