// All that is stored of modules, come upon folder by folder, in the order of its names: of each folder on the way no more is
// in memory than its names. What is stored or deleted meanwhile may be met or not.

import { ALL_KEYS, type KeyRange } from '../engine/key-range.ts';
import type { Store } from '../engine/ports.ts';
import { unescapePath } from './module-path.ts';
import { filesOf, type StoredFile } from './stored-files.ts';

type Lists = Pick<Store, 'list'>;

export interface StoredModule {
  readonly module: string;
  readonly files: readonly StoredFile[];
}

/**
 * Every module that has a folder of files, with its files, if there are any; of those whose folder, without `go/` and with a
 * slash at its end, is in the range. Throws LarderError `store_failed`.
 */
export function modules(store: Lists, range = ALL_KEYS): AsyncGenerator<StoredModule> {
  return modulesBelow(store, range, '');
}

async function* modulesBelow(
  store: Lists,
  range: KeyRange,
  path: string,
): AsyncGenerator<StoredModule> {
  const names = await store.list(path === '' ? 'go' : `go/${path}`);
  for (const name of names) {
    const folder = path === '' ? name : `${path}/${name}`;
    if (!name.endsWith('/') || !range.reaches(folder)) continue;
    if (name !== '@v/') {
      yield* modulesBelow(store, range, folder.slice(0, -1));
      continue;
    }
    if (!range.has(folder)) continue;
    const module = unescapePath(path);
    if (module !== undefined) yield { module, files: await filesOf(store, module) };
  }
}
