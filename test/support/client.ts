// A client that is watched while it reads, and can leave.

import { request, type Reply, type RequestOptions } from './http.ts';

export interface Client {
  readonly reply: Promise<Reply>;
  /** Bytes that came so far. */
  readonly received: () => number;
  readonly leave: () => void;
}

/** Its patience is 100 s; the bytes themselves are not kept. */
export function client(base: string, path: string, options: RequestOptions = {}): Client {
  let received = 0;
  const leaving = new AbortController();
  const reply = request(base, path, {
    keepBody: false,
    timeoutMs: 100_000,
    ...options,
    onChunk: (chunk) => (received += chunk.length),
    signal: leaving.signal,
  });
  return {
    reply,
    received: () => received,
    leave: () => {
      leaving.abort();
    },
  };
}
