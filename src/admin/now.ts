// What goes on: GET /admin/fills, and GET /admin/stats.

import type { RequestHandler } from 'express';
import type { FillProgress } from '../engine/fill.ts';
import type { Holdings } from '../engine/holdings.ts';
import type { StoreSize } from '../references/store-size.ts';
import { noParameters } from './parameters.ts';

/** Since this process started. */
export interface Traffic {
  /** Requests that were answered out of the store, and that were not. */
  readonly hits: number;
  readonly misses: number;
  readonly upstreams: readonly {
    readonly name: string;
    readonly hits: number;
    /** Of bodies that were not fetched from it, as the store had them. */
    readonly bytesSaved: number;
  }[];
}

export interface NowParts {
  readonly fills: { progress(): readonly FillProgress[] };
  readonly size: Pick<StoreSize, 'now'>;
  /** Bytes that the store may have; undefined: no limit. */
  readonly maxBytes: number | undefined;
  readonly traffic: () => Traffic;
  readonly now: () => number;
}

export function listFills(
  { fills, now }: NowParts,
  holdings: readonly Pick<Holdings, 'nameOf'>[],
): RequestHandler<never> {
  return (req, res) => {
    noParameters(req);
    const under = fills.progress().map(({ key, failureKey, startedAt, bytes, size, readers }) => {
      const ms = Math.max(1, now() - startedAt);
      const names = holdings.map((one) => one.nameOf(key, failureKey));
      return {
        name: names.find((name) => name !== undefined) ?? key,
        bytes,
        size: size ?? null,
        bytesPerSecond: Math.round((bytes * 1000) / ms),
        waiters: readers,
        since: new Date(startedAt).toISOString(),
      };
    });
    res.json({ fills: under });
  };
}

export function showStats({ size, maxBytes, traffic }: NowParts): RequestHandler<never> {
  return (req, res) => {
    noParameters(req);
    const sum = size.now;
    res.json({
      objects: sum?.objects ?? null,
      bytes: sum?.bytes ?? null,
      maxBytes: maxBytes ?? null,
      ...traffic(),
    });
  };
}
