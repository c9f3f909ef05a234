// What the engine needs from outside, each a port with at least one implementation elsewhere (chosen in app/compose).

import type { CacheOutcome, ErrorCode } from './errors.ts';

/** Bytes that can be read from any offset, stored or still growing. */
export interface Body {
  /** Bytes in all; undefined while an upstream that announced no length is still sending. */
  readonly size: number | undefined;
  /** All bytes, where they are in memory already. Never written to. */
  readonly bytes?: Uint8Array;
  /**
   * Chunks of [start, end), end defaulting to the whole. A chunk is valid only until the next one is asked for.
   * Throws LarderError when a fill fails or the store breaks, and the signal's reason when it aborts.
   */
  read(start: number, end: number | undefined, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Frees what the body holds. Whoever got the body calls it once, after the last read. */
  close(): void;
}

/** What is kept beside content. */
export interface ContentRecord {
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of the bytes, hex. */
  readonly sha256: string;
  /** When they were checked, RFC 3339. */
  readonly time: string;
  /** Which upstream they came from, without credentials. */
  readonly source: string;
  /** What the protocol keeps with them (`h1`, `goMod`, …). */
  readonly extra: Readonly<Record<string, string>>;
}

export interface StoredContent {
  readonly record: ContentRecord;
  readonly body: Body;
  /**
   * Address from which a client may read it by itself for a quarter of an hour; only where the store offers that. Throws
   * LarderError `store_failed`.
   */
  readonly url?: () => Promise<string>;
}

/** Bytes ready for the store: in memory when small, else a finished file that the store may link but not change. */
export type StashSource = { readonly bytes: Uint8Array } | { readonly path: string };

/**
 * Keeps bytes under keys. Keys are slash-separated, made by the protocol rooms, never from raw input.
 * Content is immutable and has a record; documents are small, mutable and have none.
 * Every method throws LarderError `store_failed` when the store cannot be reached or refuses.
 */
export interface Store {
  /** Content by key, or undefined. The caller closes the body. */
  open(key: string): Promise<StoredContent | undefined>;
  /** The record alone. */
  record(key: string): Promise<ContentRecord | undefined>;
  /**
   * Moves checked bytes in, all or nothing; what is there already stays. Resolves when they survive the end of this
   * process.
   */
  stash(key: string, source: StashSource, record: ContentRecord): Promise<'stored' | 'present'>;
  readDocument(key: string): Promise<Uint8Array | undefined>;
  /** Replaces the document as a whole. */
  writeDocument(key: string, bytes: Uint8Array): Promise<void>;
  /**
   * Content that was found to be wrong: it is not there any more and can be stored anew, while `list` names it and
   * `isSpoiled` tells it until then. Nothing there is no error.
   */
  spoil(key: string): Promise<void>;
  /** Whether there is content that cannot be believed: spoiled, or not as its record says. What was cut off on its way in is not. */
  isSpoiled(key: string): Promise<boolean>;
  /** Removes content or a document; nothing there is no error. */
  delete(key: string): Promise<void>;
  /** Names directly below a folder key, ascending; folders end in `/`. */
  list(folder: string): Promise<string[]>;
  /** Keys of all that is below a folder, in no order; only where that is much cheaper than by `list`. */
  listBelow?(folder: string): AsyncIterable<string>;
  /** Resolves when the store answers; used by readiness. */
  check(): Promise<void>;
}

/** What a fetcher hands over: one thing from one upstream, its bytes still to come. */
export interface Fetched {
  /** Announced length in bytes. */
  readonly size: number | undefined;
  readonly source: string;
  /** Throws LarderError when the transfer fails for good. Ending the iteration early frees the connection. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** How the work under a lease ended, for whoever waited for it: its result is in the store, or it failed for all. */
export type Outcome =
  | { readonly kind: 'stored' }
  | {
      readonly kind: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly retryAfterMs?: number;
    };

export interface Lease {
  /** Somebody else held it in between: look into the store again before you fetch. */
  readonly waited: boolean;
  /** Aborts when the lease is lost: its holder must not commit. */
  readonly lost: AbortSignal;
  /**
   * Gives it back and tells whoever waits how it ended; without an outcome the next one tries for itself. Never rejects: a
   * lease that cannot be given back runs out by itself.
   */
  release(outcome?: Outcome): Promise<void>;
}

/** How one comes by a lease. */
export interface LeaseRequest {
  readonly key: string;
  /** A failure is told to those of the same scope alone. */
  readonly scope: string;
  readonly signal: AbortSignal;
  /** Called when somebody else holds the key, with the address of that replica, where it has one. Maybe more than once. */
  readonly onHeld?: (address: string) => void;
}

/** One holder a key among all that share the lock service. */
export interface Lock {
  /**
   * Waits its turn, as long as others hold the key: resolves with the lease, or with the outcome that its holder told
   * meanwhile or a moment ago. Throws the signal's reason when it aborts. A lock service that is down grants at once.
   */
  acquire(request: LeaseRequest): Promise<Lease | Outcome>;
}

/** A fill that another replica leads, as its bytes come there. */
export interface PeerFill {
  /** Bytes in all, where the leader knows. */
  readonly size: number | undefined;
  /** Ends when the leader has checked all bytes. Throws when either end breaks. Leaving it frees the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** What was checked; to be asked for when the body has ended. Throws when the leader did not say. */
  record(): ContentRecord;
}

/** Reaches the other replicas. */
export interface Peers {
  /** Throws when that replica cannot be reached or has no such fill. */
  open(address: string, key: string, signal: AbortSignal): Promise<PeerFill>;
}

/** Something that asks to come in: a version of a module, a manifest. */
export type Entrant =
  | {
      readonly protocol: 'go';
      readonly name: string;
      readonly version: string;
      readonly upstream: string;
    }
  | {
      readonly protocol: 'oci';
      readonly name: string;
      readonly digest: string;
      readonly upstream: string;
    };

/** Has a say on what is kept, beside the rules. */
export interface Admission {
  /** Throws LarderError `denied` with the reason, and the signal's reason. */
  admit(entrant: Entrant, signal: AbortSignal): Promise<void>;
}

/** Of a store that is kept below a size. */
export interface Room {
  /**
   * Waits until there is room for so many bytes, for a bounded time, and no longer than the signal lets it. Call the result once they
   * are stored, or cannot be. Undefined: they are not to be kept. Never rejects.
   */
  take(bytes: number, signal: AbortSignal): Promise<(() => void) | undefined>;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** Told what happened, after it happened. Never throws; never waited for. */
export interface Listener {
  fillEnded?(event: {
    key: string;
    /** `stored`: its content is in the store. `purged`: its name was purged meanwhile, so that its readers alone got it. */
    outcome: 'stored' | 'failed' | 'purged';
    code?: string;
    bytes: number;
    ms: number;
  }): void;
  stored?(event: { key: string; record: ContentRecord }): void;
  /** Content came into the store where there was none, whether or not its name was purged meanwhile. */
  added?(event: { key: string; bytes: number }): void;
  /** Content was taken out of the store. */
  removed?(event: { key: string; bytes: number }): void;
  /** A unit was evicted, with what it alone held. */
  evicted?(event: { unit: string; bytes: number }): void;
  /** Bytes reached their clients but could not be kept, or the store refused a read. */
  storeFailed?(event: { key: string; operation: string; error: unknown }): void;
  staleServed?(event: { key: string; error: unknown }): void;
  /** One exchange with an upstream, each try by itself; status 0 when none came. */
  upstreamAnswered?(event: { host: string; status: number; ms: number }): void;
  /** A request that was not sent, as its host is asked too often, or cannot be reached. */
  upstreamHeld?(event: { host: string; why: 'rate' | 'down' }): void;
  /** What a host tells of how often it may be asked, in requests. */
  upstreamLimit?(event: {
    host: string;
    limit: number | undefined;
    remaining: number | undefined;
  }): void;
  /** A host is left alone, as it failed again and again; or it answers again. */
  upstreamDown?(event: { host: string; isDown: boolean; reason: string }): void;
  /** The lock service went away or came back; without it locks hold within this process alone. */
  lockService?(event: { up: boolean; reason?: string }): void;
  /** The checksum database had no say on something that was kept all the same. */
  unverified?(event: { key: string; reason: string }): void;
}

/** What pull-through hands to a protocol room. */
export interface Served {
  readonly outcome: CacheOutcome;
  readonly body: Body;
  /** Undefined for content in flight: not yet known. */
  readonly record: ContentRecord | undefined;
  /** As of StoredContent. */
  readonly url?: () => Promise<string>;
}

/** In place of what was asked for: where the client may get it by itself. */
export interface Redirected {
  readonly outcome: 'redirect';
  readonly location: string;
}
