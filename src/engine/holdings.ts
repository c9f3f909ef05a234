// What is stored, as the protocol rooms tell of it to whoever counts, lists or evicts.

import type { ContentRecord } from './ports.ts';
import type { Purgeable } from './purge-plan.ts';

/** What is used, evicted and listed as one: a version of a module, a tag, a digest that no tag leads to. */
export interface Unit {
  /** As a purge names it. */
  readonly name: string;
  /** Names that keep it where they are pinned, its own among them. */
  readonly pins: readonly string[];
  /** Keys of content and answers: who asks for one of them uses it. */
  readonly keys: readonly string[];
  /** When the last of it came, milliseconds since the epoch. */
  readonly storedAt: number;
  /** Takes it alone out of the store, with what nothing else owns. */
  purgeable(): Purgeable;
}

/** A unit as it is listed. */
export interface ListedUnit extends Unit {
  /** Bytes of content that it holds, whoever else holds them too. */
  readonly bytes: number;
  /** What else its protocol tells. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Keys of content that stand in one folder. */
export interface ContentFolder {
  /** All keys in it are at most this, and greater than the last one's. */
  readonly end: string;
  readonly keys: readonly string[];
}

/** Which names are kept for good, as it was when that was asked for. */
export type Pinned = Pick<ReadonlySet<string>, 'has'>;

/** Everything of one protocol. Its walks have no more in memory than a folder. All throw LarderError `store_failed`. */
export interface Holdings {
  /** In the order of their keys. */
  units(): AsyncIterable<Unit>;
  /** In the order of their keys. */
  contents(): AsyncIterable<ContentFolder>;
  /** Content that no unit owns, such as a kill leaves. */
  strays(): AsyncIterable<Unit>;
  /** Throws LarderError `invalid` with a sentence, too. */
  list(range: ListRange): AsyncIterable<ListedUnit>;
  /** All that is known of one unit, or undefined. Throws LarderError `invalid` with a sentence. */
  inspect(text: string): Promise<Inspected | undefined>;
  /** What a fill fetches, as it is named to people; undefined for the other protocol's. */
  nameOf(key: string, failureKey: string): string | undefined;
}

/** Which units are listed. */
export interface ListRange {
  /** What their names begin with, without the protocol. */
  readonly prefix: string;
  /** Name of a unit, without the protocol, behind which they stand; empty: from the first. */
  readonly after: string;
}

export interface Inspected {
  readonly unit: Unit;
  readonly details: Readonly<Record<string, unknown>>;
}

/** When a record says that it was written, milliseconds since the epoch; 0 where that cannot be read. */
export const timeOf = (record: Pick<ContentRecord, 'time'> | undefined): number => {
  const time = Date.parse(record?.time ?? '');
  return Number.isNaN(time) ? 0 : time;
};
