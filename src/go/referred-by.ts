// Who refers to a version of a module: branches, commits and short versions that stood for it when they were last asked
// for, and the module's latest. Each is an answer, so it is looked up in what was said, and never written down twice.

import { decodeAnswer } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import type { Store } from '../engine/ports.ts';
import { parseInfo } from './info.ts';
import { keyOf } from './names.ts';
import { answersFolder } from './stored-files.ts';
import { unescapeVersion } from './version.ts';

/** Answers read at once, and those that are looked at. */
const READS = 16;
const MOST = 1000;

export interface GoReferrer {
  /** As the go command asks: `go:example.com/m@main`. */
  readonly name: string;
  readonly by: 'query' | 'latest';
}

/** In the order of their names, the latest last. Throws LarderError `store_failed`. */
export async function referredBy(
  store: Pick<Store, 'list' | 'readDocument'>,
  module: string,
  version: string,
): Promise<GoReferrer[]> {
  const answers = await store.list(answersFolder(module));
  const queries = answers.slice(0, MOST).flatMap((file) => {
    const query = file.endsWith('.info')
      ? unescapeVersion(file.slice(0, -'.info'.length))
      : undefined;
    return query === undefined ? [] : [{ key: keyOf({ kind: 'query', module, query }), query }];
  });
  const latest = { key: keyOf({ kind: 'latest', module }), query: undefined };
  const found = await mapBounded([...queries, latest], READS, async ({ key, query }) => {
    const document = await store.readDocument(key);
    if (document === undefined || versionIn(document) !== version) return [];
    const by = query === undefined ? ('latest' as const) : ('query' as const);
    return [{ name: `go:${module}@${query ?? 'latest'}`, by }];
  });
  return found.flat();
}

/** What an answer leads to; undefined for one that cannot be read: it is asked for again. */
function versionIn(document: Uint8Array): string | undefined {
  const answer = decodeAnswer(document);
  try {
    return answer && parseInfo(answer.bytes).version;
  } catch {
    return undefined;
  }
}
