// Names that are kept for good: neither evicted nor collected. A purge takes them all the same.

import { hash } from 'node:crypto';
import { keysBelow } from '../engine/keys-below.ts';
import type { Pinned } from '../engine/holdings.ts';
import type { Store } from '../engine/ports.ts';
import { seal, unseal } from '../engine/seal.ts';
import type { DocumentItem } from '../engine/verify-plan.ts';

const FOLDER = 'pins';
const MEMBERS = ['name', 'time'];

export class Pins {
  readonly #store: Pick<Store, 'list' | 'writeDocument' | 'delete'>;
  readonly #now: () => number;

  /** `store`: without a memory. */
  constructor(store: Pick<Store, 'list' | 'writeDocument' | 'delete'>, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** As a purge names it. Throws LarderError `store_failed`, as do the others. */
  async add(name: string): Promise<void> {
    const document = seal({ name, time: new Date(this.#now()).toISOString() });
    await this.#store.writeDocument(keyOf(name), Buffer.from(document));
  }

  /** One that is none is no error. */
  remove(name: string): Promise<void> {
    return this.#store.delete(keyOf(name));
  }

  /** All of them, as they are now. A pin's key says what it keeps: one that cannot be read keeps it all the same. */
  async pinned(): Promise<Pinned> {
    const elements = new Set(await this.#store.list(FOLDER));
    return { has: (name) => elements.size > 0 && elements.has(elementOf(name)) };
  }
}

/** Names may be longer than an element of a key. */
const elementOf = (name: string): string => hash('sha256', name);

const keyOf = (name: string): string => `${FOLDER}/${elementOf(name)}`;

/** For a verification. One that is wrong is written anew without its name, and keeps what it kept. */
export async function* pinDocuments(
  store: Pick<Store, 'list' | 'writeDocument'>,
  now: () => number,
): AsyncGenerator<DocumentItem> {
  for await (const key of keysBelow(store, FOLDER)) {
    const isSound = (bytes: Uint8Array) => {
      const pin = unseal(Buffer.from(bytes).toString(), MEMBERS);
      const name = pin?.['name'];
      return pin !== undefined && (typeof name !== 'string' || keyOf(name) === key);
    };
    const rewrite = () =>
      store.writeDocument(key, Buffer.from(seal({ time: new Date(now()).toISOString() })));
    yield { kind: 'document', key, isSound, rewrite };
  }
}
