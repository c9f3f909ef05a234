// All that is stored of modules, come upon folder by folder, in the order of its names: of each folder on the way no more is
// in memory than its names. What is stored or deleted meanwhile may be met or not.

import type { Store } from '../engine/ports.ts';
import { unescapePath } from './module-path.ts';
import { filesOf, type StoredFile } from './stored-files.ts';

type Lists = Pick<Store, 'list'>;

/** Every module of which there is a file, with its files. Throws LarderError `store_failed`. */
export async function* modules(
  store: Lists,
): AsyncGenerator<{ readonly module: string; readonly files: readonly StoredFile[] }> {
  yield* modulesBelow(store, '');
}

async function* modulesBelow(
  store: Lists,
  path: string,
): AsyncGenerator<{ module: string; files: readonly StoredFile[] }> {
  const names = await store.list(path === '' ? 'go' : `go/${path}`);
  for (const name of names) {
    if (!name.endsWith('/')) continue;
    const element = name.slice(0, -1);
    if (element !== '@v') {
      yield* modulesBelow(store, path === '' ? element : `${path}/${element}`);
      continue;
    }
    const module = unescapePath(path);
    const files = module === undefined ? [] : await filesOf(store, module);
    if (module !== undefined && files.length > 0) yield { module, files };
  }
}
