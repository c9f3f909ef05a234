// Answers that no request can be given any more: they were confirmed too long ago to stand in for an upstream that fails.

import { decodeAnswer } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import type { Orphans, Search, Sweeper } from '../engine/collection.ts';
import type { Store } from '../engine/ports.ts';

/** Reads of the store at once. */
const READS = 16;
/** Answers that go together. */
const TOGETHER = 256;

export interface AnswerFolder {
  readonly folder: string;
  /** How long after it was confirmed one may be served at all. Milliseconds. */
  readonly usableMs: number;
}

export class ExpiredAnswers implements Sweeper {
  readonly #store: Store;
  readonly #folders: readonly AnswerFolder[];

  /** `store`: without a memory. No document but answers may be in these folders. */
  constructor(store: Store, folders: readonly AnswerFolder[]) {
    this.#store = store;
    this.#folders = folders;
  }

  async *orphans(search: Search): AsyncGenerator<Orphans> {
    search.expect(this.#folders.length);
    for (const { folder, usableMs } of this.#folders) {
      let keys: string[] = [];
      for await (const key of this.#keysBelow(folder)) {
        search.signal.throwIfAborted();
        keys.push(key);
        if (keys.length < TOGETHER) continue;
        yield* this.#expired(keys, usableMs, search);
        keys = [];
      }
      yield* this.#expired(keys, usableMs, search);
      search.step();
    }
  }

  async *#expired(keys: readonly string[], usableMs: number, { now }: Search) {
    const look = async (among: readonly string[]): Promise<string[]> => {
      const found = await mapBounded(among, READS, async (key) => {
        const document = await this.#store.readDocument(key);
        const answer = document && decodeAnswer(document);
        // one that cannot be read may be a newer version's
        return answer && Math.abs(now - answer.confirmedAt) >= usableMs ? [key] : [];
      });
      return found.flat();
    };
    const expired = await look(keys);
    if (expired.length === 0) return;
    const orphans: Orphans = {
      found: { names: [], freedBytes: 0 },
      scope: { keys: expired, folders: [] },
      plan: async () => ({ names: [], documents: [await look(expired)], contents: [] }),
    };
    yield orphans;
  }

  async *#keysBelow(folder: string): AsyncGenerator<string> {
    for (const name of await this.#store.list(folder)) {
      const key = `${folder}/${name}`;
      if (name.endsWith('/')) yield* this.#keysBelow(key.slice(0, -1));
      else yield key;
    }
  }
}
