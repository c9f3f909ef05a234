import type { ServerResponse } from 'node:http';
import type { RequestContext } from './context.ts';

/** Answers with a whole body that is no representation of anything stored: an error, or a word of the server's own. */
export function sendSmall(
  res: ServerResponse,
  context: RequestContext,
  { status = 200, headers }: { status?: number; headers: Readonly<Record<string, string>> },
  text: string,
  head: boolean,
): void {
  const body = Buffer.from(text);
  res.writeHead(status, {
    'X-Request-Id': context.requestId,
    'X-Larder-Cache': context.outcome,
    'Content-Length': body.length,
    ...headers,
  });
  if (!head) context.bytes += body.length;
  res.end(head ? undefined : body);
}
