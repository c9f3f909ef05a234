// The admin API: everything below /admin, for who has the token. Writes are told to an audit log, one line each.

import { Router, type RequestHandler } from 'express';
import { refuse, sendError } from './answers.ts';
import { readBody } from './body.ts';
import { purge, type PurgeRouteParts } from './purge.ts';
import { bearerOnly } from './token.ts';

export interface AdminParts extends PurgeRouteParts {
  /** What whoever asks has to show. */
  readonly token: string;
}

/** To be mounted at /admin. Without the token nothing is looked at. */
export function adminRoutes({ token, ...parts }: AdminParts): Router {
  const router = Router({ strict: true, caseSensitive: true });
  router.use(bearerOnly(token));
  router.route('/purge').post(readBody, purge(parts)).all(notAllowed('POST'));
  router.use((_req, res) => {
    refuse(res, 404, 'there is nothing here by that name');
  });
  router.use(sendError);
  return router;
}

function notAllowed(allowed: string): RequestHandler {
  return (_req, res) => {
    res.set('Allow', allowed);
    refuse(res, 405, `this can only be asked by ${allowed}`);
  };
}
