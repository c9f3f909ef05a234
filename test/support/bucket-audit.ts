// Walks a bucket: whatever else happened, all content in it is whole and what its name says.

import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { GetObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { fromMetadata } from '../../src/storage/s3-record.ts';

export interface Audit {
  /** Content that is there, without the prefix, ascending. */
  readonly keys: string[];
  /** A sentence for each thing that is not as it should be. */
  readonly problems: string[];
}

/**
 * Reads every blob, manifest and Go file below `prefix/`. `goFiles`: the SHA-256 that each Go file should have, hex, by its
 * key; a blob's is in its name.
 */
export async function auditBucket(
  client: S3Client,
  bucket: string,
  prefix: string,
  goFiles: ReadonlyMap<string, string>,
): Promise<Audit> {
  const keys: string[] = [];
  const problems: string[] = [];
  for await (const key of keysBelow(client, bucket, `${prefix}/`)) {
    const hex = /^oci\/blobs\/sha256\/(?<two>..)\/(?<hex>\k<two>[0-9a-f]{62})$/.exec(key)?.[2];
    const isContent = key.startsWith('oci/blobs/') || /^go\/.*\/@v\/.*\.(info|mod|zip)$/.test(key);
    if (!isContent) continue;
    keys.push(key);
    const command = new GetObjectCommand({ Bucket: bucket, Key: `${prefix}/${key}` });
    const { Body, Metadata } = await client.send(command);
    const { sha256, size } = await hashOf(Body as Readable);
    const expected = hex ?? goFiles.get(key);
    if (expected === undefined) problems.push(`${key} is not known`);
    else if (sha256 !== expected) problems.push(`${key} has other bytes (${String(size)} of them)`);
    const record = fromMetadata(Metadata);
    if (record?.sha256 !== sha256 || record.size !== size)
      problems.push(`${key} is not what its record says: ${JSON.stringify(record)}`);
  }
  return { keys: keys.sort(), problems };
}

async function* keysBelow(client: S3Client, bucket: string, folder: string) {
  let after: string | undefined;
  do {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: folder,
      ContinuationToken: after,
    });
    const page = await client.send(command);
    for (const { Key = '' } of page.Contents ?? []) yield Key.slice(folder.length);
    after = page.NextContinuationToken;
  } while (after !== undefined);
}

async function hashOf(body: Readable): Promise<{ sha256: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { sha256: hash.digest('hex'), size };
}
