// The servers that are measured, and what they need. Each keeps its things in a folder of its own.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { progress } from './figures.ts';
import type { Image } from './image.ts';
import { run, startServer, type Server } from './processes.ts';

/** What is made once and kept: other programs, modules. */
export const cacheDir = path.join(tmpdir(), 'larder-bench');

const fromHere = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const PATH = process.env['PATH'] ?? '';

export type Settings = Readonly<Record<string, string>>;

/** URLs: a Go proxy, a registry. */
interface Upstreams {
  readonly go?: string;
  readonly images?: string;
}

/**
 * Larder as it was built, with its settings as they are but for what it asks, no checksum database, and `settings`: on files
 * in its folder, unless these say otherwise.
 */
export function startLarder(
  dir: string,
  upstreams: Upstreams,
  { name = 'Larder', settings }: { name?: string; settings?: (port: number) => Settings } = {},
): Promise<Server> {
  mkdirSync(dir, { recursive: true });
  return startServer({
    name,
    command: process.execPath,
    args: () => [larderProgram, 'serve'],
    env: (port) => ({
      PATH,
      HOME: dir,
      LARDER_HOST: '127.0.0.1',
      LARDER_PORT: String(port),
      LARDER_SPOOL_DIR: path.join(dir, 'spool'),
      ...(settings?.(port) ?? { LARDER_STORAGE_DIR: path.join(dir, 'store') }),
      LARDER_GO_UPSTREAM: upstreams.go ?? 'off',
      LARDER_GO_SUMDB: 'off',
      ...(upstreams.images && { LARDER_OCI_UPSTREAMS: `registry.test=${upstreams.images}` }),
    }),
    log: path.join(dir, 'log'),
  });
}

/** The program that LARDER_BENCH_GOPROXY names, else one that is built at the first time. */
export const goproxyProgram = (): Promise<string> => peerProgram('goproxy', 'LARDER_BENCH_GOPROXY');

/** The same of distribution: LARDER_BENCH_REGISTRY. */
export const distributionProgram = (): Promise<string> =>
  peerProgram('registry', 'LARDER_BENCH_REGISTRY');

/** The same of crane: LARDER_BENCH_CRANE. */
export const craneProgram = (): Promise<string> => peerProgram('crane', 'LARDER_BENCH_CRANE');

/** Larder as it was built. */
export const larderProgram = fromHere('../../dist/main.js');

async function peerProgram(peer: string, variable: string): Promise<string> {
  const given = process.env[variable];
  if (given !== undefined) return path.resolve(given);
  const program = path.join(cacheDir, 'peers', peer);
  if (!existsSync(program)) {
    progress(`building ${peer}`);
    await run('bash', [fromHere('../../scripts/build-peers.sh'), path.dirname(program), peer]);
  }
  return program;
}

/** What a bucket on loopback is opened with. */
export const BUCKET = 'larder';
export const KEYS = { accessKeyId: 'larder', secretAccessKey: 'only-for-benchmarks' } as const;

/** The program of scripts/install-servers.sh. */
const versitygw = path.join(tmpdir(), 'larder-go-tools', 'versitygw-v1.0.14');

/** A small S3 server over a folder, with one bucket. */
export async function startS3(dir: string): Promise<Server> {
  await run('bash', [fromHere('../../scripts/install-servers.sh')]);
  const buckets = path.join(dir, 'buckets');
  mkdirSync(path.join(buckets, BUCKET), { recursive: true });
  return startServer({
    name: 'the S3 server itself',
    command: versitygw,
    args: (port) => ['--port', `127.0.0.1:${String(port)}`, '--quiet', 'posix', buckets],
    env: () => ({
      PATH,
      HOME: dir,
      ROOT_ACCESS_KEY: KEYS.accessKeyId,
      ROOT_SECRET_KEY: KEYS.secretAccessKey,
    }),
    log: path.join(dir, 's3.log'),
  });
}

/** Redis, which keeps nothing. It breaks a connection that speaks HTTP: that it does so shows that it is there. */
export function startRedis(dir: string): Promise<Server> {
  return startServer({
    name: 'Redis',
    command: 'redis-server',
    args: (port) => ['--port', String(port), '--bind', '127.0.0.1', '--save', ''],
    env: () => ({ PATH }),
    log: path.join(dir, 'redis.log'),
  });
}

