// The thread that checks zips: one request at a time, one answer to each. Started by zip-checker.ts.

import { parentPort } from 'node:worker_threads';
import { LarderError, messageOf, type ErrorCode } from '../engine/errors.ts';
import { checkZip, type ZipCheckRequest, type ZipCheckResult } from './zip-check.ts';

/** What a request is answered with. Errors go as code and sentence, since cloning would leave a plain Error of them. */
export type ZipWorkerAnswer =
  | { readonly result: ZipCheckResult }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

async function answer(request: ZipCheckRequest): Promise<ZipWorkerAnswer> {
  try {
    return { result: await checkZip(request) };
  } catch (error) {
    const code = error instanceof LarderError ? error.code : undefined;
    // A defect: it ends this thread, and the pool reports it with its stack.
    if (code === undefined) throw error;
    return { error: { code, message: messageOf(error) } };
  }
}

parentPort?.on('message', (request: ZipCheckRequest) => {
  void answer(request).then((message) => parentPort?.postMessage(message));
});
