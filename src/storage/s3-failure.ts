// What an S3 server's refusals mean, and what to do about them.

import { LarderError, messageOf } from '../engine/errors.ts';

/** As the SDK throws them; without a status nothing was answered. */
interface S3Error {
  readonly name?: string;
  readonly code?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

const nameOf = (error: unknown): string => (error as S3Error).name ?? '';

const statusOf = (error: unknown): number | undefined =>
  (error as S3Error).$metadata?.httpStatusCode;

/** There is no such object; where the bucket itself is not there, that is a failure. */
export const isAbsent = (error: unknown): boolean =>
  statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket';

/** An object without a first byte: it is empty. */
export const isEmpty = (error: unknown): boolean => statusOf(error) === 416;

/** Somebody else created it before, or does so now. */
export const isTaken = (error: unknown): boolean =>
  statusOf(error) === 412 || statusOf(error) === 409;

/** The server does not know how to do this. */
export const isUnsupported = (error: unknown): boolean =>
  statusOf(error) === 501 ||
  statusOf(error) === 405 ||
  (statusOf(error) === 400 &&
    /^(NotImplemented|InvalidArgument|InvalidRequest)$/.test(nameOf(error)));

/** It may work when it is tried once more: a broken connection, or a server in trouble. */
export function isTransient(error: unknown): boolean {
  if (error instanceof LarderError) return false;
  const status = statusOf(error);
  if (status !== undefined) return status >= 500 && status !== 501;
  return (error as S3Error).code !== undefined || nameOf(error) === 'TimeoutError';
}

/** LarderError `store_failed` of what the SDK threw, or the LarderError that it is already. */
export function storeFailure(operation: string, bucket: string, error: unknown): LarderError {
  if (error instanceof LarderError) return error;
  const why = reasonOf(bucket, error);
  return new LarderError('store_failed', `the store cannot ${operation}: ${why}`, {
    cause: error,
    retryAfterMs: 5000,
  });
}

const ELSEWHERE = 'is elsewhere: correct LARDER_S3_REGION or LARDER_S3_ENDPOINT';
const NOT_ACCEPTED = 'does not accept the credentials: correct them';
const DENIED =
  'denies access: grant s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket (without the last, what is missing looks denied)';

/** By name or status, what to say of the bucket. */
const reasons: Readonly<Record<string, string>> = {
  AbortError: 'made no progress in time',
  NoSuchBucket: 'is not there: create it, or correct LARDER_S3_BUCKET',
  CredentialsProviderError:
    'needs credentials, and there are none: set them, or give Larder a role',
  InvalidAccessKeyId: NOT_ACCEPTED,
  SignatureDoesNotMatch: NOT_ACCEPTED,
  ExpiredToken: NOT_ACCEPTED,
  InvalidToken: NOT_ACCEPTED,
  RequestTimeTooSkewed: 'has another time than this machine: set its clock right',
  PermanentRedirect: ELSEWHERE,
  AuthorizationHeaderMalformed: ELSEWHERE,
  301: ELSEWHERE,
  307: ELSEWHERE,
  403: DENIED,
};

function reasonOf(bucket: string, error: unknown): string {
  const name = nameOf(error);
  const status = statusOf(error);
  const known = reasons[name] ?? reasons[status ?? ''];
  if (known !== undefined) return `bucket ${bucket} ${known}`;
  if (status !== undefined) return `bucket ${bucket} answers ${String(status)} ${name}`;
  // several addresses failed: then there is a code alone
  const why = messageOf(error) === '' ? (error as S3Error).code : messageOf(error);
  return `bucket ${bucket} cannot be reached (${why ?? name}): see LARDER_S3_ENDPOINT`;
}
