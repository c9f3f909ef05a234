// POST /admin/purge: takes a name out of the store, and writes down that it did.

import type { RequestHandler } from 'express';
import { messageOf } from '../engine/errors.ts';
import type { Purgeable } from '../engine/purge-plan.ts';
import type { Purger, PurgeResult } from '../references/purge.ts';
import { changerOf, type AuditParts, type Changer } from './audit.ts';
import { jsonOf } from './body.ts';
import { noParameters } from './parameters.ts';
import { orderIn } from './order.ts';

export interface PurgeRouteParts extends AuditParts {
  readonly purger: Pick<Purger, 'preview' | 'run'>;
  /** What a name means in each protocol. Each throws LarderError `invalid`. */
  readonly purgeables: Readonly<Record<'go' | 'oci', (text: string) => Purgeable>>;
}

export function purge(parts: PurgeRouteParts): RequestHandler {
  return async (req, res) => {
    noParameters(req);
    const { protocol, text, dryRun } = orderIn(jsonOf(req), ['dryRun']);
    const purgeable = parts.purgeables[protocol](text);
    res.json(await auditedPurge(parts, purgeable, dryRun, changerOf(parts, req, res)));
  };
}

/** Throws as `Purger` does, once that is written down. */
export async function auditedPurge(
  { purger, audit }: Pick<PurgeRouteParts, 'purger' | 'audit'>,
  purgeable: Purgeable,
  dryRun: boolean,
  by: Changer,
): Promise<PurgeResult> {
  const line = { action: 'purge', name: purgeable.name, ...by, dryRun };
  try {
    const done = await (dryRun ? purger.preview(purgeable) : purger.run(purgeable));
    audit({ ...line, freedBytes: done.freedBytes, purged: done.purged.length });
    return done;
  } catch (error) {
    audit({ ...line, reason: messageOf(error) });
    throw error;
  }
}
