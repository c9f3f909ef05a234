import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/engine/ports.ts';
import { diskCached } from '../../src/storage/disk-cache.ts';
import { hot } from '../../src/storage/hot.ts';
import { toMetadata } from '../../src/storage/s3-record.ts';
import { withTimeout } from '../../src/storage/timeout.ts';
import { storeContract } from '../contract/store.ts';
import { recordOf } from '../support/records.ts';
import { bytesOf, sha256 } from '../support/engine.ts';
import {
  bucketOn,
  cephServer,
  storeOn,
  swiftServer,
  versityServer,
  type S3Server,
} from '../support/s3-servers.ts';
import { tempDir } from '../support/tmp.ts';

const servers = new Map<string, S3Server>();
const starts = { Ceph: cephServer, Swift: swiftServer, versitygw: versityServer };

beforeAll(async () => {
  const starting = Object.entries(starts).map(async ([name, start]) => {
    servers.set(name, await start());
  });
  await Promise.all(starting);
}, 90_000);

function serverOf(name: string): S3Server {
  const server = servers.get(name);
  if (server === undefined) throw new Error(`${name} does not run`);
  return server;
}

const key = 'go/example.com/m/@v/v1.0.0.zip';
const small = Buffer.from('small content');
const large = Buffer.alloc(1024 * 1024 + 7, 'abcdefg');

async function contentOf(store: Store, name = key): Promise<Buffer | undefined> {
  const stored = await store.open(name);
  if (stored === undefined) return undefined;
  try {
    return await bytesOf(stored.body);
  } finally {
    stored.body.close();
  }
}

async function fileOf(bytes: Uint8Array): Promise<string> {
  const file = path.join(tempDir(), 'spool');
  await writeFile(file, bytes);
  return file;
}