/** Settings of a replica on that bucket. */
export const onBucket = (s3: Server): Settings => ({
  LARDER_STORAGE: 's3',
  LARDER_S3_BUCKET: BUCKET,
  LARDER_S3_ENDPOINT: s3.base,
  LARDER_S3_FORCE_PATH_STYLE: 'true',
  LARDER_S3_ACCESS_KEY_ID: KEYS.accessKeyId,
  LARDER_S3_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
});

export function startGoproxy(program: string, dir: string, upstream: string): Promise<Server> {
  const temp = path.join(dir, 'tmp');
  mkdirSync(temp, { recursive: true });
  return startServer({
    name: 'goproxy',
    command: program,
    args: (port) => [
      ...['server', '--address', `127.0.0.1:${String(port)}`],
      ...['--cacher-dir', path.join(dir, 'store'), '--temp-dir', temp],
    ],
    env: () => ({
      PATH,
      HOME: dir,
      GOENV: 'off',
      GOPROXY: upstream,
      GOSUMDB: 'off',
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      GOMODCACHE: path.join(dir, 'modules'),
    }),
    log: path.join(dir, 'log'),
  });
}

/** Distribution as a pull-through proxy, with no log of its requests. It does not start without its upstream. */
export function startDistribution(program: string, dir: string, upstream: string): Promise<Server> {
  mkdirSync(dir, { recursive: true });
  const settings = path.join(dir, 'settings.yml');
  const storage = { filesystem: { rootdirectory: path.join(dir, 'store') } };
  // JSON is YAML
  writeFileSync(
    settings,
    JSON.stringify({
      version: 0.1,
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { ...storage, cache: { blobdescriptor: 'inmemory' } },
      proxy: { remoteurl: upstream },
    }),
  );
  return startServer({
    name: 'distribution',
    command: program,
    args: () => ['serve', settings],
    env: (port) => ({
      PATH,
      HOME: dir,
      REGISTRY_HTTP_ADDR: `127.0.0.1:${String(port)}`,
      OTEL_TRACES_EXPORTER: 'none',
    }),
    log: path.join(dir, 'log'),
  });
}

/** The upstream of the modules: module files from `folder`, each answer `delayMs` late. */
export function startUpstream(dir: string, folder: string, delayMs: number): Promise<Server> {
  return startOwn('the upstream', dir, '../servers/upstream.ts', [folder, String(delayMs)]);
}

/** The upstream of the images, each answer `delayMs` late. */
export function startRegistry(dir: string, image: Image, delayMs: number): Promise<Server> {
  const args = [String(delayMs), JSON.stringify(image)];
  return startOwn('the registry', dir, '../servers/registry.ts', args);
}

/** A registry that has every tag, each answer late by `delayMs`. */
export const startTags = (dir: string, delayMs: number): Promise<Server> =>
  startOwn('the registry', dir, '../servers/tags.ts', [String(delayMs)]);

/** What one of these two was asked since the last call: a registry for blobs, by GET. */
export async function counted(upstream: Server): Promise<{ requests: number; bytes: number }> {
  const response = await fetch(`${upstream.base}/counted`);
  return (await response.json()) as { requests: number; bytes: number };
}

/** A bare node:http: the paths under `folder`, small ones from memory and large ones from the file. */
export function startBare(
  dir: string,
  folder: string,
  paths: { readonly small: readonly string[]; readonly large: readonly string[] },
): Promise<Server> {
  const list = [...paths.small, '--', ...paths.large];
  return startOwn('bare node:http', dir, '../servers/bare.ts', [folder, ...list]);
}

function startOwn(
  name: string,
  dir: string,
  program: string,
  args: readonly string[],
): Promise<Server> {
  return startServer({
    name,
    command: process.execPath,
    args: (port) => [fromHere(program), String(port), ...args],
    env: () => ({ PATH }),
    log: path.join(dir, `${path.basename(program)}.log`),
  });
}
