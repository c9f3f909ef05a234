// When a collection first saw that nobody owns a digest any more, where nothing else tells since when that is: a tag that is
// gone says no time. One document a repository.

import type { Store } from '../engine/ports.ts';
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
    return document === undefined ? new Map() : decode(document);
  }

  async write(hash: string, marks: Marks): Promise<void> {
    const known = await this.#list();
    if (marks.size > 0)
      await this.#store.writeDocument(
        orphansKey(hash),
        Buffer.from(JSON.stringify(Object.fromEntries(marks))),
      );
    else if (known.has(hash)) await this.#store.delete(orphansKey(hash));
  }

  #list(): Promise<ReadonlySet<string>> {
    this.#marked ??= this.#store.list(ORPHANS).then((names) => new Set(names));
    return this.#marked;
  }
}

/** What cannot be read was not seen: the time begins anew. */
function decode(document: Uint8Array): Marks {
  try {
    const json = JSON.parse(Buffer.from(document).toString()) as Record<string, unknown> | null;
    return new Map(
      Object.entries(json ?? {}).filter(
        (entry): entry is [string, number] => typeof entry[1] === 'number',
      ),
    );
  } catch {
    return new Map();
  }
}
