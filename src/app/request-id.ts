import { randomBytes } from 'node:crypto';

const sane = /^[A-Za-z0-9._-]{1,128}$/;

/** Tells the ids of this process from those of other replicas and of earlier runs. */
const prefix = randomBytes(6).toString('hex');
let count = 0;

const make = (): string => `${prefix}-${(++count).toString(36)}`;

/** Ids of requests: the client's own where it sent a sane one (`X-Request-Id`), else a new one. */
export const requestIds = {
  make,
  of(sent: string | string[] | undefined): string {
    return typeof sent === 'string' && sane.test(sent) ? sent : make();
  },
};
