// The thread that compares passwords: one at a time, one answer to each. Started by password-checker.ts.

import { parentPort } from 'node:worker_threads';
import { compareSync } from 'bcryptjs';

export interface PasswordQuestion {
  readonly password: string;
  readonly hash: string;
}

parentPort?.on('message', ({ password, hash }: PasswordQuestion) => {
  parentPort?.postMessage(compareSync(password, hash));
});
