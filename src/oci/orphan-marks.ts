// When a collection first saw that nobody owns a digest any more, where nothing else tells since when that is: a tag that is
// gone says no time. One document a repository.

import type { Store } from '../engine/ports.ts';
import { seal, unseal } from '../engine/seal.ts';
import { ORPHANS, orphansKey } from './keys.ts';

/** Milliseconds since the epoch, by the digest's text. */
export type Marks = ReadonlyMap<string, number>;

export class OrphanMarks {
  readonly #store: Pick<Store, 'list' | 'readDocument' | 'writeDocument' | 'delete'>;
  /** Names of repositories in edges. */
  #marked: Promise<ReadonlySet<string>> | undefined;

  constructor(store: Pick<Store, 'list' | 'readDocument' | 'writeDocument' | 'delete'>) {
    this.#store = store;
  }

  /** Of a repository. Throws LarderError `store_failed`, as does the other. */
  async read(hash: string): Promise<Marks> {
    if (!(await this.#list()).has(hash)) return new Map();
    const document = await this.#store.readDocument(orphansKey(hash));
    // what is not as it was written was not seen: the time begins anew
    return (document && decodeMarks(document)) ?? new Map();
  }

  async write(hash: string, marks: Marks): Promise<void> {
    const known = await this.#list();
    if (marks.size > 0)
      await this.#store.writeDocument(
        orphansKey(hash),
        Buffer.from(seal(Object.fromEntries(marks))),
      );
    else if (known.has(hash)) await this.#store.delete(orphansKey(hash));
  }

  #list(): Promise<ReadonlySet<string>> {
    this.#marked ??= this.#store.list(ORPHANS).then((names) => new Set(names));
    return this.#marked;
  }
}

/** Undefined for what is not as it was written. */
export function decodeMarks(document: Uint8Array): Marks | undefined {
  const marks = unseal(Buffer.from(document).toString(), []);
  if (marks === undefined) return undefined;
  const entries = Object.entries(marks);
  return new Map(
    entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
