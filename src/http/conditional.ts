// Conditions and ranges of a request (RFC 9110 §13, §14) against one representation.

/** A validator pair; `etag` with its quotes, always strong. */
export interface Validators {
  readonly etag: string | undefined;
  /** Milliseconds since the epoch, whole seconds. */
  readonly modifiedMs: number | undefined;
}

export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Whether the client has these bytes already: 304. If-None-Match goes before If-Modified-Since (§13.2.2). */
export function notModified(headers: RequestHeaders, { etag, modifiedMs }: Validators): boolean {
  const match = headers['if-none-match'];
  if (typeof match === 'string') return matches(match, etag);
  const since = headers['if-modified-since'];
  if (typeof since !== 'string' || modifiedMs === undefined) return false;
  return modifiedMs <= Date.parse(since);
}

/** If-None-Match compares weakly (§13.1.2). */
function matches(list: string, etag: string | undefined): boolean {
  if (list.trim() === '*') return true;
  if (etag === undefined) return false;
  return list.split(',').some((entry) => entry.trim().replace(/^W\//, '') === etag);
}

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/**
 * The one range to answer with: `whole` when there is none, it is malformed, there are several, or If-Range says that
 * the client's bytes are others (§14.2: a server may ignore Range). Of something whose size is not yet known (undefined)
 * the whole is sent too: whether it has a range cannot be told before its end.
 */
export function chooseRange(
  headers: RequestHeaders,
  size: number | undefined,
  validators: Validators,
): ByteRange | 'whole' | 'unsatisfiable' {
  const value = headers['range'];
  if (typeof value !== 'string' || size === undefined) return 'whole';
  if (!stillTheSame(headers['if-range'], validators)) return 'whole';
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(value) ?? [];
  if (first !== '') return between(Number(first), last === '' ? Infinity : Number(last), size);
  return last === '' ? 'whole' : suffix(Number(last), size);
}

function between(start: number, last: number, size: number): ReturnType<typeof chooseRange> {
  if (last < start) return 'whole';
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(last + 1, size) };
}

function suffix(length: number, size: number): ReturnType<typeof chooseRange> {
  if (length === 0 || size === 0) return 'unsatisfiable';
  return { start: Math.max(0, size - length), end: size };
}

/** If-Range compares strongly; a date must be the very one (§13.1.5). */
function stillTheSame(
  ifRange: string | string[] | undefined,
  { etag, modifiedMs }: Validators,
): boolean {
  if (ifRange === undefined) return true;
  if (typeof ifRange !== 'string') return false;
  if (ifRange.startsWith('"') || ifRange.startsWith('W/')) return ifRange === etag;
  return modifiedMs !== undefined && Date.parse(ifRange) === modifiedMs;
}
