// Serves any stored or growing body: validators, one range, HEAD, and the client's own pace.
// After the first byte a failure only breaks the connection.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Body, ContentRecord, Redirected } from '../engine/ports.ts';
import { chooseRange, notModified, type Validators } from './conditional.ts';
import type { RequestContext } from './context.ts';

export interface Representation {
  readonly body: Body;
  /** Undefined while unchecked: then there are no validators yet. */
  readonly record: ContentRecord | undefined;
  readonly contentType: string;
  /** How long it stays fresh, as in `Cache-Control`; whose caches may keep it is decided here. */
  readonly cacheControl: string;
  /** What the protocol knows its bytes by, in quotes; without it, their SHA-256. */
  readonly etag?: string;
  /** Where a client may read it by itself, instead of here. */
  readonly url?: () => Promise<string>;
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
  representation: Representation,
): Promise<void> {
  const { body } = representation;
  try {
    const validators = validatorsOf(representation);
    const isHead = req.method === 'HEAD';
    const part = notModified(req.headers, validators)
      ? 'unchanged'
      : isHead
        ? 'whole'
        : chooseRange(req.headers, body.size, validators);
    if (representation.url && !isHead && part !== 'unchanged') {
      redirect(res, context, representation, await representation.url());
      return;
    }
    writeHead(res, context, representation, part);
    if (isHead || part === 'unchanged' || part === 'unsatisfiable') {
      res.end();
      return;
    }
    const { start, end } = part === 'whole' ? { start: 0, end: body.size } : part;
    if (body.bytes)
      endWith(res, context, part === 'whole' ? body.bytes : body.bytes.subarray(start, end));
    else {
      const length = end === undefined ? undefined : end - start;
      await send(res, context, body.read(start, end, client.signal), length);
    }
  } catch {
    breakOff(req, res, body.size);
  } finally {
    body.close();
  }
}

/** An HTTP/1.0 client takes any orderly end for the end of a body without a length: a reset it does not. */
function breakOff(req: IncomingMessage, res: ServerResponse, size: number | undefined): void {
  const { socket } = req;
  if (req.httpVersion === '1.0' && size === undefined && !('encrypted' in socket))
    socket.resetAndDestroy();
  res.destroy();
}

/** Answers that the client finds it elsewhere, for now. */
export function sendRedirect(
  res: ServerResponse,
  context: RequestContext,
  { outcome, location }: Redirected,
  headers: Readonly<Record<string, string>> = {},
): void {
  context.outcome = outcome;
  writeRedirect(res, context, 302, location, headers);
}

/** The address has a signature that reads for a while, and does so without a `Range` too: nobody is to keep it. */
function redirect(
  res: ServerResponse,
  context: RequestContext,
  { headers }: Representation,
  location: string,
): void {
  context.outcome = 'redirect';
  writeRedirect(res, context, 307, location, headers);
}

function writeRedirect(
  res: ServerResponse,
  context: RequestContext,
  status: number,
  location: string,
  headers: Readonly<Record<string, string>> | undefined,
): void {
  res.writeHead(status, {
    'X-Request-Id': context.requestId,
    'X-Larder-Cache': context.outcome,
    'Cache-Control': 'no-store',
    'Content-Length': 0,
    ...headers,
    Location: location,
  });
  res.end();
}

type Part = ReturnType<typeof chooseRange> | 'unchanged';

