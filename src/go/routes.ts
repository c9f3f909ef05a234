// The GOPROXY protocol (go.dev/ref/mod#goproxy-protocol): a request's path into a name, the name into an answer.
// What is not its own is left to others: the function returns false.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Listener, Served } from '../engine/ports.ts';
import type { PullThrough, ServedAnswer } from '../engine/pull-through.ts';
import type { DataPlane, RequestContext } from '../http/context.ts';
import { ClientAsk } from '../http/client-ask.ts';
import { refuseLoop } from '../http/loop.ts';
import { answerable, type OnMistake } from '../http/mistakes.ts';
import { ClientSignal, serve } from '../http/serve.ts';
import { answerRequest, type AnswerParts } from './answer-requests.ts';
import { FileRequest, type ContentParts } from './content.ts';
import { sendError, sendText } from './errors.ts';
import type { VersionIndex } from './index-feed.ts';
import { parseGoPath, type GoFileName, type GoName } from './names.ts';
import type { SumdbRoutes } from './sumdb-routes.ts';

const CACHED_ONLY = '/cached-only/';
const IMMUTABLE = 'max-age=31536000, immutable';
const TEXT = 'text/plain; charset=utf-8';
const TYPES = { info: 'application/json', mod: TEXT, zip: 'application/zip' } as const;

export interface GoParts {
  readonly pull: PullThrough;
  readonly content: Omit<ContentParts, 'readAhead'>;
  readonly answers: AnswerParts;
  readonly sumdb: SumdbRoutes;
  readonly index: VersionIndex;
  readonly readAhead: 'none' | 'mod' | 'all';
  /** This server's name in `Via`. */
  readonly via: string;
  readonly listener: Required<Listener>;
  /** Told of what should not have happened. */
  readonly onMistake: OnMistake;
}

export function goPlane(parts: GoParts): DataPlane {
  const content: ContentParts = {
    ...parts.content,
    readAhead: (name) => {
      if (parts.readAhead === 'none') return;
      ahead({ ...name, ext: 'mod' });
      if (parts.readAhead === 'all') ahead({ ...name, ext: 'zip' });
    },
  };
  const ahead = (name: GoFileName) => {
    const ask = { fetch: true, signal: new AbortController().signal };
    // nobody waits: a failure is the fill's own, and told by its listener
    parts.pull.content(new FileRequest(content, name), ask).then(
      ({ body }) => {
        body.close();
      },
      () => undefined,
    );
  };

  async function answer(
    req: IncomingMessage,
    res: ServerResponse,
    path: string,
    context: RequestContext,
  ): Promise<void> {
    const client = new ClientSignal(res);
    const head = req.method === 'HEAD';
    try {
      refuseLoop(req, parts.via);
      const fetch = !path.startsWith(CACHED_ONLY);
      const own = fetch ? path : path.slice(CACHED_ONLY.length - 1);
      const ask = new ClientAsk(fetch, client);
      if (path === '/index') {
        await parts.index.serve(req, res, context);
        return;
      }
      if (own.startsWith('/sumdb/')) {
        await parts.sumdb.serve(req, res, own, context, client, fetch);
        return;
      }
      const name = parseGoPath(own);
      if (name === undefined) {
        sendText(res, context, 404, 'not found: no path of the GOPROXY protocol', head);
        return;
      }
      if (name.kind === 'file') {
        const request = new FileRequest(content, name);
        const served = await (head
          ? parts.pull.head(request, ask)
          : parts.pull.content(request, ask));
        await send(req, res, context, client, name, served);
        return;
      }
      const served = await parts.pull.answer(answerRequest(parts.answers, name), ask);
      await send(req, res, context, client, name, served);
    } catch (error) {
      if (res.closed) return;
      sendError(res, context, answerable(error, context, parts.onMistake), head);
    }
  }

  return (req, res, path, context) => {
    if (!isGoPath(path)) return false;
    context.protocol = 'go';
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      sendText(res, context, 405, 'only GET and HEAD are for this path', false, {
        Allow: 'GET, HEAD',
      });
      return true;
    }
    void answer(req, res, path, context);
    return true;
  };
}

/** Anything with an `@` is meant for this protocol, however malformed. */
export const isGoPath = (path: string): boolean =>
  path.includes('/@') ||
  path === '/index' ||
  path.startsWith('/sumdb/') ||
  path.startsWith(CACHED_ONLY);

async function send(
  req: IncomingMessage,
  res: ServerResponse,
  context: RequestContext,
  client: ClientSignal,
  name: GoName,
  served: Served | ServedAnswer,
): Promise<void> {
  context.outcome = served.outcome;
  const contentType =
    name.kind === 'file' ? TYPES[name.ext] : name.kind === 'list' ? TEXT : TYPES.info;
  const cacheControl =
    'maxAgeMs' in served ? `max-age=${String(Math.floor(served.maxAgeMs / 1000))}` : IMMUTABLE;
  const { body, record, url } = served;
  // small files are worth no second request
  const elsewhere = url && name.kind === 'file' && name.ext === 'zip' ? { url } : {};
  const stale =
    served.outcome === 'stale' ? { headers: { Warning: '110 larder "Response is Stale"' } } : {};
  await serve(req, res, context, client, {
    body,
    record,
    contentType,
    cacheControl,
    ...elsewhere,
    ...stale,
  });
}
