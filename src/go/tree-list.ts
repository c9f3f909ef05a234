import type { Store } from '../engine/ports.ts';
import { pathOf } from './names.ts';
import { sortVersions } from './semver.ts';
import { completeVersions } from './stored-files.ts';
import { isPseudoVersion } from './version.ts';

/** The list of versions in the store as a GOPROXY tree: derived, for `GOPROXY=file://`. */
export class TreeList {
  readonly #store: Store;
  /** One after another, so that no older list overwrites a newer one. */
  #turn: Promise<void> = Promise.resolve();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Makes it of the versions that are complete now; without any there is none. Throws LarderError `store_failed`. */
  write(module: string): Promise<void> {
    const done = this.#turn.then(() => this.#write(module));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #write(module: string): Promise<void> {
    const lines = await treeLines(this.#store, module);
    const key = treeListKey(module);
    if (lines.length === 0) await this.#store.delete(key);
    else await this.#store.writeDocument(key, Buffer.from(lines.join('')));
  }
}

export const treeListKey = (module: string): string => `go${pathOf({ kind: 'list', module })}`;

/** What is to be in it now, a line a version. Throws LarderError `store_failed`. */
export async function treeLines(store: Pick<Store, 'list'>, module: string): Promise<string[]> {
  const versions = await completeVersions(store, module);
  const shown = versions.filter((version) => !isPseudoVersion(version));
  return sortVersions(shown).map((version) => `${version}\n`);
}
