// How replicas hand each other the bytes of a fill while it grows: a path of its own, for who knows the shared secret.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { Agent } from 'undici';
import type { Body, ContentRecord, PeerFill, Peers } from '../engine/ports.ts';
import type { DataPlane, RequestContext } from './context.ts';
import { sendSmall } from './send-small.ts';
import { ClientSignal, sendChunks } from './serve.ts';

const PATH = '/peer/fills/';
const SIZE = 'x-larder-size';
/** Comes behind the body: what was checked. */
const RECORD = 'x-larder-record';
const CONNECT_TIMEOUT_MS = 2000;

export class PeerClient implements Peers {
  readonly #secret: string;
  /** Never through a proxy. A silent leader is left when its lease ends. */
  readonly #agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  constructor(secret: string) {
    this.#secret = secret;
  }

  async open(address: string, key: string, signal: AbortSignal): Promise<PeerFill> {
    const url = new URL(PATH + encodeURIComponent(key), address);
    const { statusCode, headers, body, trailers } = await this.#agent.request({
      origin: url.origin,
      path: url.pathname,
      method: 'GET',
      headers: { authorization: `Bearer ${this.#secret}` },
      signal,
    });
    // a body that is left tells nobody; readers see its error by reading
    body.on('error', () => undefined);
    if (statusCode !== 200) {
      body.destroy();
      throw new Error(`the replica at ${url.host} answers ${String(statusCode)}`);
    }
    const size = headers[SIZE];
    return {
      size: typeof size === 'string' ? Number(size) : undefined,
      body,
      record: () => JSON.parse(decodeURIComponent(trailers[RECORD] ?? '')) as ContentRecord,
    };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** A fill that this replica leads. */
export interface LedFill {
  /** What was checked, as soon as it is. */
  readonly record: ContentRecord | undefined;
  join(signal: AbortSignal): Promise<{ body: Body }>;
}

/** Answers the other replicas. `find`: the fill of a key, while it runs. */
export function peerPlane(secret: string, find: (key: string) => LedFill | undefined): DataPlane {
  const expected = digest(`Bearer ${secret}`);
  return (req, res, path, context) => {
    if (!path.startsWith(PATH)) return false;
    context.protocol = 'peer';
    const { authorization = '' } = req.headers;
    const fill = find(keyOf(path));
    if (!timingSafeEqual(digest(authorization), expected)) refuse(res, context, 401);
    else if (fill === undefined) refuse(res, context, 404);
    else void stream(res, context, fill);
    return true;
  };
}

async function stream(res: ServerResponse, context: RequestContext, fill: LedFill): Promise<void> {
  const client = new ClientSignal(res);
  try {
    const { body } = await fill.join(client.signal);
    try {
      res.writeHead(200, {
        'X-Request-Id': context.requestId,
        'X-Larder-Cache': context.outcome,
        'Cache-Control': 'no-store',
        'Content-Type': 'application/octet-stream',
        ...(body.size !== undefined && { [SIZE]: body.size }),
        Trailer: RECORD,
      });
      await sendChunks(res, context, body.read(0, undefined, client.signal));
      res.addTrailers({ [RECORD]: encodeURIComponent(JSON.stringify(fill.record)) });
      res.end();
    } finally {
      body.close();
    }
  } catch {
    // what the fill failed with, the lock service tells
    res.destroy();
  }
}

function refuse(res: ServerResponse, context: RequestContext, status: number): void {
  const headers = {
    'Cache-Control': 'no-store',
    ...(status === 401 && { 'WWW-Authenticate': 'Bearer' }),
  };
  sendSmall(res, context, { status, headers }, '', false);
}

function keyOf(path: string): string {
  try {
    return decodeURIComponent(path.slice(PATH.length));
  } catch {
    return '';
  }
}

/** Of equal length, whatever was sent. */
const digest = (text: string) => createHash('sha256').update(text).digest();
