import { CHALLENGE, type Door } from '../http/guard.ts';
import { sendEnvelope, sendOciError } from './errors.ts';
import { isOciPath } from './routes.ts';

const WHY = {
  missing: 'authentication required: log in first, as by docker login',
  wrong: 'user or password is wrong: log in anew, as by docker login',
} as const;

export const ociDoor: Door = {
  protocol: 'oci',
  owns: isOciPath,
  ask(res, context, why, head) {
    sendEnvelope(res, context, 401, 'UNAUTHORIZED', WHY[why], head, CHALLENGE);
  },
  fail(res, context, error, head) {
    sendOciError(res, context, error, undefined, head);
  },
};
