// Larders that are to behave as one: on one bucket and one Redis, before the same upstreams, each with a spool of its own.

import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { auditBucket } from './bucket-audit.ts';
import { Body } from './body.ts';
import { client, type Client } from './client.ts';
import type { Asked, FaultServer } from './fault-server.ts';
import { Gate } from './faults.ts';
import { request, type Reply } from './http.ts';
import { startLarderProcess, type RunningLarder, type Settings } from './larder.ts';
import { filePath, type ModuleVersion, type VersionOptions } from './modules.ts';
import { startRegistry, type Registry } from './registry.ts';
import { bucketOn, storeOn, type S3Server } from './s3-servers.ts';
import { eventually } from './tmp.ts';
import { startUpstream, type Upstream } from './upstream.ts';

export type Three = readonly [RunningLarder, RunningLarder, RunningLarder];

/** Something that can be pulled and is in no store yet. */
export interface Artifact {
  /** Where clients ask for it. */
  readonly path: string;
  readonly body: Body;
  /** Of the store. */
  readonly key: string;
  readonly origin: FaultServer;
  /** What its upstream was asked for it by GET. */
  gets(): Asked[];
}

/** The folder of the bucket that it is all in. */
export const PREFIX = 'larder';

export class Cluster {
  readonly upstream: Upstream;
  readonly registry: Registry;
  readonly bucket: string;
  /** What all replicas have alike. */
  readonly settings: Settings;
  readonly #server: S3Server;
  readonly #goFiles = new Map<string, string>();
  #made = 0;

  private constructor(
    server: S3Server,
    redisUrl: string,
    bucket: string,
    upstreams: readonly [Upstream, Registry],
  ) {
    this.#server = server;
    this.bucket = bucket;
    [this.upstream, this.registry] = upstreams;
    this.settings = {
      LARDER_STORAGE: 's3',
      LARDER_S3_BUCKET: bucket,
      LARDER_S3_PREFIX: PREFIX,
      LARDER_S3_ENDPOINT: server.endpoint,
      LARDER_S3_REGION: server.region,
      LARDER_S3_FORCE_PATH_STYLE: 'true',
      LARDER_S3_ACCESS_KEY_ID: server.accessKeyId,
      LARDER_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
      LARDER_REDIS_URL: redisUrl,
      LARDER_REDIS_PREFIX: `${bucket}:`,
      LARDER_LEASE_TIME: '2s',
      LARDER_GO_UPSTREAM: this.upstream.url,
      LARDER_OCI_UPSTREAMS: `main.test=${this.registry.url}`,
    };
  }

  /** A bucket of its own and mock upstreams; they end with the test or file. */
  static async on(server: S3Server, redisUrl: string): Promise<Cluster> {
    const upstreams = [await startUpstream(), await startRegistry()] as const;
    return new Cluster(server, redisUrl, await bucketOn(server), upstreams);
  }

  /** One replica; `env` beside the settings that all share, or in their place. */
  start(env: Settings = {}): Promise<RunningLarder> {
    return startLarderProcess({ env: { ...this.settings, ...env } });
  }

  async startThree(env?: Settings): Promise<Three> {
    return Promise.all([this.start(env), this.start(env), this.start(env)]);
  }

  version(module: string, version: string, options?: VersionOptions): ModuleVersion {
    const made = this.upstream.add(module, version, options);
    for (const extension of ['info', 'mod', 'zip'] as const)
      this.#goFiles.set(`go${filePath(made, extension)}`, made[extension].sha256);
    return made;
  }

  /** The zip of a new module, with so many bytes of noise in it. */
  zip(noise: number): Artifact {
    const made = this.version(`example.com/made${String(++this.#made)}`, 'v1.0.0', { noise });
    const path = filePath(made, 'zip');
    return { path, body: made.zip, key: `go${path}`, ...asked(this.upstream, path) };
  }

  /** A blob of so many bytes. */
  blob(size: number): Artifact {
    const body = Body.noise(size, `made${String(++this.#made)}`);
    const { digest } = this.registry.addBlob('made/app', body);
    const path = `/v2/made/app/blobs/${digest}`;
    const key = `oci/blobs/sha256/${body.sha256.slice(0, 2)}/${body.sha256}`;
    return { path, body, key, ...asked(this.registry, path) };
  }

