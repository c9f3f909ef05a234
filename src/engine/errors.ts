/** The word of `X-Larder-Cache`: how an answer came about. Decided in pull-through alone. */
export type CacheOutcome =
  'hit' | 'miss' | 'stale' | 'revalidated' | 'negative' | 'bypass' | 'redirect';

/** Stable codes of everything that can go wrong. Only `go/` and `oci/` turn one into a status and a body. */
export type ErrorCode =
  /** The upstream says that it is not there (404, 410). */
  | 'not_found'
  /** Not in the store, and nothing may be fetched (offline, cached-only, mode `none`). */
  | 'not_cached'
  /** Refused by a rule. */
  | 'denied'
  /** The upstream answers 401: Larder's own credentials are missing or wrong. */
  | 'upstream_unauthorized'
  /** The upstream answers 403. */
  | 'upstream_forbidden'
  /** The upstream is down, answers 5xx, or cannot be reached (DNS, TLS, loop). */
  | 'upstream_failed'
  /** The upstream was silent for longer than a deadline. */
  | 'upstream_timeout'
  /** The upstream answers 429. */
  | 'rate_limited'
  /** Bytes that break a rule of their format, or are not what their name says. */
  | 'bad_content'
  /** Bytes that differ from what the checksum database or a digest says. */
  | 'checksum_mismatch'
  /** Larder has as much work as it takes. */
  | 'overloaded'
  /** The store cannot be reached or refuses. */
  | 'store_failed'
  /** A malformed name, version, digest. */
  | 'invalid'
  /** A part of Larder that is not built. */
  | 'unsupported';

export interface ErrorDetails {
  cause?: unknown;
  /** Milliseconds after which a new attempt makes sense. */
  retryAfterMs?: number;
  outcome?: CacheOutcome;
  /** Another one found it out, a moment ago. */
  told?: boolean;
}

/** An error of the domain: `message` is one clear sentence for a person, without secrets. */
export class LarderError extends Error {
  override readonly name = 'LarderError';
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly outcome: CacheOutcome;
  readonly told: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryAfterMs = details.retryAfterMs;
    this.told = details.told ?? false;
    const isOwn = code === 'invalid' || code === 'denied';
    this.outcome = details.outcome ?? (isOwn ? 'bypass' : 'miss');
  }
}

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
