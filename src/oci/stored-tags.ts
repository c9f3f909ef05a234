// The tags of a repository that may be had without its registry: those of which the manifest is stored.

import type { AnswerBytes, Answers } from '../engine/answers.ts';
import type { Store } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import { contentKey, tagKey, tagsFolder } from './keys.ts';
import { targetOf, type ListPage } from './tags.ts';
import type { Repository } from './upstreams.ts';

export interface StoredTagsParts {
  readonly store: Pick<Store, 'list'>;
  readonly answers: Pick<Answers, 'read'>;
  readonly pull: Pick<PullThrough, 'record'>;
}

/** Such a page of them as the query wants, in place of the registry's; undefined for none. Throws LarderError `store_failed`. */
export async function storedTags(
  { store, answers, pull }: StoredTagsParts,
  repository: Repository,
  query: string,
): Promise<AnswerBytes | undefined> {
  const tags: string[] = [];
  for (const tag of await store.list(tagsFolder(repository))) {
    const answer = await answers.read(tagKey(repository, tag));
    if (answer && (await pull.record(contentKey(targetOf(answer.bytes).digest)))) tags.push(tag);
  }
  if (tags.length === 0) return undefined;
  const page: ListPage = {
    contentType: 'application/json',
    ...pageOf(tags, repository.path, query),
  };
  return { bytes: Buffer.from(JSON.stringify(page)), source: 'store' };
}

function pageOf(
  tags: readonly string[],
  name: string,
  query: string,
): Omit<ListPage, 'contentType'> {
  const wanted = new URLSearchParams(query);
  const after = wanted.get('last') ?? '';
  const most = wanted.get('n');
  const left = tags.filter((tag) => tag > after);
  const shown = most === null ? left : left.slice(0, Number(most));
  const last = shown.at(-1);
  const next =
    last === undefined || shown.length === left.length
      ? undefined
      : new URLSearchParams({ n: String(most), last }).toString();
  return { body: JSON.stringify({ name, tags: shown }), next };
}
