// What is stored: GET /admin/modules and /admin/images, page by page, and one of them with all that is known of it.

import type { Request, RequestHandler } from 'express';
import { LarderError } from '../engine/errors.ts';
import type { Holdings, Pinned, Unit } from '../engine/holdings.ts';
import type { LastUse } from '../references/last-use.ts';
import type { Pins } from '../references/pins.ts';
import { refuse } from './answers.ts';
import { noParameters, textsIn } from './parameters.ts';

const USUAL_LIMIT = 100;
const MAX_LIMIT = 1000;

export interface ListingParts {
  /** By the name that they are listed under. */
  readonly holdings: Readonly<Record<'modules' | 'images', Holdings>>;
  readonly lastUse: Pick<LastUse, 'of'>;
  readonly pins: Pins;
}

type Kind = keyof ListingParts['holdings'];

export function listUnits(parts: ListingParts, kind: Kind): RequestHandler {
  return async (req, res) => {
    const { prefix, after, limit } = pageIn(req.query);
    const pinned = await parts.pins.pinned();
    const found: Record<string, unknown>[] = [];
    let next: string | undefined;
    for await (const unit of parts.holdings[kind].list({ prefix, after })) {
      if (res.closed) return;
      if (found.length === limit) {
        next = String(found.at(-1)?.['name']).replace(/^[^:]*:/, '');
        break;
      }
      const { name, details, bytes } = unit;
      found.push({ name, ...details, bytes, ...stateOf(parts, unit, pinned) });
    }
    res.json({ [kind]: found, ...(next !== undefined && { next }) });
  };
}

export function showUnit(parts: ListingParts, kind: Kind): RequestHandler<{ name: string[] }> {
  return async (req, res) => {
    noParameters(req);
    const found = await parts.holdings[kind].inspect(req.params.name.join('/'));
    if (found === undefined) {
      refuse(res, 404, 'nothing is stored by that name');
      return;
    }
    const { unit, details } = found;
    const pinned = await parts.pins.pinned();
    res.json({ name: unit.name, ...details, ...stateOf(parts, unit, pinned) });
  };
}

function stateOf({ lastUse }: ListingParts, unit: Unit, pinned: Pinned) {
  const used = lastUse.of(unit.keys);
  return {
    storedAt: unit.storedAt === 0 ? null : iso(unit.storedAt),
    // read at this moment
    lastUse: used === undefined ? null : iso(used === Infinity ? Date.now() : used),
    pinned: unit.pins.some((name) => pinned.has(name)),
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** Throws LarderError `invalid`. */
function pageIn(query: Request['query']): { prefix: string; after: string; limit: number } {
  const { prefix = '', after = '', limit } = textsIn(query, ['prefix', 'after', 'limit']);
  if (limit !== undefined && !/^[1-9]\d{0,3}$/.test(limit)) refuseLimit();
  const number = limit === undefined ? USUAL_LIMIT : Number(limit);
  if (number > MAX_LIMIT) refuseLimit();
  return { prefix, after, limit: number };
}

function refuseLimit(): never {
  throw new LarderError('invalid', `limit is no whole number from 1 to ${String(MAX_LIMIT)}`);
}
