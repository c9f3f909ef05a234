// Stands before a protocol's plane and lets in who may ask: before the name is looked at, and before anybody is asked.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LarderError } from '../engine/errors.ts';
import type { BasicAuth, Verdict } from './basic-auth.ts';
import type { DataPlane, RequestContext } from './context.ts';
import { answerable, type OnMistake } from './mistakes.ts';

/** How a protocol knows what is its own, and turns somebody away. */
export interface Door {
  /** As of RequestContext. */
  readonly protocol: string;
  /** Whether the plane answers this path. */
  owns(path: string): boolean;
  /** 401, with CHALLENGE. `why`: no credentials came, or wrong ones. */
  ask(res: ServerResponse, context: RequestContext, why: 'missing' | 'wrong', head: boolean): void;
  fail(res: ServerResponse, context: RequestContext, error: LarderError, head: boolean): void;
}

/** RFC 9110, 11.6.1. */
export const CHALLENGE = { 'WWW-Authenticate': 'Basic realm="larder"' } as const;

export function guarded(
  plane: DataPlane,
  door: Door,
  auth: BasicAuth,
  onMistake: OnMistake,
): DataPlane {
  const enter = (
    verdict: Verdict,
    req: IncomingMessage,
    res: ServerResponse,
    path: string,
    context: RequestContext,
  ): boolean => {
    if (typeof verdict === 'object') {
      context.user = verdict.user;
      return plane(req, res, path, context);
    }
    door.ask(res, context, verdict, req.method === 'HEAD');
    return true;
  };

  return (req, res, path, context) => {
    if (!door.owns(path)) return false;
    context.protocol = door.protocol;
    const verdict = auth.judge(req.headers.authorization);
    if (!(verdict instanceof Promise)) return enter(verdict, req, res, path, context);
    verdict
      .then((found) => {
        if (!res.closed) enter(found, req, res, path, context);
      })
      .catch((error: unknown) => {
        const answer = answerable(error, context, onMistake);
        if (!res.closed) door.fail(res, context, answer, req.method === 'HEAD');
      });
    return true;
  };
}