describe.each([
  ['Ceph', 'enforced'],
  ['Swift', 'refused'],
  ['versitygw', 'ignored'],
] as const)('%s', (name, mode) => {
  const fresh = async (options?: Parameters<typeof storeOn>[2]) => {
    const server = serverOf(name);
    const bucket = await bucketOn(server);
    return { server, bucket, store: storeOn(server, bucket, options) };
  };
  const contract = (variant: string, decorate: (store: Store) => Store) => {
    storeContract(`${name}${variant}`, async () => {
      const { server, bucket, store } = await fresh();
      return {
        store: decorate(store),
        reopen: () => Promise.resolve(decorate(storeOn(server, bucket))),
      };
    });
  };
  contract('', (store) => store);
  contract(', small content in memory', hot);
  contract(', with deadlines', (store) => withTimeout(store, { call: 10_000, stash: 10_000 }));
  contract(', large content on the disk', (store) =>
    diskCached(store, {
      folder: tempDir(),
      maxBytes: 16 * 1024 * 1024,
      failed: (error) => {
        throw error;
      },
    }),
  );

  it(`finds out that create-if-absent is ${mode}`, async () => {
    const { server, bucket, store } = await fresh();
    expect(await store.createIfAbsent()).toBe(mode);
    expect(await storeOn(server, bucket).createIfAbsent()).toBe(mode);
    expect(await store.list('')).toEqual([]);
  });

  it('holds one of the contents that 16 store at once, whole', async () => {
    const { server, bucket, store } = await fresh();
    const replicas = [store, storeOn(server, bucket), storeOn(server, bucket)];
    const racers = Array.from({ length: 16 }, async (_, i) => {
      const bytes = Buffer.alloc(100_000 + i, `content ${String(i)} `);
      const source = i % 2 === 0 ? { bytes } : { path: await fileOf(bytes) };
      return replicas[i % replicas.length]?.stash(key, source, recordOf(bytes));
    });
    const outcomes = await Promise.all(racers);
    const wins = outcomes.filter((outcome) => outcome === 'stored').length;
    if (mode === 'enforced') expect(wins).toBe(1);
    else expect(wins).toBeGreaterThan(0);
    const stored = await contentOf(store);
    const record = await store.record(key);
    expect(record).toEqual(recordOf(stored ?? Buffer.alloc(0)));
    expect(await store.stash(key, { bytes: small }, recordOf(small))).toBe('present');
  });

  it('keeps a record of any letters, and of some length', async () => {
    const { store } = await fresh();
    const extra = { goMod: 'ä€😀  "two\\ spaces"\n', mediaType: 'x'.repeat(900) };
    await store.stash(key, { bytes: small }, recordOf(small, extra));
    expect(await store.record(key)).toEqual(recordOf(small, extra));
    const stored = await store.open(key);
    expect(stored?.record).toEqual(recordOf(small, extra));
  });

  it('says what type its objects are of', async () => {
    const { server, bucket, store } = await fresh();
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const blob = 'oci/blobs/sha256/ab/abc';
    await store.stash(key, { bytes: small }, recordOf(small));
    await store.stash(blob, { bytes: small }, recordOf(small, { mediaType }));
    const typeOf = async (Key: string) =>
      (await server.client.send(new HeadObjectCommand({ Bucket: bucket, Key: `larder/${Key}` })))
        .ContentType;
    expect(await typeOf(key)).toBe('application/zip');
    expect(await typeOf(blob)).toBe(mediaType);
  });

  it.each(['bytes', 'a file'])('refuses %s that differ from their record', async (kind) => {
    const { store } = await fresh();
    const source = kind === 'bytes' ? { bytes: small } : { path: await fileOf(small) };
    const record = { ...recordOf(small), sha256: sha256(Buffer.from('other')) };
    await expect(store.stash(key, source, record)).rejects.toMatchObject({ code: 'store_failed' });
    expect(await store.open(key)).toBeUndefined();
    expect(await store.record(key)).toBeUndefined();
    expect(await store.stash(key, source, recordOf(small))).toBe('stored');
  });

  it.each([
    ['without a record', small, undefined],
    ['with a broken record', small, { 'larder-record-0': '{"size":' }],
    ['of another size than its record', Buffer.from('small'), toMetadata(recordOf(small))],
    ['of other bytes than its record', Buffer.from('SMALL content'), toMetadata(recordOf(small))],
  ])('does not know an object %s, and replaces it', async (_, Body, Metadata) => {
    const { server, bucket, store } = await fresh();
    const input = { Bucket: bucket, Key: `larder/${key}`, Body, Metadata };
    await server.client.send(new PutObjectCommand(input));
    expect(await store.open(key)).toBeUndefined();
    expect(await store.stash(key, { bytes: small }, recordOf(small))).toBe('stored');
    expect(await contentOf(store)).toEqual(small);
  });

  it('gives ranges of large content', async () => {
    const { store } = await fresh();
    await store.stash(key, { bytes: large }, recordOf(large));
    const stored = await store.open(key);
    const ranges = [
      [0, 10],
      [65_530, 65_540],
      [65_536, 65_537],
      [500_000, undefined],
      [large.length - 1, large.length],
    ] as const;
    for (const [start, end] of ranges) {
      const part = stored && (await bytesOf(stored.body, start, end));
      expect(part?.equals(large.subarray(start, end))).toBe(true);
    }
    stored?.body.close();
  });

  it('never gives the bytes of another object than the one that was opened', async () => {
    const { server, bucket, store } = await fresh();
    await store.stash(key, { bytes: large }, recordOf(large));
    const replaced = await store.open(key);
    const Body = Buffer.alloc(large.length, 'other');
    await server.client.send(new PutObjectCommand({ Bucket: bucket, Key: `larder/${key}`, Body }));
    expect(replaced).toBeDefined();
    const read = replaced && bytesOf(replaced.body);
    await expect(read).rejects.toMatchObject({ code: 'store_failed' });
    replaced?.body.close();
  });

  it('fails for a reader what another process deletes before the rest is asked for', async () => {
    const { server, bucket, store } = await fresh();
    await store.stash(key, { bytes: large }, recordOf(large));
    const stored = await store.open(key);
    await storeOn(server, bucket).delete(key);
    expect(stored).toBeDefined();
    const read = stored && bytesOf(stored.body);
    await expect(read).rejects.toMatchObject({ code: 'store_failed' });
    stored?.body.close();
  });

  it('gives a URL of content from a size on, which answers ranges', async () => {
    const { store } = await fresh({ redirectAbove: large.length });
    await store.stash(key, { bytes: large }, recordOf(large));
    await store.stash('go/small.mod', { bytes: small }, recordOf(small));
    expect((await store.open('go/small.mod'))?.url).toBeUndefined();
    const timely = withTimeout(store, { call: 10_000, stash: 10_000 });
    const url = (await timely.open(key))?.url;
    const answer = await fetch((await url?.()) ?? '', { headers: { Range: 'bytes=70000-70009' } });
    expect(answer.status).toBe(206);
    expect(answer.headers.get('content-type')).toBe('application/zip');
    const part = Buffer.from(await answer.arrayBuffer());
    expect(part.equals(large.subarray(70_000, 70_010))).toBe(true);
    const named = await store.presign(key, { contentType: 'x/y', filename: 'a "ü.zip' });
    const whole = await fetch(named);
    if (name !== 'versitygw') {
      // which keeps to what the object says of itself
      expect(whole.headers.get('content-type')).toBe('x/y');
      expect(whole.headers.get('content-disposition')).toBe('attachment; filename="a __.zip"');
    }
    expect(Buffer.from(await whole.arrayBuffer()).equals(large)).toBe(true);
  });

  describe('in parts', () => {
    const huge = Buffer.alloc(12 * 1024 * 1024 + 7, 'abcdefghijk');
    const multipartAbove = 5 * 1024 * 1024;
    const uploadsIn = async (server: S3Server, bucket: string) => {
      const list = await server.client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return (list.Uploads ?? []).map(({ Key }) => Key);
    };

    it('stores what is larger than one PUT may be', async () => {
      const { server, bucket, store } = await fresh({ multipartAbove });
      const source = { path: await fileOf(huge) };
      expect(await store.stash(key, source, recordOf(huge))).toBe('stored');
      const head = new HeadObjectCommand({ Bucket: bucket, Key: `larder/${key}` });
      expect((await server.client.send(head)).ETag).toMatch(/-3"?$/);
      expect((await contentOf(store))?.equals(huge)).toBe(true);
      expect(await store.record(key)).toEqual(recordOf(huge));
      expect(await store.stash(key, source, recordOf(huge))).toBe('present');
      expect(await uploadsIn(server, bucket)).toEqual([]);
    });

    it('leaves nothing of an upload that fails', async () => {
      const { server, bucket, store } = await fresh({ multipartAbove, callTimeoutMs: 1000 });
      // it ends in the second part
      const path = await fileOf(huge.subarray(0, 7 * 1024 * 1024));
      await expect(store.stash(key, { path }, recordOf(huge))).rejects.toMatchObject({
        code: 'store_failed',
      });
      expect(await uploadsIn(server, bucket)).toEqual([]);
      expect(await store.open(key)).toBeUndefined();
    });

    it('gives up what killed processes left, of its own and after a day', async () => {
      const { server, bucket, store } = await fresh();
      for (const Key of ['larder/left', 'others/left']) {
        await server.client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }));
      }
      await store.sweep();
      expect(await uploadsIn(server, bucket)).toEqual(['larder/left', 'others/left']);
      await store.sweep(Date.now() + 2 * 24 * 3600_000);
      expect(await uploadsIn(server, bucket)).toEqual(['others/left']);
    });
  });
});

it('lists more names than a page has', async () => {
  const server = serverOf('versitygw');
  const store = storeOn(server, await bucketOn(server));
  const names = Array.from({ length: 1050 }, (_, i) => String(i).padStart(4, '0'));
  const waiting = [...names];
  const writer = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      await store.writeDocument(`answers/many/${name}`, small);
    }
  };
  await Promise.all(Array.from({ length: 32 }, writer));
  await store.writeDocument('answers/many/below/x', small);
  expect(await store.list('answers/many')).toEqual([...names, 'below/']);
});
