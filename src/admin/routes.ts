// The admin API: everything below /admin, for who has the token. Writes are told to an audit log, one line each.

import { Router, type RequestHandler } from 'express';
import { refuse, sendError } from './answers.ts';
import { readBody } from './body.ts';
import { cancelJob, listJobs, readJobBody, showJob, startJob, type JobRouteParts } from './jobs.ts';
import { listUnits, showUnit, type ListingParts } from './listings.ts';
import { listFills, showStats, type NowParts } from './now.ts';
import { openApi } from './openapi.ts';
import { noParameters } from './parameters.ts';
import { setPinned, type PinRouteParts } from './pin.ts';
import { purge, type PurgeRouteParts } from './purge.ts';
import { bearerOnly } from './token.ts';

export interface AdminParts
  extends PurgeRouteParts, PinRouteParts, ListingParts, NowParts, JobRouteParts {
  /** What whoever asks has to show. */
  readonly token: string;
}

/** To be mounted at /admin. Without the token nothing is looked at. */
export function adminRoutes({ token, ...parts }: AdminParts): Router {
  const router = Router({ strict: true, caseSensitive: true });
  const { modules, images } = parts.holdings;
  router.use(bearerOnly(token));
  router.route('/purge').post(readBody, purge(parts)).all(notAllowed('POST'));
  router
    .route('/pin')
    .post(readBody, setPinned(parts, true))
    .delete(readBody, setPinned(parts, false))
    .all(notAllowed('POST, DELETE'));
  for (const kind of ['modules', 'images'] as const) {
    router.route(`/${kind}`).get(listUnits(parts, kind)).all(onlyRead);
    router.route(`/${kind}/*name`).get(showUnit(parts, kind)).all(onlyRead);
  }
  router
    .route('/fills')
    .get(listFills(parts, [modules, images]))
    .all(onlyRead);
  router.route('/stats').get(showStats(parts)).all(onlyRead);
  router
    .route('/openapi.json')
    .get((req, res) => {
      noParameters(req);
      res.json(openApi);
    })
    .all(onlyRead);
  for (const [name, kind] of Object.entries(parts.kinds))
    router
      .route(`/${name}`)
      .post(readJobBody, startJob(parts, name, kind))
      .all(notAllowed('POST'));
  router.route('/jobs').get(listJobs(parts)).all(onlyRead);
  router
    .route('/jobs/:id')
    .get(showJob(parts))
    .delete(cancelJob(parts))
    .all(notAllowed('GET, HEAD, DELETE'));
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

const onlyRead = notAllowed('GET, HEAD');
