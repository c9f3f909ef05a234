import type { IncomingMessage, ServerResponse } from 'node:http';

import type { CacheOutcome } from '../engine/errors.ts';

/** What is known of one request beside the request itself: made by the server, filled in by whoever answers. */
export interface RequestContext {
  /** To be sent as `X-Request-Id`; printable ASCII, at most 128 characters. */
  readonly requestId: string;
  /** Whose request it is, where Larder asks. Set before its plane sees it. */
  user?: string | undefined;
  /** Where what is served came from first, as the record says; undefined where that does not matter. */
  upstream?: string | undefined;
  /** For logs and metrics: `go`, `oci`, `control`. One of a few fixed words. */
  protocol: string;
  /** The word for logs, metrics and `X-Larder-Cache`: `bypass` until who answers sets it. */
  outcome: CacheOutcome;
  /** Body bytes handed to the connection so far. Who writes the body counts. */
  bytes: number;
}

/**
 * Answers the requests of one protocol, with `X-Request-Id` and `X-Larder-Cache` on every answer. Returns false, and has touched nothing, when the path is not its own.
 * `path` is as it came, still escaped, without the query. What it starts in the background it also catches.
 */
export type DataPlane = (
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  context: RequestContext,
) => boolean;
