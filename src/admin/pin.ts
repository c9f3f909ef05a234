// POST /admin/pin keeps a name for good, DELETE /admin/pin undoes it. A purge takes it all the same.

import type { RequestHandler } from 'express';
import { messageOf } from '../engine/errors.ts';
import type { Pins } from '../references/pins.ts';
import { changerOf } from './audit.ts';
import { jsonOf } from './body.ts';
import { orderIn } from './order.ts';
import { noParameters } from './parameters.ts';
import type { PurgeRouteParts } from './purge.ts';

export interface PinRouteParts extends Pick<PurgeRouteParts, 'purgeables' | 'audit' | 'requestId'> {
  readonly pins: Pins;
}

/** Each may be asked for again, and changes nothing then. */
export function setPinned(parts: PinRouteParts, pinned: boolean): RequestHandler {
  const { pins, audit } = parts;
  return async (req, res) => {
    noParameters(req);
    const { protocol, text } = orderIn(jsonOf(req), []);
    const { name } = parts.purgeables[protocol](text);
    const line = { action: pinned ? 'pin' : 'unpin', name, ...changerOf(parts, req, res) };
    try {
      await (pinned ? pins.add(name) : pins.remove(name));
      audit(line);
      res.json({ name, pinned });
    } catch (error) {
      audit({ ...line, reason: messageOf(error) });
      throw error;
    }
  };
}
