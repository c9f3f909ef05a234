// What follows when a file of a version was stored: the list may be out of date, and the version may be complete.

import { LRUCache } from 'lru-cache';
import type { Store } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import type { VersionIndex } from './index-feed.ts';
import { keyOf, type GoFileName } from './names.ts';
import { EXTENSIONS } from './stored-files.ts';
import type { TreeList } from './tree-list.ts';
import { isPseudoVersion } from './version.ts';

export class Completion {
  readonly #store: Store;
  readonly #pull: Pick<PullThrough, 'expire'>;
  readonly #index: VersionIndex;
  readonly #treeList: TreeList;
  /** Versions that were complete a moment ago, by the key of their zip, and of which files. */
  readonly #completed = new LRUCache<string, string>({ max: 1000 });
  /** One after another, so that the feed is in order. */
  #turn: Promise<void> = Promise.resolve();

  constructor(parts: {
    store: Store;
    pull: Pick<PullThrough, 'expire'>;
    index: VersionIndex;
    treeList: TreeList;
  }) {
    this.#store = parts.store;
    this.#pull = parts.pull;
    this.#index = parts.index;
    this.#treeList = parts.treeList;
  }

  /** Throws LarderError `store_failed`. */
  stored(name: GoFileName): Promise<void> {
    const done = this.#turn.then(() => this.#follow(name));
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Resolves when all that was told so far has been followed. */
  settled(): Promise<void> {
    return this.#turn;
  }

  /** A version that is purged is news when it is complete again. */
  forgetAll(isPurged: (key: string) => boolean): void {
    for (const key of [...this.#completed.keys()]) if (isPurged(key)) this.#completed.delete(key);
  }

  async #follow(name: GoFileName): Promise<void> {
    if (!isPseudoVersion(name.version)) await this.#expireList(name);
    const times: string[] = [];
    for (const ext of EXTENSIONS) {
      const record = await this.#store.record(keyOf({ ...name, ext }));
      if (record === undefined) return;
      times.push(record.time);
    }
    // of files stored together each may see all of them
    const version = keyOf({ ...name, ext: 'zip' });
    const files = times.join();
    if (this.#completed.get(version) === files) return;
    this.#completed.set(version, files);
    await this.#index.append(name);
    if (!isPseudoVersion(name.version)) await this.#treeList.write(name.module);
  }

  /** A list that lacks a version that there is is out of date, and so is the word that there is none. */
  async #expireList({ module, version }: GoFileName): Promise<void> {
    const key = keyOf({ kind: 'list', module });
    await this.#pull.expire(key, (list) =>
      Buffer.from(list).toString().split('\n').includes(version),
    );
  }
}
