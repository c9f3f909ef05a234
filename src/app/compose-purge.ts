// The purge's part of the composition, and the admin API that asks for one and tells what is there.

import type { RequestHandler } from 'express';
import { adminRoutes, type AdminParts } from '../admin/routes.ts';
import type { Logger } from '../observability/logger.ts';
import { Purger, type PurgerParts } from '../references/purge.ts';

export interface ComposedPurge {
  /** For /admin; undefined while no token is set. */
  readonly admin: RequestHandler | undefined;
  readonly purger: Purger;
  /** Resolves when every purge under way is over. */
  settled(): Promise<void>;
}

export function composePurge(
  token: string | undefined,
  logger: Logger,
  parts: PurgerParts & Omit<AdminParts, 'token' | 'purger' | 'audit' | 'requestId'>,
): ComposedPurge {
  const purger = new Purger(parts);
  // written whatever is logged beside it
  const level = logger.level === 'silent' ? 'silent' : 'info';
  const trail = logger.child({}, { level });
  const admin =
    token === undefined
      ? undefined
      : adminRoutes({
          ...parts,
          token,
          purger,
          audit: (line) => {
            trail.info(line, 'audit');
          },
          requestId: (res) => String(res.getHeader('X-Request-Id')),
        });
  return { admin, purger, settled: () => purger.settled() };
}
