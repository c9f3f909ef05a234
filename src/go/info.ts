import { LarderError } from '../engine/errors.ts';

/** Bytes of an .info. */
export const MAX_INFO = 1024 * 1024;

/** RFC 3339, as the go command writes it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** The fields of an .info answer that Larder reads. */
export interface Info {
  readonly version: string;
  /** When it was published, milliseconds since the epoch. */
  readonly timeMs: number | undefined;
}

/** Throws LarderError `bad_content` when it is none. */
export function parseInfo(bytes: Uint8Array): Info {
  let info: unknown;
  try {
    info = JSON.parse(Buffer.from(bytes).toString());
  } catch (cause) {
    throw new LarderError('bad_content', "the upstream's .info is not JSON", { cause });
  }
  const { Version: version, Time: time } = (info ?? {}) as { Version?: unknown; Time?: unknown };
  if (typeof version !== 'string')
    throw new LarderError('bad_content', "the upstream's .info has no Version");
  if (time !== undefined && (typeof time !== 'string' || !TIME.test(time))) {
    throw new LarderError('bad_content', "the upstream's .info has a Time that is none");
  }
  const timeMs = time === undefined ? Number.NaN : Date.parse(time);
  return { version, timeMs: Number.isNaN(timeMs) ? undefined : timeMs };
}
