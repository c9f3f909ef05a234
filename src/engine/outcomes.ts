// What those who waited for somebody else's work are told of its end.

import { LarderError, type ErrorCode } from './errors.ts';
import type { Lease, LeaseRequest, Lock, Outcome } from './ports.ts';

/** Failures that say something of the upstream or its bytes. Any other is of one process alone. */
const SHARED: ReadonlySet<ErrorCode> = new Set([
  'not_found',
  'denied',
  'upstream_unauthorized',
  'upstream_forbidden',
  'upstream_failed',
  'upstream_timeout',
  'rate_limited',
  'bad_content',
  'checksum_mismatch',
]);

/** The outcome to tell; undefined for what others would have to find out for themselves. */
export function failedWith(error: unknown): Outcome | undefined {
  if (!(error instanceof LarderError) || !SHARED.has(error.code)) return undefined;
  const { code, message, retryAfterMs } = error;
  return { kind: 'failed', code, message, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/**
 * A lease, or undefined when what it is for is in the store now, as `present` says. Throws the failure that the holder told,
 * the signal's reason, and what `present` throws.
 */
export async function leaseUnless(
  present: () => Promise<boolean>,
  lock: Lock,
  request: LeaseRequest,
): Promise<Lease | undefined> {
  for (;;) {
    const turn = await lock.acquire(request);
    if (!('kind' in turn)) {
      if (!turn.waited) return turn;
      const done = await present().catch(async (error: unknown) => {
        await turn.release();
        throw error;
      });
      if (!done) return turn;
      await turn.release({ kind: 'stored' });
      return undefined;
    }
    if (turn.kind === 'failed') {
      const { code, message, retryAfterMs } = turn;
      const details = { told: true, ...(retryAfterMs !== undefined && { retryAfterMs }) };
      throw new LarderError(code, message, details);
    }
    if (await present()) return undefined;
  }
}
