import type { Store } from './ports.ts';

/** Keys of all that is below a folder, ascending; of each folder on the way no more is in memory than its names. Throws LarderError `store_failed`. */
export async function* keysBelow(
  store: Pick<Store, 'list'>,
  folder: string,
): AsyncGenerator<string> {
  for (const name of await store.list(folder)) {
    if (name.endsWith('/')) yield* keysBelow(store, `${folder}/${name.slice(0, -1)}`);
    else yield `${folder}/${name}`;
  }
}