/** A flat list of names and values: Node writes it as it is, which an object is not. */
function writeHead(
  res: ServerResponse,
  context: RequestContext,
  representation: Representation,
  part: Part,
): void {
  const { body, record, contentType, cacheControl, etag, headers } = representation;
  const head = ['X-Request-Id', context.requestId, 'X-Larder-Cache', context.outcome];
  head.push('Cache-Control', whose(context) + cacheControl, 'Accept-Ranges', 'bytes');
  if (part !== 'unchanged') head.push('Content-Type', contentType);
  if (record) {
    const { validators, lastModified } = facts(record, etag);
    head.push('ETag', validators.etag, 'Last-Modified', lastModified);
  } else if (etag !== undefined) head.push('ETag', etag);
  if (headers) for (const name in headers) head.push(name, headers[name] ?? '');
  const size = body.size === undefined ? undefined : String(body.size);
  let status = 200;
  if (part === 'unchanged') status = 304;
  else if (part === 'unsatisfiable') {
    status = 416;
    head.push('Content-Range', `bytes */${String(size)}`, 'Content-Length', '0');
  } else if (part === 'whole') {
    if (size !== undefined) head.push('Content-Length', size);
  } else {
    status = 206;
    const { start, end } = part;
    head.push('Content-Range', `bytes ${String(start)}-${String(end - 1)}/${String(size)}`);
    head.push('Content-Length', String(end - start));
  }
  res.writeHead(status, head);
}

/** What one user may read is no other's to have from a cache between (RFC 9111, 3.5). */
const whose = ({ user }: RequestContext) => (user === undefined ? 'public, ' : 'private, ');

/** Bodies up to this many bytes go out in one piece with the head. */
const ONE_PIECE = 16 * 1024;
const pieces = new WeakMap<Uint8Array, string>();

/** Node joins head and body to one write only when both are strings; latin1 keeps every byte as it is. */
function endWith(res: ServerResponse, context: RequestContext, bytes: Uint8Array): void {
  context.bytes += bytes.length;
  if (bytes.length > ONE_PIECE) {
    res.end(bytes);
    return;
  }
  let piece = pieces.get(bytes);
  if (piece === undefined) {
    piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    pieces.set(bytes, piece);
  }
  res.end(piece, 'latin1');
}

/**
 * Sends a body of which the head is written. Throws when the chunks are not as long as that has announced: a client would
 * wait for ever, or take the rest for another answer.
 */
async function send(
  res: ServerResponse,
  context: RequestContext,
  chunks: AsyncIterable<Uint8Array>,
  length: number | undefined,
): Promise<void> {
  const before = context.bytes;
  await sendChunks(res, context, chunks, length);
  if (res.destroyed) return;
  if (context.bytes - before < (length ?? 0)) throw new Error('fewer bytes than announced');
  res.end();
}

/**
 * A chunk is valid until the next is asked for: each is waited for until the kernel has it. Throws when the client leaves,
 * what the chunks throw, and when there are more bytes than `most`. The caller ends the answer.
 */
export async function sendChunks(
  res: ServerResponse,
  context: RequestContext,
  chunks: AsyncIterable<Uint8Array>,
  most = Infinity,
): Promise<void> {
  // the head goes out before the first chunk comes
  res.flushHeaders();
  let left = most;
  for await (const chunk of chunks) {
    if (res.destroyed) return;
    left -= chunk.length;
    if (left < 0) throw new Error('more bytes than announced');
    context.bytes += chunk.length;
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        reject(new Error('the client left'));
      };
      res.once('close', leave);
      res.write(chunk, (error) => {
        res.off('close', leave);
        if (error) reject(error);
        else resolve();
      });
    });
  }
}

interface Facts {
  readonly validators: { readonly etag: string; readonly modifiedMs: number };
  readonly lastModified: string;
}

const known = new WeakMap<ContentRecord, Facts>();
const none: Validators = { etag: undefined, modifiedMs: undefined };

function validatorsOf({ record, etag }: Representation): Validators {
  if (record) return facts(record, etag).validators;
  return etag === undefined ? none : { etag, modifiedMs: undefined };
}

/** Made once a record, as a hit has no time for dates. */
function facts(record: ContentRecord, etag = `"${record.sha256}"`): Facts {
  let found = known.get(record);
  if (found === undefined) {
    const modifiedMs = Math.floor(Date.parse(record.time) / 1000) * 1000;
    const lastModified = new Date(modifiedMs).toUTCString();
    found = { validators: { etag, modifiedMs }, lastModified };
    known.set(record, found);
  }
  return found;
}
