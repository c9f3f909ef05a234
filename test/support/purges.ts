// Purges as an operator asks for them.

import { statSync } from 'node:fs';
import { expect } from 'vitest';
import { request } from './http.ts';
import { filesBelow } from './tmp.ts';

/** Settings of a Larder that can be told to purge. */
export const ADMIN = { LARDER_ADMIN_TOKEN: 'token-of-the-tests' } as const;

export interface Purged {
  readonly purged: readonly string[];
  readonly freedBytes: number;
}

/** What one was told of its end. */
export async function purge(
  base: string,
  body: { readonly go?: string; readonly oci?: string; readonly dryRun?: boolean },
  requestId?: string,
): Promise<Purged> {
  const { status, text } = await request(base, '/admin/purge', {
    method: 'POST',
    headers: {
      authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}`,
      ...(requestId !== undefined && { 'x-request-id': requestId }),
    },
    body: JSON.stringify(body),
  });
  expect([status, text]).toEqual([200, expect.anything()]);
  return JSON.parse(text) as Purged;
}

/** Bytes of content in the folder of a file store, where they may go meanwhile. */
export const bytesHeld = (storageDir: string): number =>
  filesBelow(storageDir)
    .map((file) => file.slice(storageDir.length))
    .filter((key) => /^\/oci\/blobs\/[^.]*$|^\/go\/.*\.(info|mod|zip)$/.test(key))
    .reduce(
      (bytes, key) => bytes + (statSync(storageDir + key, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
