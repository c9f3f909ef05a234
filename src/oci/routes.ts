// The OCI distribution API, its pull part: a request's path and query into a repository and what is wanted of it.
// Nothing below /v2/ is left to others.

import type { ServerResponse } from 'node:http';
import { LarderError } from '../engine/errors.ts';
import type { DataPlane, RequestContext } from '../http/context.ts';
import { ClientAsk } from '../http/client-ask.ts';
import { refuseLoop } from '../http/loop.ts';
import { answerable } from '../http/mistakes.ts';
import { sendSmall } from '../http/send-small.ts';
import { ClientSignal } from '../http/serve.ts';
import { sendEnvelope, sendOciError } from './errors.ts';
import type { OciExchange, OciParts } from './exchange.ts';
import { parseOciPath, type OciResource } from './names.ts';
import type { OciAnswers } from './answers.ts';
import type { OciTarget } from './rules.ts';
import type { OciContent } from './serve-content.ts';
import type { Repository } from './upstreams.ts';

export function ociPlane(parts: OciParts, content: OciContent, answers: OciAnswers): DataPlane {
  async function answer(exchange: OciExchange): Promise<void> {
    const { resource } = exchange.name;
    switch (resource.kind) {
      case 'blob':
        await content.blob(exchange, resource.digest);
        return;
      case 'manifest':
        if ('digest' in resource) await content.manifest(exchange, resource.digest);
        else await answers.tag(exchange, resource.tag);
        return;
      case 'tags':
        await answers.tags(exchange);
        return;
      case 'referrers':
        await answers.referrers(exchange, resource.digest);
    }
  }

  async function firstThatIsThere(
    exchange: Omit<OciExchange, 'repository' | 'decision' | 'ask'> & { readonly askedAt: number },
    [repository, ...others]: readonly Repository[],
  ): Promise<void> {
    if (repository === undefined) throw notOurs();
    const { resource } = exchange.name;
    const decision = parts.policy.admit(targetOf(repository, resource));
    const mode = resource.kind === 'blob' ? decision.mode : 'sync';
    const ask =
      parts.offline === undefined
        ? new ClientAsk(mode, exchange.client)
        : new ClientAsk('none', exchange.client, parts.offline);
    try {
      const from = decision.rule?.upstream;
      const { askedAt } = exchange;
      const meant = { ...repository, from, askedAt };
      await answer({ ...exchange, repository: meant, decision, ask });
    } catch (error) {
      const missing =
        error instanceof LarderError &&
        (error.code === 'not_found' || (error.code === 'not_cached' && ask.mode === 'none'));
      if (!missing || others.length === 0 || exchange.res.headersSent) throw error;
      await firstThatIsThere(exchange, others);
    }
  }

  function failed(error: unknown, of: Failed): void {
    const { res, context } = of;
    if (res.closed) return;
    const told = answerable(error, context, parts.onMistake);
    sendOciError(res, context, told, of.kind, of.head, parts.rateStatus);
  }

  return (req, res, path, context) => {
    if (!isOciPath(path)) return false;
    context.protocol = 'oci';
    const head = req.method === 'HEAD';
    if (req.method !== 'GET' && !head) {
      const sentence = 'this mirror is read-only: GET and HEAD are for this path';
      sendEnvelope(res, context, 405, 'UNSUPPORTED', sentence, false, { Allow: 'GET, HEAD' });
      return true;
    }
    if (path === '/v2' || path === '/v2/') {
      sendVersion(res, context, head);
      return true;
    }
    let kind: OciResource['kind'] | undefined;
    try {
      refuseLoop(req, parts.via);
      const name = parseOciPath(path);
      if (name === undefined) throw notOurs();
      kind = name.resource.kind;
      const query = new URLSearchParams((req.url ?? '').slice(path.length));
      const namespaces = query.getAll('ns');
      const repositories = parts.upstreams.choose({ namespaces, name: name.name });
      const client = new ClientSignal(res);
      const askedAt = performance.now();
      const exchange = { req, res, context, client, name, query, head, askedAt };
      firstThatIsThere(exchange, repositories).catch((error: unknown) => {
        failed(error, { res, context, kind, head });
      });
    } catch (error) {
      failed(error, { res, context, kind, head });
    }
    return true;
  };
}

export const isOciPath = (path: string): boolean => path === '/v2' || path.startsWith('/v2/');

interface Failed {
  readonly res: ServerResponse;
  readonly context: RequestContext;
  readonly kind: OciResource['kind'] | undefined;
  readonly head: boolean;
}

/** What the rules decide on. What has a digest has no tag. */
const targetOf = ({ upstream, path }: Repository, resource: OciResource): OciTarget => ({
  host: upstream.name,
  path,
  tag: 'tag' in resource ? resource.tag : undefined,
});

const notOurs = (): LarderError =>
  new LarderError('not_found', 'this is no path of the distribution API', { outcome: 'bypass' });

/** "This registry speaks version 2": what clients ask first. */
function sendVersion(res: ServerResponse, context: RequestContext, head: boolean): void {
  const headers = {
    'Docker-Distribution-API-Version': 'registry/2.0',
    'Content-Type': 'application/json',
  };
  sendSmall(res, context, { headers }, '{}', head);
}
