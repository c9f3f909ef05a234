// What follows when a file of a version was stored: the list may be out of date, and the version may be complete.

import type { Answers } from '../engine/answers.ts';
import type { Store } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import { completeVersions } from './answer-requests.ts';
import type { VersionIndex } from './index-feed.ts';
import { keyOf, pathOf, type GoFileName } from './names.ts';
import { sortVersions } from './semver.ts';
import { isPseudoVersion } from './version.ts';

export class Completion {
  readonly #store: Store;
  readonly #answers: Answers;
  readonly #pull: Pick<PullThrough, 'expire'>;
  readonly #index: VersionIndex;
  /** One after another, so that no older list overwrites a newer one. */
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: {
    store: Store;
    answers: Answers;
    pull: Pick<PullThrough, 'expire'>;
    index: VersionIndex;
  }) {
    this.#store = parts.store;
    this.#answers = parts.answers;
    this.#pull = parts.pull;
    this.#index = parts.index;
  }

  /** Throws LarderError `store_failed`. */
  stored(name: GoFileName): Promise<void> {
    const done = this.#turn.then(() => this.#follow(name));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #follow(name: GoFileName): Promise<void> {
    if (!isPseudoVersion(name.version)) await this.#expireList(name);
    for (const ext of ['info', 'mod', 'zip'] as const) {
      if ((await this.#store.record(keyOf({ ...name, ext }))) === undefined) return;
    }
    await this.#index.append(name);
    if (!isPseudoVersion(name.version)) await this.#writeTreeList(name.module);
  }

  /** A list that lacks a version that there is is out of date, and so is the word that there is none. */
  async #expireList({ module, version }: GoFileName): Promise<void> {
    const key = keyOf({ kind: 'list', module });
    const list = this.#answers.peek(key) ?? (await this.#answers.read(key));
    const listed = list && Buffer.from(list.bytes).toString().split('\n').includes(version);
    if (!listed) await this.#pull.expire(key);
  }

  /** The list of the store as a GOPROXY tree: derived, for `GOPROXY=file://`. */
  async #writeTreeList(module: string): Promise<void> {
    const versions = await completeVersions(this.#store, module);
    const shown = sortVersions(versions.filter((version) => !isPseudoVersion(version)));
    const key = `go${pathOf({ kind: 'list', module })}`;
    await this.#store.writeDocument(
      key,
      Buffer.from(shown.map((version) => `${version}\n`).join('')),
    );
  }
}
