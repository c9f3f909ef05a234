// Parameters of a request: those that are known, each once.

import type { Request } from 'express';
import { LarderError } from '../engine/errors.ts';

/** Characters of a parameter: no name is longer. */
const MAX_TEXT = 1000;

/** What is asked so has none: one that is not understood must not be passed over. Throws LarderError `invalid`. */
export function noParameters({ query }: Pick<Request, 'query'>): void {
  textsIn(query, []);
}

/** Throws LarderError `invalid`. */
export function textsIn(
  query: Request['query'],
  known: readonly string[],
): Readonly<Partial<Record<string, string>>> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(query)) {
    if (!known.includes(name))
      throw new LarderError(
        'invalid',
        `${JSON.stringify(name.slice(0, 80))} is no parameter of it: give ${known.join(', ') || 'none'}`,
      );
    if (typeof value !== 'string') throw new LarderError('invalid', `${name} is there twice`);
    if (value.length > MAX_TEXT)
      throw new LarderError('invalid', `${name} is too long: no name is`);
    texts[name] = value;
  }
  return texts;
}
