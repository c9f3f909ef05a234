// POST /admin/purge: takes a name out of the store, and writes down that it did.

import type { RequestHandler, Response } from 'express';
import { messageOf } from '../engine/errors.ts';
import type { Purgeable } from '../engine/purge-plan.ts';
import type { Purger } from '../references/purge.ts';
import type { Audit } from './audit.ts';
import { jsonOf } from './body.ts';
import { orderIn } from './order.ts';

export interface PurgeRouteParts {
  readonly purger: Pick<Purger, 'preview' | 'run'>;
  /** What a name means in each protocol. Each throws LarderError `invalid`. */
  readonly purgeables: Readonly<Record<'go' | 'oci', (text: string) => Purgeable>>;
  readonly audit: Audit;
  /** Of the request that is answered so. */
  readonly requestId: (res: Response) => string;
}

export function purge(parts: PurgeRouteParts): RequestHandler {
  const { purger, audit } = parts;
  return async (req, res) => {
    const { protocol, text, dryRun } = orderIn(jsonOf(req), ['dryRun']);
    const purgeable = parts.purgeables[protocol](text);
    const { name } = purgeable;
    const line = { action: 'purge', name, requestId: parts.requestId(res), dryRun } as const;
    try {
      const done = await (dryRun ? purger.preview(purgeable) : purger.run(purgeable));
      audit({ ...line, freedBytes: done.freedBytes, purged: done.purged.length });
      res.json(done);
    } catch (error) {
      audit({ ...line, reason: messageOf(error) });
      throw error;
    }
  };
}
