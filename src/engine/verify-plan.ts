// What a verification looks at, as the protocol rooms know it and references/verify.ts goes through it.

import { keysBelow } from './keys-below.ts';
import type { Store, StoredContent } from './ports.ts';

/** Content by its name. */
export interface ContentItem {
  readonly kind: 'content';
  readonly key: string;
  /** As a purge would name it: `go:M@V`, `oci:HOST/REPO@DIGEST`; `oci:@DIGEST` where no repository is known to own it. */
  name(): Promise<string>;
  /**
   * Resolves when the bytes are what their name and record say. Throws LarderError `bad_content` or `checksum_mismatch` when
   * they are not, else what kept it from finding out. Whoever calls closes the body.
   */
  check(stored: StoredContent, signal: AbortSignal): Promise<void>;
  /**
   * Mends what is derived from it, once it is gone and what was before it in the walk has been looked at. Throws LarderError
   * `store_failed`.
   */
  removed?(): Promise<void>;
}

/** A document by itself. */
export interface DocumentItem {
  readonly kind: 'document';
  readonly key: string;
  /** Whether these bytes can be what was written. */
  isSound(bytes: Uint8Array): boolean | Promise<boolean>;
  /** Writes it anew. Without this it is deleted, as it can be asked for again. Throws LarderError `store_failed`. */
  rewrite?(): Promise<void>;
}

/** Something that others follow from. */
export interface OwnerItem {
  readonly kind: 'owner';
  /** Where the walk is: of no document. */
  readonly key: string;
  /**
   * What follows and is not there; the next one is asked for when the one before is written. Throws LarderError
   * `store_failed`, and the signal's reason.
   */
  missing(signal: AbortSignal): AsyncIterable<Missing>;
}

/** A document that is to be written. */
export interface Missing {
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly isEdge: boolean;
  /** Whether what it follows from is still there; asked when it is written, as a purge may have been faster. */
  stays(): Promise<boolean>;
}

/** Documents that are looked for when it is their turn. */
export interface GroupItem {
  readonly kind: 'group';
  /** Where the walk is: of no document. */
  readonly key: string;
  /** Throws LarderError `store_failed`. */
  documents(): Promise<readonly DocumentItem[]>;
}

export type VerifyItem = ContentItem | DocumentItem | GroupItem | OwnerItem;

/** A part of the store, folder by folder. */
export interface VerifyPart {
  /** By keys that ascend, character by character; documents that are derived from content stand before it. Throws LarderError `store_failed`. */
  items(): AsyncIterable<VerifyItem>;
}

/** What a room has: first its content, then what tells of it. What is found wrong in one part is mended by those after it. */
export interface Verifiable {
  readonly contents: VerifyPart;
  readonly documents: readonly VerifyPart[];
  /** One after the other they restore what follows from the rest: above all who owns what, all of it if need be. */
  readonly owners: readonly VerifyPart[];
  /** Whether nothing is left of what this room needs to know who owns what, while there is something to own. */
  hasLostOwners?(): Promise<boolean>;
}

/** Every document below a folder, each sound by itself. Throws LarderError `store_failed`. */
export async function* documentsBelow(
  store: Pick<Store, 'list'>,
  folder: string,
  isSound: (bytes: Uint8Array, key: string) => boolean,
): AsyncGenerator<DocumentItem> {
  for await (const key of keysBelow(store, folder))
    yield { kind: 'document', key, isSound: (bytes) => isSound(bytes, key) };
}
