import type { LarderError } from '../engine/errors.ts';

/** Where an upstream does not say when to come again, milliseconds. */
const USUAL_MS = 1000;
/** A longer time is told to clients; Larder itself asks again after it. */
const LONGEST_MS = 86_400_000;
/** As RFC 9110 has them, 5.6.7: what Date.parse takes besides is none. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;

/** `Retry-After` (RFC 9110, 10.2.3) for errors that time mends; no header for others. */
export function retryAfter({ code, retryAfterMs }: LarderError): Record<string, string> {
  const busy = code === 'overloaded' || code === 'store_failed' || code === 'rate_limited';
  // on its way into the store
  const behind = code === 'not_cached' && retryAfterMs !== undefined;
  if (!busy && !behind) return {};
  return { 'Retry-After': String(Math.max(1, Math.ceil((retryAfterMs ?? 1000) / 1000))) };
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** When an answer says that it may be asked again, milliseconds from when it came: seconds, or a date. */
export function retryAfterMs(headers: Headers): number {
  return askedFor(headers) ?? USUAL_MS;
}

/** For how long an answer wants nobody to ask, milliseconds; 0 where it says nothing of that. */
export const holdMs = (headers: Headers): number => Math.min(askedFor(headers) ?? 0, LONGEST_MS);

function askedFor(headers: Headers): number | undefined {
  const value = first(headers['retry-after'])?.trim() ?? '';
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const at = dateMs(value);
  // by the clock of who says it, where that is told
  return at === undefined
    ? undefined
    : Math.max(0, at - (dateMs(first(headers['date'])) ?? Date.now()));
}

function dateMs(value = ''): number | undefined {
  if (!HTTP_DATE.test(value)) return undefined;
  const ms = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}

const first = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value;
