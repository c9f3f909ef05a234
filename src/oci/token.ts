import { LarderError } from '../engine/errors.ts';

/** What the specification gives a token that does not say, seconds. */
const LIFETIME_S = 60;
/** Renewed when a tenth of its life is left, or this many milliseconds, whichever is less. */
const EARLY_MS = 10_000;

export interface Token {
  /** The header as it is sent. */
  readonly authorization: string;
  /** Milliseconds since the epoch. */
  readonly renewAt: number;
  readonly endsAt: number;
}

/**
 * Reads a token server's answer. `host`: of the registry, for the sentence; `asked`: when it was asked for, milliseconds
 * since the epoch. Throws LarderError `upstream_failed`.
 */
export function parseToken(host: string, answer: Buffer, asked: number): Token {
  const { token, access_token, expires_in } = parse(answer);
  const value = [token, access_token].find((one) => typeof one === 'string' && one !== '');
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new LarderError('upstream_failed', `the token server of ${host} answers without a token`);
  }
  const said = typeof expires_in === 'number' && expires_in > 0 ? expires_in : LIFETIME_S;
  const lifeMs = said * 1000;
  const endsAt = asked + lifeMs;
  const renewAt = endsAt - Math.min(lifeMs / 10, EARLY_MS);
  return { authorization: `Bearer ${value}`, renewAt, endsAt };
}

function parse(answer: Buffer): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(answer.toString());
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    // such as a page of HTML: no token either
    return {};
  }
}
