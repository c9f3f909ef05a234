import type { ErrorRequestHandler, Response } from 'express';
import { LarderError, type ErrorCode } from '../engine/errors.ts';

/** Answers with a sentence for a person, as JSON. */
export function refuse(res: Response, status: number, sentence: string): void {
  res.status(status).json({ error: sentence });
}

const statuses: Partial<Readonly<Record<ErrorCode, number>>> = {
  invalid: 400,
  overloaded: 503,
  store_failed: 503,
};

/** Errors of the domain; any other is a mistake of Larder, and left to the control plane. */
export const sendError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  const status = error instanceof LarderError ? statuses[error.code] : undefined;
  if (!(error instanceof LarderError) || status === undefined || res.headersSent) {
    next(error);
    return;
  }
  if (status === 503)
    res.set('Retry-After', String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1000) / 1000))));
  refuse(res, status, error.message);
};
