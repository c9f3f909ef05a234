// Edges that lead to a digest, as they were listed. What thousands of repositories share has thousands of them, of which
// each repository needs its own: they are found without reading the others.

import { LRUCache } from 'lru-cache';
import type { Store } from '../engine/ports.ts';
import type { Digest } from './digest.ts';
import { elementsStart, parseElement, type Owner } from './edges.ts';
import { referencesFolder } from './keys.ts';

export class EdgeList {
  /** Names below the digest's folder, ascending, whichever repository their owners are of. */
  readonly elements: readonly string[];
  #isUnclear: boolean | undefined;

  constructor(elements: readonly string[]) {
    this.elements = elements;
  }

  /** Whether some are not as this version writes them. */
  get isUnclear(): boolean {
    this.#isUnclear ??= this.elements.some((element) => parseElement(element) === undefined);
    return this.#isUnclear;
  }

  /** Those of one repository. `hash`: of it, as its edges have it. */
  ownersIn(hash: string): Owner[] {
    return elementsStart(hash).flatMap((start) => {
      const owners: Owner[] = [];
      for (let at = this.#first(start); this.elements[at]?.startsWith(start) === true; at++) {
        const edge = parseElement(this.elements[at] ?? '');
        if (edge) owners.push(edge.owner);
      }
      return owners;
    });
  }

  /** Where the first one is that is not less. */
  #first(start: string): number {
    let [low, high] = [0, this.elements.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.elements[middle] ?? '') < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Reads them anew each time. Throws LarderError `store_failed`. */
export async function listEdges(store: Pick<Store, 'list'>, digest: Digest): Promise<EdgeList> {
  return new EdgeList(await store.list(referencesFolder(digest)));
}

/** Edges in a list that is worth remembering: a shorter one is listed as fast. */
const LONG = 100;
/** Edges that are remembered, some 150 bytes each. */
const MOST = 200_000;

/**
 * Remembers long lists, for a look at several repositories that is over soon: what comes after a list was read is not in
 * it. Memory does not grow with the number of edges.
 */
export class EdgeLists {
  readonly #store: Pick<Store, 'list'>;
  readonly #long = new LRUCache<string, EdgeList>({
    maxSize: MOST,
    sizeCalculation: ({ elements }) => elements.length,
  });
  readonly #reading = new Map<string, Promise<EdgeList>>();

  constructor(store: Pick<Store, 'list'>) {
    this.#store = store;
  }

  /** Throws LarderError `store_failed`. */
  of(digest: Digest): Promise<EdgeList> {
    const folder = referencesFolder(digest);
    const known = this.#long.get(folder);
    if (known) return Promise.resolve(known);
    const reading = this.#reading.get(folder) ?? this.#read(folder, digest);
    this.#reading.set(folder, reading);
    return reading;
  }

  async #read(folder: string, digest: Digest): Promise<EdgeList> {
    try {
      const list = await listEdges(this.#store, digest);
      if (list.elements.length >= LONG) this.#long.set(folder, list);
      return list;
    } finally {
      this.#reading.delete(folder);
    }
  }
}
