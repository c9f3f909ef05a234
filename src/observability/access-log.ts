import type { CacheOutcome } from '../engine/errors.ts';
import type { Logger } from './logger.ts';

/** One request that is over. */
export interface AccessEntry {
  readonly protocol: string;
  readonly method: string;
  /** Still escaped, without the query, which may hold secrets. */
  readonly path: string;
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
  readonly ms: number;
  readonly outcome: CacheOutcome;
  readonly requestId: string;
  /** The other end's address, without its port. */
  readonly remote: string | undefined;
  readonly userAgent: string | undefined;
  /** Who was let in, where Larder asks; never a name that was not. */
  readonly user: string | undefined;
  /** The client left, or the transfer broke, before the answer was whole. */
  readonly aborted: boolean;
}

/** Longer paths and user agents are cut in the log. */
const longestText = 512;

const cut = (text: string): string =>
  text.length <= longestText ? text : `${text.slice(0, longestText)}…`;

/** Writes one info line a request. */
export function logRequest(logger: Logger, entry: AccessEntry): void {
  if (!logger.isLevelEnabled('info')) return;
  const line = {
    protocol: entry.protocol,
    method: entry.method,
    path: cut(entry.path),
    status: entry.status,
    bytes: entry.bytes,
    ms: Math.round(entry.ms * 1000) / 1000,
    outcome: entry.outcome,
    requestId: entry.requestId,
    remote: entry.remote,
    userAgent: entry.userAgent === undefined ? undefined : cut(entry.userAgent),
    user: entry.user,
  };
  logger.info(entry.aborted ? { ...line, aborted: true } : line, 'request');
}
