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
    const versions = await completeVersions(this.#store, module);
    const shown = sortVersions(versions.filter((version) => !isPseudoVersion(version)));
    const key = `go${pathOf({ kind: 'list', module })}`;
    if (shown.length === 0) await this.#store.delete(key);
    else await this.#store.writeDocument(key, Buffer.from(shown.map((v) => `${v}\n`).join('')));
  }
}
