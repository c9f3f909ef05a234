// The GOPROXY protocol (go.dev/ref/mod#goproxy-protocol): a request's path into a name, the name into an answer.
// What is not its own is left to others: the function returns false.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { LarderError } from '../engine/errors.ts';
import type { ContentRequest } from '../engine/fill.ts';
import type { Clock, Served } from '../engine/ports.ts';
import {
  notCached,
  type Ask,
  type PullThrough,
  type ServedAnswer,
} from '../engine/pull-through.ts';
import type { DataPlane, RequestContext } from '../http/context.ts';
import { orAborted } from '../http/deadline.ts';
import { refuseLoop } from '../http/loop.ts';
import { within, type Announcements } from '../engine/purge-plan.ts';
import { answerable, type OnMistake } from '../http/mistakes.ts';
import { ClientSignal, sendRedirect, serve } from '../http/serve.ts';
import { AllowedAnswers } from './allowed-answers.ts';
import { AllowedLists } from './allowed-lists.ts';
import { answerRequest, type AnswerParts } from './answer-requests.ts';
import { FileRequest, type ContentParts } from './content.ts';
import { sendError, sendText } from './errors.ts';
import { GoGate, type GoDecision } from './gate.ts';
import type { VersionIndex } from './index-feed.ts';
import { parseGoPath, type GoAnswerName, type GoFileName, type GoName } from './names.ts';
import type { GoPolicy } from './rules.ts';
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
  readonly policy: GoPolicy;
  /** Why nothing is ever fetched, in the words for a client, where that is so. */
  readonly offline: string | undefined;
  readonly clock: Clock;
  /** How long a list waits for what rules want to know of its versions, milliseconds. */
  readonly patienceMs: number;
  /** Of purges. */
  readonly announcements: Pick<Announcements, 'subscribe'>;
  /** This server's name in `Via`. */
  readonly via: string;
  /** Told of what should not have happened. */
  readonly onMistake: OnMistake;
}

export interface GoPlane {
  readonly plane: DataPlane;
  /**
   * Brings a file into the store for whoever does not read it, by the rules of those who do: whether it was fetched just now.
   * Throws LarderError, and the signal's reason.
   */
  readonly keep: (name: GoFileName, signal: AbortSignal) => Promise<boolean>;
}

export function goPlane(parts: GoParts): GoPlane {
  const { pull, policy } = parts;
  const content: ContentParts = {
    ...parts.content,
    readAhead: (name) => {
      if (parts.readAhead === 'none') return;
      ahead({ ...name, ext: 'mod' });
      if (parts.readAhead === 'all') ahead({ ...name, ext: 'zip' });
    },
  };
  const requestOf = (name: GoFileName) => new FileRequest(content, name);
  // what is fetched to judge is not what somebody wants
  const alone = { ...content, readAhead: () => undefined };
  const judged = (name: GoFileName) => new FileRequest(alone, name);
  const listOf = (module: string) =>
    answerRequest(parts.answers, { kind: 'list', module }, policy.decide({ module }));
  const { offline, clock } = parts;
  const gate = new GoGate({ policy, offline, clock, pull, requestOf: judged });
  const lists = new AllowedLists({ gate, patienceMs: parts.patienceMs });
  parts.announcements.subscribe((scope) => {
    gate.forget(within(scope));
    lists.forget();
  });
  const allowed = new AllowedAnswers({ gate, lists, pull, listOf, requestOf: judged });

  /** Fetches what nobody waits for. */
  function ahead(name: GoFileName): void {
    const ask: Ask = { mode: 'sync', signal: new AbortController().signal };
    const request: ContentRequest = requestOf(name);
    const fetched = gate.check(name, ask).then(() => pull.content(request, ask));
    // a failure is the fill's own, and told by its listener; what may not enter is not fetched
    fetched.then(
      ({ body }) => {
        body.close();
      },
      () => undefined,
    );
  }

  async function keep(name: GoFileName, signal: AbortSignal): Promise<boolean> {
    const { mode } = gate.admit(name);
    const isForbidden = offline !== undefined || mode === 'none';
    const ask: Ask = { mode: isForbidden ? 'none' : 'sync', why: offline, signal };
    const wasJudged = await gate.check(name, ask);
    const request: ContentRequest = requestOf(name);
    const { body, outcome } = await pull.content(request, ask);
    body.close();
    if (outcome === 'hit') return wasJudged;
    if (await orAborted(pull.fill(request), signal)) return true;
    throw new LarderError('store_failed', 'it was fetched, and could not be kept');
  }

  async function file(exchange: Exchange, name: GoFileName, decision: GoDecision): Promise<void> {
    const { req, res, context, client, ask } = exchange;
    const { module, version } = name;
    const { minAgeMs } = decision;
    if (minAgeMs > 0 && !gate.isKnownOld(module, version, minAgeMs)) {
      const isNew = await oldEnough(name, ask);
      if (isNew && name.ext === 'info') content.readAhead(name);
    }
    const request = requestOf(name);
    const served = await (req.method === 'HEAD'
      ? pull.head(request, ask)
      : pull.content(request, ask));
    if ('location' in served) sendRedirect(res, context, served);
    else await send(req, res, context, client, name, served);
  }

  /**
   * True when its .info was fetched to know it. Throws LarderError `denied`; `not_cached` where its age is not known and
   * may not be asked for now.
   */
  async function oldEnough(name: GoFileName, ask: Ask): Promise<boolean> {
    try {
      return await gate.check(name, ask);
    } catch (error) {
      const unknown = error instanceof LarderError && error.code === 'not_cached';
      if (!unknown || ask.mode !== 'async') throw error;
      ahead(name);
      throw notCached(ask);
    }
  }

  async function answer(
    exchange: Exchange,
    name: GoAnswerName,
    decision: GoDecision,
  ): Promise<void> {
    const { req, res, context, client, ask } = exchange;
    const served = await pull.answer(answerRequest(parts.answers, name, decision), ask);
    if ('location' in served) sendRedirect(res, context, served);
    else {
      const told = decision.selective ? await allowed.of(name, served, ask) : served;
      await send(req, res, context, client, name, told);
    }
  }

  async function handle(
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
      if (path === '/index') {
        await parts.index.serve(req, res, context, (target) => gate.allows(target));
        return;
      }
      if (own.startsWith('/sumdb/')) {
        await parts.sumdb.serve(req, res, own, context, client, gate.ask(fetch, client));
        return;
      }
      const name = parseGoPath(own);
      if (name === undefined) {
        sendText(res, context, 404, 'not found: no path of the GOPROXY protocol', head);
        return;
      }
      const decision = gate.admit(name);
      const exchange = { req, res, context, client, ask: gate.ask(fetch, client, decision.mode) };
      if (name.kind === 'file') await file(exchange, name, decision);
      else await answer(exchange, name, decision);
    } catch (error) {
      if (res.closed) return;
      sendError(res, context, answerable(error, context, parts.onMistake), head);
    }
  }

  const plane: DataPlane = (req, res, path, context) => {
    if (!isGoPath(path)) return false;
    context.protocol = 'go';
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      sendText(res, context, 405, 'only GET and HEAD are for this path', false, {
        Allow: 'GET, HEAD',
      });
      return true;
    }
    void handle(req, res, path, context);
    return true;
  };
  return { plane, keep };
}

/** One request on its way through. */
interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly context: RequestContext;
  readonly client: ClientSignal;
  readonly ask: Ask;
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
  context.upstream = served.record?.source;
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
