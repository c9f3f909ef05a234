import type { ErrorCode } from './errors.ts';

/** How long an answer may be used, in milliseconds. */
export interface Freshness {
  readonly ttlMs: number;
  /** After the TTL it may still be served this long while one refresh runs behind. */
  readonly staleWhileRevalidateMs: number;
  /** After the TTL it may be served this long when the upstream fails. */
  readonly staleIfErrorMs: number;
}

export interface AnswerAge {
  /** When the upstream last confirmed it, milliseconds since the epoch. */
  readonly confirmedAt: number;
  /** When the upstream last failed to, later than `confirmedAt`. */
  readonly failedAt?: number;
  /** Known to be out of date before its time: the upstream is asked first. */
  readonly expired?: boolean;
}

/** A dead upstream costs one time-out in this time at least, even with a TTL of 0. */
const MIN_WINDOW_MS = 1000;

/**
 * fresh: serve it. failing: serve it as stale, a check has failed just now. refresh: serve it as stale and refresh
 * behind. expired: ask the upstream first.
 */
export type Verdict = 'fresh' | 'failing' | 'refresh' | 'expired';

export function judge(age: AnswerAge, freshness: Freshness, now: number): Verdict {
  // a clock that was set back must not keep an answer for ever
  const since = Math.abs(now - age.confirmedAt);
  if (since < freshness.ttlMs && !age.expired) return 'fresh';
  if (age.failedAt !== undefined && usableOnError(age, freshness, now)) {
    const window = Math.max(freshness.ttlMs, MIN_WINDOW_MS);
    if (Math.abs(now - age.failedAt) < window) return 'failing';
  }
  const refreshable = since < freshness.ttlMs + freshness.staleWhileRevalidateMs && !age.expired;
  return refreshable ? 'refresh' : 'expired';
}

/** Whether the answer is young enough to stand in for an upstream that fails. */
export const usableOnError = (age: AnswerAge, freshness: Freshness, now: number): boolean =>
  Math.abs(now - age.confirmedAt) < freshness.ttlMs + freshness.staleIfErrorMs;

/** Stale by cause: trouble may be bridged; a refusal may not (access may have been withdrawn), nor an absence. */
export function mayServeStale(code: ErrorCode): boolean {
  return (
    code === 'upstream_failed' ||
    code === 'upstream_timeout' ||
    code === 'rate_limited' ||
    code === 'overloaded' ||
    code === 'bad_content'
  );
}
