import type { Orphans, Search, Sweeper } from '../engine/collection.ts';
import type { Store } from '../engine/ports.ts';
import { FOLDER } from './store-announcements.ts';

/** After which every replica has seen an announcement, however much its clock differs from that of who wrote it. */
const OLD_MS = 60 * 60_000;

/** Announcements in the store that nobody took away who heard them. */
export class OldAnnouncements implements Sweeper {
  readonly #store: Pick<Store, 'list'>;

  constructor(store: Pick<Store, 'list'>) {
    this.#store = store;
  }

  async *orphans({ now }: Search): AsyncGenerator<Orphans> {
    const names = await this.#store.list(FOLDER);
    // a name begins with its time
    const old = names.filter((name) => Date.parse(name.slice(0, TIME)) <= now - OLD_MS);
    if (old.length === 0) return;
    const documents = [old.map((name) => `${FOLDER}/${name}`)];
    yield {
      found: { names: [], freedBytes: 0 },
      scope: { keys: [], folders: [] },
      plan: () => Promise.resolve({ names: [], documents, contents: [] }),
    };
  }
}

const TIME = '2026-01-01T00:00:00.000Z'.length;
