// The admin API's part of the composition, and the work that is done by itself.

import type { RequestHandler } from 'express';
import type { JobKind } from '../admin/jobs.ts';
import { adminRoutes, type AdminParts } from '../admin/routes.ts';
import { messageOf } from '../engine/errors.ts';
import type { Logger } from '../observability/logger.ts';
import { Jobs } from '../references/jobs.ts';
import { auditTrail } from './audit-trail.ts';
import type { Upkeep } from './compose-upkeep.ts';
import type { Config } from './config.ts';
import { CollectSchedule } from './collect-schedule.ts';

export interface ComposedAdmin {
  /** For /admin; undefined while no token is set. */
  readonly routes: RequestHandler | undefined;
  /** Cancels what runs by itself or as a job. Resolves when that is over, and every purge under way. */
  stop(): Promise<void>;
}

export function composeAdmin(
  { adminToken: token, collectIntervalMs, keepsAll }: Config,
  logger: Logger,
  { purger, collector, verify, purgeables }: Upkeep,
  {
    warm,
    ...parts
  }: Omit<AdminParts, keyof Upkeep | 'token' | 'jobs' | 'kinds' | 'audit' | 'requestId'> & {
    readonly warm: JobKind;
  },
): ComposedAdmin {
  const jobs = new Jobs((error) => {
    logger.error({ err: error }, 'a job failed by a mistake of Larder');
  });
  const kinds: Readonly<Record<string, JobKind>> = {
    collect: {
      members: { dryRun: 'boolean' },
      work:
        ({ dryRun }) =>
        (signal, progress) =>
          collector.run({ dryRun: dryRun === true }, signal, progress),
    },
    verify: {
      members: { repair: 'boolean', sample: 'number' },
      work:
        ({ repair, sample }) =>
        (signal, progress) => {
          const wanted = typeof sample === 'number' ? { sample } : {};
          return verify({ repair: repair === true, ...wanted }, signal, progress);
        },
    },
    warm,
  };
  const schedule = new CollectSchedule({
    jobs,
    collector,
    intervalMs: keepsAll ? 0 : collectIntervalMs,
    ended(result) {
      logger.info(result, 'collected');
    },
    failed(reason) {
      logger.error({ reason: messageOf(reason) }, 'the collection failed');
    },
  });
  const routes =
    token === undefined
      ? undefined
      : adminRoutes({
          ...parts,
          token,
          purger,
          purgeables,
          jobs,
          kinds,
          audit: auditTrail(logger),
          requestId: (res) => String(res.getHeader('X-Request-Id')),
        });
  return {
    routes,
    async stop() {
      await schedule.close();
      await jobs.close();
      await purger.settled();
    },
  };
}
