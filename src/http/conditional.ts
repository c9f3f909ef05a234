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
  /** Exclusive; undefined: to the end, wherever that will be. */
  readonly end: number | undefined;
}

/**
 * The one range to answer with: `whole` when there is none, it is malformed, there are several, or If-Range says that
 * the client's bytes are others (§14.2: a server may ignore Range). `size` is undefined while it is not known: then a
 * range from the end cannot be told and the whole is sent.
 */
export function chooseRange(
  headers: RequestHeaders,
  size: number | undefined,
  validators: Validators,
): ByteRange | 'whole' | 'unsatisfiable' {
  const value = headers['range'];
  if (typeof value !== 'string' || !stillTheSame(headers['if-range'], validators)) return 'whole';
  const spec = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(value);
  const [first, last] = [spec?.[1] ?? '', spec?.[2] ?? ''];
  if (first === '' && last === '') return 'whole';
  if (first === '') return suffix(Number(last), size);
  const start = Number(first);
  const end = last === '' ? size : Number(last) + 1;
  if (end !== undefined && last !== '' && end <= start) return 'whole';
  if (size === undefined) return { start, end };
  return start >= size ? 'unsatisfiable' : { start, end: Math.min(end ?? size, size) };
}

function suffix(length: number, size: number | undefined): ByteRange | 'whole' | 'unsatisfiable' {
  if (size === undefined) return 'whole';
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