  /** When the stored bytes were checked, as their record says; undefined where nothing is stored. */
  async storedAt({ key }: Artifact): Promise<string | undefined> {
    return (await storeOn(this.#server, this.bucket, { prefix: PREFIX }).record(key))?.time;
  }

  /** Walks the bucket and expects everything in it to be whole. Keys of all content. */
  async audit(): Promise<string[]> {
    const { client: s3 } = this.#server;
    const { keys, problems } = await auditBucket(s3, this.bucket, PREFIX, this.#goFiles);
    expect(problems, problems.join('\n')).toEqual([]);
    return keys;
  }
}

/** Bytes of content in the bucket. */
export async function bytesIn({ client: s3 }: S3Server, bucket: string): Promise<number> {
  let bytes = 0;
  let after: string | undefined;
  do {
    const page = await s3.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: `${PREFIX}/`,
        ContinuationToken: after,
      }),
    );
    for (const { Key = '', Size = 0 } of page.Contents ?? [])
      if (/\/oci\/blobs\/|\/go\/.*\.(info|mod|zip)$/.test(Key)) bytes += Size;
    after = page.NextContinuationToken;
  } while (after !== undefined);
  return bytes;
}

const asked = (origin: FaultServer, path: string) => ({
  origin,
  gets: () => origin.requests(path).filter(({ method }) => method === 'GET'),
});

/** So many clients at once, over the replicas in turn. */
export function herd(
  larders: readonly Pick<RunningLarder, 'base'>[],
  path: string,
  count: number,
): Client[] {
  return Array.from({ length: count }, (_, i) => {
    const { base = '' } = larders[i % larders.length] ?? {};
    return client(base, path);
  });
}

/** Clients of one replica that have its first bytes, while the upstream holds after so many until the gate opens. */
export async function heldHerd(
  leader: Pick<RunningLarder, 'base'>,
  { origin, path }: Artifact,
  { count, holdAfter }: { readonly count: number; readonly holdAfter: number },
): Promise<{ readonly gate: Gate; readonly own: Client[] }> {
  const gate = new Gate();
  origin.fault(path, { holdAfter, gate });
  const own = herd([leader], path, count);
  await eventually('the leader hands on', () => own.every(({ received }) => received() > 0));
  return { gate, own };
}

export const repliesOf = (clients: readonly Client[]): Promise<Reply[]> =>
  Promise.all(clients.map(({ reply }) => reply));

/** What came of many requests: how often each. A reply with the right bytes is `right`. */
export function tally(replies: readonly Reply[], body: Body): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, complete, sha256, error } of replies) {
    let what = complete ? String(status) : `broken: ${error?.message ?? ''}`;
    if (complete && status === 200) what = sha256 === body.sha256 ? 'right' : 'wrong bytes';
    counts[what] = (counts[what] ?? 0) + 1;
  }
  return counts;
}

/** Fills that a replica has under way, its waits for another replica's included. */
export async function fillsInFlight({ base }: RunningLarder): Promise<number> {
  const { text } = await request(base, '/metrics');
  return Number(/^larder_fills_in_flight (\d+)$/m.exec(text)?.[1]);
}

export const whenWaiting = (larders: readonly RunningLarder[]): Promise<true> =>
  eventually('a fill is under way on each of them', async () => {
    const counts = await Promise.all(larders.map(fillsInFlight));
    return counts.every((count) => count > 0);
  });

export const whenIdle = (larders: readonly RunningLarder[]): Promise<true> =>
  eventually(
    'no fill is under way on any of them',
    async () => {
      const counts = await Promise.all(larders.map(fillsInFlight));
      return counts.every((count) => count === 0);
    },
    60_000,
  );

export interface Readiness {
  readonly status: number;
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
}

export async function readinessOf({ base }: RunningLarder): Promise<Readiness> {
  const { status, text } = await request(base, '/readyz');
  return { status, ...(JSON.parse(text) as Omit<Readiness, 'status'>) };
}

/** Waits until each is ready and, if so wished, has nothing to warn of. */
export const whenReady = (larders: readonly RunningLarder[], warnings = 0): Promise<true> =>
  eventually(
    'all are ready',
    async () => {
      const all = await Promise.all(larders.map(readinessOf));
      return all.every((one) => one.ready && one.warnings.length === warnings);
    },
    60_000,
  );
