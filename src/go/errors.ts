import type { ServerResponse } from 'node:http';
import type { ErrorCode, LarderError } from '../engine/errors.ts';
import type { RequestContext } from '../http/context.ts';
import { retryAfter } from '../http/retry-after.ts';
import { sendSmall } from '../http/send-small.ts';

/** DESIGN §2.2, Go side. Never 404 where the client must not go on to its next proxy with the name. */
const statuses: Readonly<Record<ErrorCode, number>> = {
  not_found: 404,
  not_cached: 404,
  denied: 403,
  upstream_unauthorized: 502,
  upstream_forbidden: 403,
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

/** The go command shows a text only when it is printable, at most 8 lines and 600 bytes. */
const MAX_LINES = 8;
const MAX_BYTES = 600;

/** Answers with an error; where the head is out already, breaks the connection. */
export function sendError(
  res: ServerResponse,
  context: RequestContext,
  error: LarderError,
  head: boolean,
): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  context.outcome = error.outcome;
  const retry = retryAfter(error);
  sendText(res, context, statuses[error.code], error.message, head, retry);
}

/** A plain-text answer that the go command shows. */
export function sendText(
  res: ServerResponse,
  context: RequestContext,
  status: number,
  text: string,
  head: boolean,
  headers: Readonly<Record<string, string>> = {},
): void {
  const own = { 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' };
  sendSmall(
    res,
    context,
    { status, headers: { ...own, ...headers } },
    `${printable(text)}\n`,
    head,
  );
}

function printable(text: string): string {
  const clean = text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{C}\n\t]/gu, '?')
    .trim()
    .split('\n')
    .slice(0, MAX_LINES)
    .join('\n');
  let bytes = Buffer.from(clean);
  if (bytes.length < MAX_BYTES) return clean;
  bytes = bytes.subarray(0, MAX_BYTES - 8);
  return `${bytes.toString().replace(/\uFFFD+$/, '')}…`;
}
