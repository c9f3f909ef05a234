// What a kill leaves of modules in a folder: bytes whose record it did not let come, and lists of versions that are not as
// they should be. Who has no records beside its bytes needs none of it.

import { mapBounded } from '../engine/bounded.ts';
import type { Orphans, Search, Sweeper } from '../engine/collection.ts';
import type { Store } from '../engine/ports.ts';
import { treeLines, treeListKey, type TreeList } from './tree-list.ts';
import { modules } from './walk.ts';

/** Reads of the store at once. */
const READS = 16;

export interface GoSweepParts {
  /** Without a memory. */
  readonly store: Store;
  readonly treeList: TreeList;
}

export class GoSweeper implements Sweeper {
  readonly #parts: GoSweepParts;

  constructor(parts: GoSweepParts) {
    this.#parts = parts;
  }

  async *orphans({ signal }: Search): AsyncGenerator<Orphans> {
    const { store, treeList } = this.#parts;
    for await (const { module, files } of modules(store)) {
      signal.throwIfAborted();
      const look = async () => {
        const looked = await mapBounded(files, READS, async ({ key }) =>
          (await this.#isCutOff(key)) ? [key] : [],
        );
        return looked.flat();
      };
      const cutOff = await look();
      if (cutOff.length === 0 && (await this.#isListRight(module))) continue;
      yield {
        // nobody has ever had it
        found: { names: [], freedBytes: 0 },
        scope: { keys: cutOff, folders: [] },
        plan: async () => ({
          names: [],
          documents: [],
          contents: (await look()).map((key) => ({ key, mayGo: () => this.#isCutOff(key) })),
          after: () => treeList.write(module),
        }),
      };
    }
  }

  /** What is on its way in is so too: its lease is held. */
  async #isCutOff(key: string): Promise<boolean> {
    const { store } = this.#parts;
    return (await store.record(key)) === undefined && !(await store.isSpoiled(key));
  }

  async #isListRight(module: string): Promise<boolean> {
    const { store } = this.#parts;
    const list = await store.readDocument(treeListKey(module));
    const lines = await treeLines(store, module);
    return Buffer.from(list ?? []).toString() === lines.join('');
  }
}
