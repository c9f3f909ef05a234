// Names that are kept for good: neither evicted nor collected. A purge takes them all the same.

import { hash } from 'node:crypto';
import { mapBounded } from '../engine/bounded.ts';
import type { Store } from '../engine/ports.ts';

const FOLDER = 'pins';
const READS = 16;

export class Pins {
  readonly #store: Pick<Store, 'list' | 'readDocument' | 'writeDocument' | 'delete'>;
  readonly #now: () => number;

  /** `store`: without a memory. */
  constructor(
    store: Pick<Store, 'list' | 'readDocument' | 'writeDocument' | 'delete'>,
    now: () => number,
  ) {
    this.#store = store;
    this.#now = now;
  }

  /** As a purge names it. Throws LarderError `store_failed`, as do the others. */
  async add(name: string): Promise<void> {
    const document = JSON.stringify({ name, time: new Date(this.#now()).toISOString() });
    await this.#store.writeDocument(keyOf(name), Buffer.from(document));
  }

  /** One that is none is no error. */
  remove(name: string): Promise<void> {
    return this.#store.delete(keyOf(name));
  }

  /** All of them, as they are now. Throws too where one cannot be read: what it keeps is not known. */
  async names(): Promise<ReadonlySet<string>> {
    const elements = await this.#store.list(FOLDER);
    const names = await mapBounded(elements, READS, async (element) => {
      const document = await this.#store.readDocument(`${FOLDER}/${element}`);
      if (document === undefined) return [];
      const { name } = JSON.parse(Buffer.from(document).toString()) as { name: string };
      return [name];
    });
    return new Set(names.flat());
  }
}

/** Names may be longer than an element of a key. */
const keyOf = (name: string): string => `${FOLDER}/${hash('sha256', name)}`;
