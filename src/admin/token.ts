import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { refuse } from './answers.ts';

const REALM = 'Bearer realm="larder"';

/** Lets nobody by who does not show the token (RFC 6750), and tells by no difference in time how near a wrong one was. */
export function bearerOnly(token: string): RequestHandler {
  const expected = digest(token);
  return (req, res, next) => {
    const [, given] = /^Bearer +(\S+) *$/i.exec(req.headers.authorization ?? '') ?? [];
    if (given !== undefined && timingSafeEqual(digest(given), expected)) {
      next();
      return;
    }
    res.set('WWW-Authenticate', given === undefined ? REALM : `${REALM}, error="invalid_token"`);
    refuse(
      res,
      401,
      given === undefined
        ? 'this needs the token of LARDER_ADMIN_TOKEN: send Authorization: Bearer and the token'
        : 'the token is not that of LARDER_ADMIN_TOKEN',
    );
  };
}

/** Of equal length, whatever was sent. */
const digest = (text: string) => createHash('sha256').update(text).digest();
