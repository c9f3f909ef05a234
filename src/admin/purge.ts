// POST /admin/purge: takes a name out of the store, and writes down that it did.

import type { RequestHandler, Response } from 'express';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Purgeable } from '../engine/purge-plan.ts';
import type { Purger } from '../references/purge.ts';
import { jsonOf } from './body.ts';

/** One line of the audit log. */
export interface AuditLine {
  readonly action: 'purge';
  /** In the one spelling that it has. */
  readonly name: string;
  readonly requestId: string;
  readonly dryRun: boolean;
  /** Bytes of content. Missing, as is the next one, where it failed. */
  readonly freedBytes?: number;
  /** How many names went. */
  readonly purged?: number;
  /** Why it failed. */
  readonly reason?: string;
}

export interface PurgeRouteParts {
  readonly purger: Pick<Purger, 'preview' | 'run'>;
  /** What a name means in each protocol. Each throws LarderError `invalid`. */
  readonly purgeables: Readonly<Record<'go' | 'oci', (text: string) => Purgeable>>;
  /** Writes the line down. Never throws. */
  readonly audit: (line: AuditLine) => void;
  /** Of the request that is answered so. */
  readonly requestId: (res: Response) => string;
}

export function purge(parts: PurgeRouteParts): RequestHandler {
  const { purger, audit } = parts;
  return async (req, res) => {
    const { protocol, text, dryRun } = parse(jsonOf(req));
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

interface PurgeOrder {
  readonly protocol: 'go' | 'oci';
  readonly text: string;
  readonly dryRun: boolean;
}

function parse(body: Readonly<Record<string, unknown>>): PurgeOrder {
  const unknown = Object.keys(body).find((name) => !['go', 'oci', 'dryRun'].includes(name));
  if (unknown !== undefined)
    refuse(
      `${JSON.stringify(unknown.slice(0, 80))} is no member of it: give go or oci, and dryRun`,
    );
  const { go, oci, dryRun = false } = body;
  if (typeof dryRun !== 'boolean') refuse('dryRun is neither true nor false');
  if ((go === undefined) === (oci === undefined))
    refuse('give either go, with a module or version, or oci, with a repository, tag or digest');
  const protocol = go === undefined ? 'oci' : 'go';
  const text = go ?? oci;
  if (typeof text !== 'string') refuse(`${protocol} is not a string`);
  return { protocol, text, dryRun };
}

function refuse(sentence: string): never {
  throw new LarderError('invalid', sentence);
}
