import type { LarderError } from '../engine/errors.ts';

/** `Retry-After` (RFC 9110, 10.2.3) for errors that time mends; no header for others. */
export function retryAfter({ code, retryAfterMs }: LarderError): Record<string, string> {
  const busy = code === 'overloaded' || code === 'store_failed' || code === 'rate_limited';
  // on its way into the store
  const behind = code === 'not_cached' && retryAfterMs !== undefined;
  if (!busy && !behind) return {};
  return { 'Retry-After': String(Math.max(1, Math.ceil((retryAfterMs ?? 1000) / 1000))) };
}
