// A client of a checksum database in memory, for the unit tests of what it believes.

import { expect } from 'vitest';
import { SumdbClient } from '../../src/go/sumdb/client.ts';
import { MemoryHead, MemorySumdb, newSigner, someRecords } from './sumdb-log.ts';

export const signal = new AbortController().signal;
export const signer = newSigner('sum.example.com');

/** What `someRecords` lists for `example.com/m<n>`. */
export const linesOf = (n: number): string[] => [
  `example.com/m${String(n)} v1.0.0 h1:zip`,
  `example.com/m${String(n)} v1.0.0/go.mod h1:mod`,
];

/** A client and its database; `look(n)` looks up `example.com/m<n>`. */
export function start(count: number, head = new MemoryHead(), records = someRecords(count)) {
  const db = new MemorySumdb(signer, records);
  const client = new SumdbClient(signer.verifier, db, head);
  const look = (n: number) => client.lookup(`example.com/m${String(n)}`, 'v1.0.0', signal);
  return { db, client, head, look };
}

export const securityError = expect.objectContaining({
  code: 'checksum_mismatch',
  message: expect.stringMatching(/^checksum mismatch: security error: /) as string,
}) as Error;
