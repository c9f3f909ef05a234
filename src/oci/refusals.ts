import { LarderError } from '../engine/errors.ts';
import type { UpstreamResponse } from '../http/client.ts';
import { header, readAll } from '../http/download.ts';
import { retryAfterMs } from '../http/retry-after.ts';

/** How much of a refusal's text is read to keep its connection, bytes. */
const MAX_TEXT = 64 * 1024;

/** A registry's, or of a Larder that is asked in its place. */
export class RefusalError extends LarderError {
  /** Whether that Larder refuses by itself, such as by its rules, and no registry had a say. */
  readonly byLarder: boolean;

  constructor(byLarder: boolean, ...error: ConstructorParameters<typeof LarderError>) {
    super(...error);
    this.byLarder = byLarder;
  }
}

/**
 * What an answer means that is not the wanted one. Its text is left out: there may be URLs and names of token servers
 * in it. `host`: who answered.
 */
export function refusal(host: string, response: UpstreamResponse): RefusalError {
  const byLarder = header(response, 'x-larder-cache') === 'bypass';
  return new RefusalError(byLarder, ...meaning(host, response, byLarder));
}

function meaning(
  host: string,
  response: UpstreamResponse,
  byLarder: boolean,
): ConstructorParameters<typeof LarderError> {
  const { status } = response;
  switch (status) {
    case 404:
    case 410:
      return ['not_found', byLarder ? `${host} does not mirror this registry` : 'not found'];
    case 401:
      return [
        'upstream_unauthorized',
        `${host} does not take Larder's credentials, or wants some (401)`,
      ];
    case 403:
      return ['upstream_forbidden', `${host} refuses (403)`];
    case 429:
      return [
        'rate_limited',
        `${host} says that it is asked too often (429)`,
        { retryAfterMs: retryAfterMs(response.headers) },
      ];
    default:
      return ['upstream_failed', `${host} answers ${String(status)}`];
  }
}

/** Takes in what is left of a small answer, so that its connection serves the next one. Never rejects. */
export async function drain({ body }: UpstreamResponse): Promise<void> {
  // what does not come, or is too much, only costs the connection
  await readAll(body, MAX_TEXT).catch(() => undefined);
  body.destroy();
}
