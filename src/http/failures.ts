import { LarderError, messageOf } from '../engine/errors.ts';

/** Name resolution, certificates and a client that is closed do not get better by asking at once again; what broke on the wire may. */
const FINAL =
  /^(ENOTFOUND|CERT_|ERR_TLS|ERR_SSL|EPROTO|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|UND_ERR_DESTROYED)/;

/** Whether a connection that failed before any byte may be tried again. */
export const mayTryAgain = (error: unknown): boolean =>
  !(error instanceof LarderError) && !FINAL.test(codeOf(error));

/** What a person should know of a connection that failed: the host, and why. */
export function unreachable(url: URL, error: unknown): LarderError {
  return new LarderError('upstream_failed', `${url.host} cannot be reached: ${reasonOf(error)}`, {
    cause: error,
  });
}

/** Why a connection failed, in a few words. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case 'ECONNREFUSED':
      return 'connection refused';
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
      return 'the connection broke';
    case 'ENOTFOUND':
      return 'no such host';
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'no connection in time';
    default:
      return code === '' ? messageOf(error) : code;
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const own = (error as NodeJS.ErrnoException).code;
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (own !== undefined) return own;
  return error.cause === undefined ? '' : codeOf(error.cause);
}

/** A duration as settings write it. */
export function explain(ms: number): string {
  return ms % 1000 === 0 ? `${String(ms / 1000)}s` : `${String(ms)}ms`;
}
