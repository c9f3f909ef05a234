import type { IncomingMessage } from 'node:http';
import { LarderError } from '../engine/errors.ts';

/**
 * Refuses a request that this very server has sent (RFC 9110, 7.6.3): it would wait for itself. `via`: the name of this
 * server in `Via`. Throws LarderError `upstream_failed`.
 */
export function refuseLoop({ headers }: IncomingMessage, via: string): void {
  if (headers.via?.includes(via) !== true) return;
  throw new LarderError(
    'upstream_failed',
    'this request has passed through this very Larder already: an upstream leads back to it',
  );
}
