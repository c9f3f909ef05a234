// Real S3 servers on loopback, for stores to be tested on. scripts/install-servers.sh installs their programs.

import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { S3Store, type S3StoreOptions } from '../../src/storage/s3-store.ts';
import { startCeph } from './ceph.ts';
import { answering, freePorts, startDaemon, type Daemon } from './daemon.ts';
import { startSwift } from './swift.ts';
import { atEnd, tempDir } from './tmp.ts';

export interface S3Access {
  /** URL without a slash at its end. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** What a server's own file starts. */
export interface S3Processes {
  readonly access: S3Access;
  /** The process that answers clients, and how it is started once more on the same data. */
  readonly gateway: Daemon;
  startGateway(): Promise<Daemon>;
  /** Ends the processes behind it. */
  stop(): Promise<void>;
}

export interface S3Server extends S3Access {
  /** For what a test does or looks at by itself. It ends with the server. */
  readonly client: S3Client;
  makeBucket(name: string): Promise<void>;
  /** Ends the process that answers clients, with no chance to tidy up. */
  kill(): Promise<void>;
  /** Starts it again after `kill`; resolves when it answers. */
  restart(): Promise<void>;
  /** It holds its connections, takes new ones, and answers none. */
  pause(): void;
  resume(): void;
}

/** Ceph's gateway: refuses the second of two creations, races included. */
export const cephServer = (): Promise<S3Server> => serverOf(startCeph());

/** Swift's gateway: refuses every conditional creation as not implemented. */
export const swiftServer = (): Promise<S3Server> => serverOf(startSwift());

/** A gateway over a directory: takes the condition of a creation and ignores it. */
export const versityServer = (): Promise<S3Server> => serverOf(startVersity());

let buckets = 0;

/** Makes an empty bucket and gives its name. */
export async function bucketOn(server: S3Server): Promise<string> {
  const name = `larder-${String(++buckets)}`;
  await server.makeBucket(name);
  return name;
}

/** A store in the folder `larder` of a bucket, which is closed at the end of the test. */
export function storeOn(
  { endpoint, region, accessKeyId, secretAccessKey }: S3Access,
  bucket: string,
  options: Partial<S3StoreOptions> = {},
): S3Store {
  const store = new S3Store({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    bucket,
    prefix: 'larder',
    forcePathStyle: true,
    callTimeoutMs: 10_000,
    ...options,
  });
  atEnd(() => {
    store.close();
  });
  return store;
}

/** It ends with the test or file that started it. */
async function serverOf(starting: Promise<S3Processes>): Promise<S3Server> {
  const processes = await starting;
  const { endpoint, region, accessKeyId, secretAccessKey } = processes.access;
  let { gateway } = processes;
  const client = new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  atEnd(async () => {
    client.destroy();
    await gateway.kill();
    await processes.stop();
  });
  return {
    ...processes.access,
    client,
    makeBucket: async (name) => {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    kill: () => gateway.kill(),
    restart: async () => {
      gateway = await processes.startGateway();
    },
    pause: () => {
      gateway.signal('SIGSTOP');
    },
    resume: () => {
      gateway.signal('SIGCONT');
    },
  };
}

/** Where scripts/install-servers.sh puts it. */
const VERSITYGW = path.join(tmpdir(), 'larder-go-tools', 'versitygw-v1.0.14');

async function startVersity(): Promise<S3Processes> {
  if (!existsSync(VERSITYGW))
    throw new Error('These tests need versitygw: run scripts/install-servers.sh.');
  const folder = tempDir();
  const objects = path.join(folder, 'objects');
  mkdirSync(objects);
  const [port] = await freePorts(1);
  const endpoint = `http://127.0.0.1:${String(port)}`;
  const access = {
    endpoint,
    region: 'us-east-1',
    accessKeyId: 'larder',
    secretAccessKey: 'larder-test-secret',
  };
  const startGateway = async () => {
    const args = ['--port', `127.0.0.1:${String(port)}`, '--quiet', 'posix', objects];
    const daemon = startDaemon('versitygw', VERSITYGW, args, {
      folder,
      env: { ROOT_ACCESS_KEY: access.accessKeyId, ROOT_SECRET_KEY: access.secretAccessKey },
    });
    await answering(endpoint, daemon);
    return daemon;
  };
  return {
    access,
    gateway: await startGateway(),
    startGateway,
    stop: () => Promise.resolve(),
  };
}
