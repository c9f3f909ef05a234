// The JSON body of a request, whatever its Content-Type says.

import express, { type Request, type RequestHandler } from 'express';
import { LarderError } from '../engine/errors.ts';
import { refuse } from './answers.ts';

/**
 * Reads a body for `jsonOf`, up to so many KiB; one that is too long is answered with 413, one that cannot be read with 400.
 */
export function bodyReader(maxKib: number): RequestHandler {
  const read: RequestHandler = express.raw({
    type: () => true,
    limit: maxKib * 1024,
    inflate: false,
  });
  return (req, res, next) => {
    read(req, res, (error?: unknown) => {
      if (error === undefined) next();
      else if (!(error instanceof Error) || !('type' in error)) next(error);
      else if (error.type === 'entity.too.large')
        refuse(res, 413, `the body is too long: it may have ${String(maxKib)} KiB`);
      else refuse(res, 400, `the body cannot be read: ${error.message}`);
    });
  };
}

/** For bodies with one name. */
export const readBody = bodyReader(64);

/** The object in a body that was read; `none` stands in for an empty one. Throws LarderError `invalid`. */
export function jsonOf(
  req: Request,
  none?: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const body: unknown = req.body;
  if (none && !(body instanceof Uint8Array && body.length > 0)) return none;
  let json: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true });
    json = JSON.parse(text.decode(body instanceof Uint8Array ? body : new Uint8Array()));
  } catch (cause) {
    throw new LarderError('invalid', 'the body is not JSON', { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    throw new LarderError('invalid', 'the body is not a JSON object');
  return json as Record<string, unknown>;
}
