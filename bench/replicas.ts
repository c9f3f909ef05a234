// Larder on S3 beside Larder on files, and three replicas beside one.

import path from 'node:path';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Redis } from 'ioredis';
import { download, downloadAll, type Download } from './support/download.ts';
import { count, fixed, median, progress, ratio, table, times } from './support/figures.ts';
import {
  blobPath,
  digestOf,
  makeBlob,
  makeManifest,
  MANIFEST_TYPE,
  manifestPath,
  type MadeBlob,
} from './support/image.ts';
import type { Server } from './support/processes.ts';
import { bytesTable, measureInTurn, requestsTable } from './support/rounds.ts';
import {
  BUCKET,
  counted,
  KEYS,
  onBucket,
  startLarder,
  startRedis,
  startRegistry,
  startS3,
  type Settings,
} from './support/servers.ts';
import { needWrk } from './support/wrk.ts';

const ROUNDS = 5;
const HERD_ROUNDS = 3;
const CLIENTS_EACH = 4;
const SIZE = 2 ** 28;
const headers = { Accept: MANIFEST_TYPE };
const SMALL = { connections: 16, seconds: 2, headers };
const LARGE = { connections: 4, seconds: 3 };
/** Blobs of a mebibyte, to count what a fill costs in Redis. */
const COUNTED = 50;

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchReplicas(dir: string): Promise<string> {
  needWrk();
  const manifest = makeManifest();
  const warmBlob = makeBlob(0, SIZE);
  const herds = Array.from({ length: 3 * HERD_ROUNDS }, (_, i) => makeBlob(1 + i, SIZE));
  const many = Array.from({ length: COUNTED }, (_, i) => makeBlob(100 + i, 2 ** 20));
  const blobs = [warmBlob, ...herds, ...many];
  const started: Server[] = [];
  const begin = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting;
    started.push(server);
    return server;
  };
  try {
    const registry = await begin(startRegistry(dir, { manifest, blobs }, 0));
    const s3 = await begin(startS3(dir));
    const redis = await begin(startRedis(dir));
    const larder = (name: string, settings?: (port: number) => Settings) =>
      begin(
        startLarder(
          path.join(dir, name.replaceAll(/\W+/g, '-')),
          { images: registry.base },
          { name, ...(settings && { settings }) },
        ),
      );
    const bucket = onBucket(s3);
    const files = await larder('Larder on files');
    const onS3 = await larder('Larder on S3', () => bucket);
    const cached = await larder('with a disk cache', () => ({
      ...bucket,
      LARDER_S3_DISK_CACHE: '1GiB',
    }));
    const byDigest = manifestPath(digestOf(manifest));
    const layer = blobPath(warmBlob.digest);
    for (const server of [files, onS3, cached])
      for (const url of [byDigest, layer]) await warm(server, url);
    const hits = await measureInTurn([files, onS3], byDigest, SMALL, ROUNDS);
    // by its signed address: the server's own path and query
    const signed = await signedPath(s3, warmBlob);
    const bodies = await measureInTurn(
      [s3, onS3, cached],
      (server) => (server === s3 ? signed : layer),
      LARGE,
      ROUNDS,
    );

    const shared = { ...bucket, LARDER_REDIS_URL: redis.base.replace('http:', 'redis:') };
    const trio = (name: string, more: (port: number) => Settings = () => ({})) =>
      Promise.all(
        [1, 2, 3].map((i) =>
          larder(`${name} ${String(i)}`, (port) => ({ ...shared, ...more(port) })),
        ),
      );
    const waiting = await trio('replica');
    const streaming = await trio('peer', (port) => ({
      LARDER_PEER_URL: `http://127.0.0.1:${String(port)}`,
      LARDER_PEER_SECRET: 'only-for-benchmarks',
    }));
    const commands = await commandsOf(redis, () => pullAll(waiting, many));
    const rows = new Map<string, Pull[]>();
    for (let round = 0; round < HERD_ROUNDS; round++) {
      const [alone, without, withPeers] = herds.slice(3 * round);
      if (alone === undefined || without === undefined || withPeers === undefined) break;
      for (const [name, servers, blob, each] of [
        ['1 client at one replica', waiting.slice(0, 1), alone, 1],
        ['12 clients at three', waiting, without, CLIENTS_EACH],
        ['12 clients at three, streaming', streaming, withPeers, CLIENTS_EACH],
      ] as const) {
        const pulled = await pull(registry, servers, blob, each);
        progress(`${name}: ${fixed(pulled.seconds, 2)} s`);
        rows.set(name, [...(rows.get(name) ?? []), pulled]);
      }
    }
    return [
      requestsTable('warm manifest by digest', hits, 'files'),
      bytesTable('warm blob of 256 MiB', bodies, 'the S3 server'),
      herdTable(rows),
      `Redis commands a fill: ${fixed(commands / COUNTED, 1)}.`,
    ].join('\n\n');
  } finally {
    await Promise.all(started.map((server) => server.stop()));
  }
}

