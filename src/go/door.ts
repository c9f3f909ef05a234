import { CHALLENGE, type Door } from '../http/guard.ts';
import { sendError, sendText } from './errors.ts';
import { isGoPath } from './routes.ts';

const WHY = {
  missing: 'Larder wants a user and a password, and none came',
  wrong: 'user or password is wrong',
} as const;

const HELP = `put them into ~/.netrc, as "machine HOST:PORT login USER password PASSWORD" with what GOPROXY has for HOST:PORT,
or into GOPROXY, as https://USER:PASSWORD@HOST:PORT. go sends them by https alone.`;

export const goDoor: Door = {
  protocol: 'go',
  owns: isGoPath,
  ask(res, context, why, head) {
    sendText(res, context, 401, `unauthorized: ${WHY[why]}: ${HELP}`, head, CHALLENGE);
  },
  fail: sendError,
};
