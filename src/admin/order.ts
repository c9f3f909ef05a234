// The body of a request that names something stored: `{"go":"M@V"}`, `{"oci":"HOST/REPO:TAG"}`, and what it may say beside.

import { LarderError } from '../engine/errors.ts';

export interface Order {
  readonly protocol: 'go' | 'oci';
  readonly text: string;
  readonly dryRun: boolean;
}

/** `flags`: what it may have beside the name. Throws LarderError `invalid` with a sentence. */
export function orderIn(
  body: Readonly<Record<string, unknown>>,
  flags: readonly 'dryRun'[],
): Order {
  const known = ['go', 'oci', ...flags];
  const unknown = Object.keys(body).find((name) => !known.includes(name));
  if (unknown !== undefined)
    refuse(
      `${JSON.stringify(unknown.slice(0, 80))} is no member of it: give ${['go or oci', ...flags].join(', and ')}`,
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
