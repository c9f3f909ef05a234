import type { ServerResponse } from 'node:http';
import type { ErrorCode, LarderError } from '../engine/errors.ts';
import type { RequestContext } from '../http/context.ts';
import { retryAfter } from '../http/retry-after.ts';
import { sendSmall } from '../http/send-small.ts';
import { InvalidNameError, type OciResource } from './names.ts';

/** Codes of the distribution specification's error envelope, and Docker's own for too many requests. */
type OciCode =
  | 'MANIFEST_UNKNOWN'
  | 'BLOB_UNKNOWN'
  | 'NAME_UNKNOWN'
  | 'NAME_INVALID'
  | 'TAG_INVALID'
  | 'DIGEST_INVALID'
  | 'DENIED'
  | 'UNAUTHORIZED'
  | 'UNSUPPORTED'
  | 'TOOMANYREQUESTS'
  | 'UNKNOWN';

/** A registry that refuses and one that does not have it look alike: whoever may not see it must not learn that it is there. */
const STATUSES: Readonly<Record<ErrorCode, number>> = {
  not_found: 404,
  not_cached: 404,
  denied: 403,
  upstream_unauthorized: 404,
  upstream_forbidden: 404,
  upstream_failed: 502,
  upstream_timeout: 504,
  rate_limited: 429,
  bad_content: 502,
  checksum_mismatch: 502,
  overloaded: 503,
  store_failed: 503,
  invalid: 400,
  unsupported: 501,
};

/** What is said instead of an upstream's words, in which there may be URLs and names of token servers. */
const SENTENCES: Partial<Record<ErrorCode, string>> = {
  upstream_unauthorized: 'not found',
  upstream_forbidden: 'not found',
  upstream_failed: 'the registry behind this mirror cannot be reached, or answers with an error',
  upstream_timeout: 'fetch timed out: the registry behind this mirror is too slow',
  rate_limited: 'the registry behind this mirror is asked too often; try again later',
  store_failed: 'the store of this mirror cannot be used',
};

/**
 * Answers with the envelope; where the head is out already, breaks the connection. `rateStatus`: of a registry that is asked
 * too often, for clients who go elsewhere on 503 alone.
 */
export function sendOciError(
  res: ServerResponse,
  context: RequestContext,
  error: LarderError,
  resource: OciResource['kind'] | undefined,
  head: boolean,
  rateStatus: 429 | 503 = 429,
): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  context.outcome = error.outcome;
  const status = error.code === 'rate_limited' ? rateStatus : STATUSES[error.code];
  const sentence = SENTENCES[error.code] ?? error.message;
  sendEnvelope(
    res,
    context,
    status,
    codeOf(error, status, resource),
    sentence,
    head,
    retryAfter(error),
  );
}

/** Answers with one error in the specification's envelope. */
export function sendEnvelope(
  res: ServerResponse,
  context: RequestContext,
  status: number,
  code: OciCode,
  message: string,
  head: boolean,
  headers: Readonly<Record<string, string>> = {},
): void {
  const own = {
    'Docker-Distribution-API-Version': 'registry/2.0',
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
  };
  const envelope = JSON.stringify({ errors: [{ code, message }] });
  sendSmall(res, context, { status, headers: { ...own, ...headers } }, `${envelope}\n`, head);
}

function codeOf(
  error: LarderError,
  status: number,
  resource: OciResource['kind'] | undefined,
): OciCode {
  if (error instanceof InvalidNameError) return error.ociCode;
  if (status === 400) return 'NAME_INVALID';
  if (status === 403) return 'DENIED';
  if (error.code === 'rate_limited') return 'TOOMANYREQUESTS';
  if (status !== 404) return 'UNKNOWN';
  if (resource === 'manifest') return 'MANIFEST_UNKNOWN';
  return resource === 'blob' ? 'BLOB_UNKNOWN' : 'NAME_UNKNOWN';
}
