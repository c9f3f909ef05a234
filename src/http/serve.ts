// Serves any stored or growing body: validators, one range, HEAD, and the client's own pace.
// After the first byte a failure only breaks the connection.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Body, ContentRecord } from '../engine/ports.ts';
import { chooseRange, notModified, type Validators } from './conditional.ts';
import type { RequestContext } from './context.ts';

export interface Representation {
  readonly body: Body;
  /** Undefined while unchecked: then there are no validators yet. */
  readonly record: ContentRecord | undefined;
  readonly contentType: string;
  readonly cacheControl: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Aborts when the client leaves; made only when somebody waits for something. */
export class ClientSignal {
  readonly #res: ServerResponse;
  #controller: AbortController | undefined;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = (this.#controller = new AbortController());
      const leave = () => {
        controller.abort(new Error('the client left'));
      };
      if (this.#res.closed) leave();
      else this.#res.once('close', leave);
    }
    return this.#controller.signal;
  }
}

/** Answers with the representation and closes its body. Never throws: what fails after the head breaks the connection. */
export async function serve(
  req: IncomingMessage,
  res: ServerResponse,
  context: RequestContext,
  client: ClientSignal,
  { body, record, contentType, cacheControl, headers }: Representation,
): Promise<void> {
  try {
    const validators = validatorsOf(record);
    const head: Record<string, string | number> = {
      'X-Request-Id': context.requestId,
      'X-Larder-Cache': context.outcome,
      'Content-Type': contentType,
      'Cache-Control': cacheControl,
      'Accept-Ranges': 'bytes',
      ...headers,
    };
    if (validators.etag !== undefined) head['ETag'] = validators.etag;
    if (record) head['Last-Modified'] = lastModified(record);
    if (notModified(req.headers, validators)) {
      delete head['Content-Type'];
      res.writeHead(304, head).end();
      return;
    }
    const { size } = body;
    const range = req.method === 'HEAD' ? 'whole' : chooseRange(req.headers, size, validators);
    if (range === 'unsatisfiable') {
      head['Content-Range'] = `bytes */${String(size)}`;
      head['Content-Length'] = 0;
      res.writeHead(416, head).end();
      return;
    }
    if (range === 'whole') {
      if (size !== undefined) head['Content-Length'] = size;
      res.writeHead(200, head);
      if (req.method === 'HEAD') res.end();
      else if (body.bytes) endWith(res, context, body.bytes);
      else await send(res, context, body.read(0, undefined, client.signal));
      return;
    }
    const { start, end } = range;
    if (end === undefined) {
      // an open range of something without a known length: the whole is the honest answer
      res.writeHead(200, head);
      await send(res, context, body.read(0, undefined, client.signal));
      return;
    }
    head['Content-Range'] =
      `bytes ${String(start)}-${String(end - 1)}/${size === undefined ? '*' : String(size)}`;
    head['Content-Length'] = end - start;
    res.writeHead(206, head);
    if (body.bytes) endWith(res, context, body.bytes.subarray(start, end));
    else await send(res, context, body.read(start, end, client.signal));
  } catch {
    res.destroy();
  } finally {
    body.close();
  }
}

function endWith(res: ServerResponse, context: RequestContext, bytes: Uint8Array): void {
  context.bytes += bytes.length;
  res.end(bytes);
}

/** A chunk is valid until the next is asked for: each is waited for until the kernel has it. */
async function send(
  res: ServerResponse,
  context: RequestContext,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  // the head goes out before the first chunk comes
  res.flushHeaders();
  for await (const chunk of chunks) {
    if (res.destroyed) return;
    context.bytes += chunk.length;
    await new Promise<void>((resolve, reject) => {
      const left = () => {
        reject(new Error('the client left'));
      };
      res.once('close', left);
      res.write(chunk, (error) => {
        res.off('close', left);
        if (error) reject(error);
        else resolve();
      });
    });
  }
  res.end();
}

const known = new WeakMap<ContentRecord, { validators: Validators; lastModified: string }>();
const none: Validators = { etag: undefined, modifiedMs: undefined };

function validatorsOf(record: ContentRecord | undefined): Validators {
  return record ? facts(record).validators : none;
}

const lastModified = (record: ContentRecord): string => facts(record).lastModified;

/** Made once a record, as a hit has no time for dates. */
function facts(record: ContentRecord) {
  let found = known.get(record);
  if (found === undefined) {
    const modifiedMs = Math.floor(Date.parse(record.time) / 1000) * 1000;
    found = {
      validators: { etag: `"${record.sha256}"`, modifiedMs },
      lastModified: new Date(modifiedMs).toUTCString(),
    };
    known.set(record, found);
  }
  return found;
}
