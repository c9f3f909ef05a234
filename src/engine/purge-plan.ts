// What a purge takes away, as the protocol rooms plan it and references/purge.ts carries it out.

/** Keys, and all keys below folders (which are written without a slash at their end; the store itself is an empty one). */
export interface PurgeScope {
  readonly keys: readonly string[];
  readonly folders: readonly string[];
}

/** For when it is not known what was purged. */
export const EVERYTHING: PurgeScope = { keys: [], folders: [''] };

/** Content that nothing else owned when the plan was made. */
export interface PlannedContent {
  readonly key: string;
  /** Whether that still holds; asked under the key's lease. Throws LarderError `store_failed`. */
  mayGo(): Promise<boolean>;
  /** As the answer names it once it went. What has none is named by what led to it, in the plan. */
  readonly name?: string;
}

export interface PurgePlan {
  /** What goes, as the answer names it: `go:M@V`, `oci:HOST/REPO:TAG`, `oci:HOST/REPO@DIGEST`. */
  readonly names: readonly string[];
  /** In groups, each deleted before the next one and all of them before any content. */
  readonly documents: readonly (readonly string[])[];
  readonly contents: readonly PlannedContent[];
  /** Mends what is derived from what went; called last. Throws LarderError `store_failed`. */
  after?(): Promise<void>;
}

/** One name that may be purged. */
export interface Purgeable {
  /** In the one spelling that it has: `go:M`, `go:M@V`, `oci:HOST/REPO`, `oci:HOST/REPO:TAG`, `oci:HOST/REPO@DIGEST`. */
  readonly name: string;
  /** Whatever is stored, remembered or on its way under this name itself. What its plan finds beside that goes too. */
  readonly scope: PurgeScope;
  /** Looks what there is; changes nothing. Throws LarderError `store_failed`. */
  plan(): Promise<PurgePlan>;
}

/** Told of every purge, on whichever replica it is made. */
export type PurgeHandler = (scope: PurgeScope) => void | Promise<void>;

/** Tells all replicas what is purged. */
export interface Announcements {
  /**
   * Calls the handlers of this process and waits for them; the other replicas are told, and not waited for. Before a
   * deletion, so that nothing of it is stored any more; and after it, as memories may hold what was read until then. Throws
   * what a handler throws, once all were called, and never for a replica that cannot be told.
   */
  announce(scope: PurgeScope): Promise<void>;
  /** Handlers are called in the order in which they came. */
  subscribe(handler: PurgeHandler): void;
}

/** Whether a key is in a scope. */
export function within({ keys, folders }: PurgeScope): (key: string) => boolean {
  const exact = new Set(keys);
  const prefixes = folders.map((folder) => (folder === '' ? '' : `${folder}/`));
  return (key) => exact.has(key) || prefixes.some((prefix) => key.startsWith(prefix));
}
