// Random bits flipped in one of a hundred of ten thousand objects: verification finds exactly these, and a repair heals them, on a disk,
// on S3, and, of a thousand, on S3 that creates nothing conditionally (issue 7, behaviour 5).

import {
  GetObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { mapBounded } from '../../src/engine/bounded.ts';
import type { Store } from '../../src/engine/ports.ts';
import { FileStore } from '../../src/storage/file.ts';
import { never } from '../support/engine.ts';
import { keepImage, keepModule, seeded, type Kept } from '../support/filled-store.ts';
import {
  bucketOn,
  storeOn,
  swiftServer,
  versityServer,
  type S3Server,
} from '../support/s3-servers.ts';
import { filesBelow, tempDir } from '../support/tmp.ts';
import { verifierOf } from '../support/verifiers.ts';

/** At once. */
const LANES = 16;
const PREFIX = 'larder/';

interface Place {
  readonly store: Store;
  /** Of every object. */
  keys(): Promise<string[]>;
  change(key: string, by: (bytes: Buffer) => void): Promise<void>;
}

async function onDisk(): Promise<Place> {
  const root = tempDir();
  const store = new FileStore(root, (key, error) => {
    throw new Error(`${key} was not synced`, { cause: error });
  });
  await store.sweep();
  return {
    store,
    keys: () => Promise.resolve(filesBelow(root).map((file) => path.relative(root, file))),
    change(key, by) {
      const bytes = readFileSync(path.join(root, key));
      by(bytes);
      writeFileSync(path.join(root, key), bytes);
      return Promise.resolve();
    },
  };
}

async function inBucket(startServer: () => Promise<S3Server>): Promise<Place> {
  const server = await startServer();
  const bucket = await bucketOn(server);
  const { client }: { client: S3Client } = server;
  return {
    store: storeOn(server, bucket),
    async keys() {
      const keys: string[] = [];
      for await (const page of paginateListObjectsV2(
        { client },
        { Bucket: bucket, Prefix: PREFIX },
      ))
        keys.push(...(page.Contents ?? []).map(({ Key = '' }) => Key.slice(PREFIX.length)));
      return keys;
    },
    async change(key, by) {
      const at = { Bucket: bucket, Key: PREFIX + key };
      const { Body, Metadata, ContentType } = await client.send(new GetObjectCommand(at));
      const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
      by(bytes);
      await client.send(new PutObjectCommand({ ...at, Body: bytes, Metadata, ContentType }));
    },
  };
}

/** So many objects, or somewhat more. */
async function fill(store: Store, objects: number): Promise<Kept[]> {
  // a module has 13 objects at least, an image 23 that are its own
  const kept = await mapBounded([...Array(Math.ceil(objects / 36)).keys()], LANES, async (i) => {
    const repository = { upstream: { name: 'reg.test:5000' }, path: `team/app${String(i)}` };
    const layers = Array.from({ length: 5 }, (_, n) => `${String(i)}-${String(n)}`.repeat(100));
    return [
      ...(await keepModule(store, `example.com/m${String(i)}`, 4)),
      ...(await keepImage(store, repository, 'v1', [...layers, 'shared'])),
    ];
  });
  return kept.flat();
}

describe.for([
  ['on a disk', 10_000, onDisk],
  ['on versitygw', 10_000, () => inBucket(versityServer)],
  // a request takes it ten times as long
  ["on Swift's gateway", 1000, () => inBucket(swiftServer)],
] as const)('%s', ([, objects, make]) => {
  test(
    'exactly the flipped ones are found, and all is well after a repair',
    { timeout: 600_000 },
    async () => {
      const place = await make();
      const names = new Map((await fill(place.store, objects)).map(({ key, name }) => [key, name]));
      const keys = (await place.keys()).filter((key) => key !== 'format.json').sort();
      expect(keys.length).toBeGreaterThanOrEqual(objects);
      const random = seeded(11);
      const chosen = new Set<string>();
      while (chosen.size < objects / 100)
        chosen.add(keys[Math.floor(random() * keys.length)] ?? '');
      for (const key of chosen)
        await place.change(key, (bytes) => {
          const bit = Math.floor(random() * bytes.length * 8);
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        });
      // beside its content on a disk
      const wrong = new Set([...chosen].map((key) => key.replace(/\.record$/, '')));
      const expected = [...wrong].map((key) => nameOf(key, names)).sort();
      const { verifier } = verifierOf(place.store);
      const found = await verifier.run({ repair: false }, never);
      expect(withoutOwner(found.corrupt)).toEqual(expected);
      const mended = await verifier.run({ repair: true }, never);
      expect(withoutOwner(mended.corrupt)).toEqual(expected);
      expect(mended.repaired).toBe(expected.length);
      expect(await verifier.run({ repair: false }, never)).toMatchObject({ corrupt: [] });
      for (const key of wrong)
        if (names.has(key)) expect([key, await place.store.record(key)]).toEqual([key, undefined]);
    },
  );
});

/** What is shared goes by any of its repositories. */
const withoutOwner = (names: readonly string[]) =>
  names.map((name) => name.replace(/^oci:.*@/, 'oci:@')).sort();

function nameOf(key: string, names: ReadonlyMap<string, string>): string {
  const [, algorithm, hex] = /^oci\/blobs\/(\w+)\/\w\w\/(\w+)$/.exec(key) ?? [];
  return hex ? `oci:@${String(algorithm)}:${hex}` : (names.get(key) ?? `document:${key}`);
}