/** Until it comes out of the store: what is fetched while another one stores it is not kept near. */
async function warm(server: Server, url: string): Promise<void> {
  const response = await fetch(server.base + url, { headers });
  const got = digestOf(Buffer.from(await response.arrayBuffer()));
  if (!response.ok || !url.endsWith(got))
    throw new Error(`${server.name} answers ${String(response.status)} with ${got} for ${url}`);
  if (response.headers.get('x-larder-cache') !== 'hit') await warm(server, url);
}

async function signedPath(s3: Server, { digest }: MadeBlob): Promise<string> {
  const client = new S3Client({
    endpoint: s3.base,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: KEYS,
  });
  const hex = digest.replace('sha256:', '');
  const Key = `oci/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
  const url = new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: BUCKET, Key })));
  client.destroy();
  return url.pathname + url.search;
}

interface Pull extends Download {
  readonly upstreamRequests: number;
}

/** One cold blob to so many clients at each of the servers at once. */
async function pull(
  registry: Server,
  servers: readonly Server[],
  blob: MadeBlob,
  each: number,
): Promise<Pull> {
  await counted(registry);
  const urls = servers.flatMap(({ base }) =>
    Array.from({ length: each }, () => base + blobPath(blob.digest)),
  );
  const pulled = await downloadAll(urls, blob.size);
  return { ...pulled, upstreamRequests: (await counted(registry)).requests };
}

/** Each blob once, at the replicas in turn. */
async function pullAll(servers: readonly Server[], blobs: readonly MadeBlob[]): Promise<void> {
  for (const [i, blob] of blobs.entries()) {
    const { base = '' } = servers[i % servers.length] ?? {};
    await download(base + blobPath(blob.digest), blob.size);
  }
}

/** How many commands scripts and clients gave Redis meanwhile, without those inside of scripts. */
async function commandsOf(redis: Server, work: () => Promise<void>): Promise<number> {
  const client = new Redis(redis.base.replace('http:', 'redis:'));
  const given = async () =>
    Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(await client.info('commandstats'))?.[1] ?? 0);
  const before = await given();
  await work();
  const after = await given();
  client.disconnect();
  return after - before;
}

function herdTable(rows: ReadonlyMap<string, readonly Pull[]>): string {
  const seconds = (of: readonly Pull[] = []) => of.map((one) => one.seconds);
  const [alone = []] = rows.values();
  return table(
    ['cold blob of 256 MiB', 'ms to first byte', 'seconds', 'of 1 client', 'upstream GETs'],
    Array.from(rows, ([name, of]) => [
      name,
      count(median(of.map((one) => one.firstByteMs))),
      fixed(median(seconds(of)), 2),
      times(ratio(seconds(of), seconds(alone))),
      count(median(of.map((one) => one.upstreamRequests))),
    ]),
  );
}
