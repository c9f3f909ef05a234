// A real registry on loopback, for clients and suites that want more than the mock of registry.ts. Knows no vitest: a script
// uses it too.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../../bench/support/processes.ts';

/** https://specs.opencontainers.org/image-spec/media-types */
export const MEDIA_TYPES = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  index: 'application/vnd.oci.image.index.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  gzippedLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

export interface RealRegistry {
  /** URL without a slash at its end. */
  readonly base: string;
  /** Its host and port. */
  readonly host: string;
  /** What it was asked so far, such as `GET /v2/library/alpine/manifests/3.20`, in the order of its log. */
  requests(): Promise<string[]>;
  /** Ends it, and resolves when it is gone. */
  stop(): Promise<void>;
}

/** The registry of Debian, or another one that LARDER_TEST_REGISTRY names. */
export const debianRegistry = process.env['LARDER_TEST_REGISTRY'] ?? 'docker-registry';

const SETTLED = '/v2/?settled=';

/**
 * Starts a registry that keeps everything in `dir`: Debian's docker-registry or the CNCF's distribution, which take the same
 * file of settings. Whoever started it stops it; it ends with this process anyhow.
 */
export async function startRealRegistry(program: string, dir: string): Promise<RealRegistry> {
  mkdirSync(dir, { recursive: true });
  const log = path.join(dir, 'log');
  const server = await startServer({
    name: program,
    command: program,
    args: (port) => ['serve', writeSettings(dir, port)],
    env: () => ({
      PATH: process.env['PATH'] ?? '',
      HOME: dir,
      OTEL_TRACES_EXPORTER: 'none',
    }),
    log,
  });
  const { base } = server;
  let asked = 0;
  const requests = async (): Promise<string[]> => {
    // what is logged up to this request of our own is what came before it
    const mark = `${SETTLED}${String(++asked)}`;
    await (await fetch(`${base}${mark}`)).arrayBuffer();
    for (;;) {
      const lines = requestsIn(readFileSync(log, 'utf8'));
      const end = lines.indexOf(`GET ${mark}`);
      if (end >= 0)
        return lines
          .slice(0, end)
          .filter((line) => line.includes(' /v2/') && !line.includes(SETTLED));
      await sleep(10);
    }
  };
  return { base, host: new URL(base).host, requests, stop: () => server.stop() };
}

function writeSettings(dir: string, port: number): string {
  const file = path.join(dir, 'registry.yml');
  const root = JSON.stringify(path.join(dir, 'content'));
  const lines = [
    'version: 0.1',
    'log: {level: error}',
    `storage: {filesystem: {rootdirectory: ${root}}}`,
    `http: {addr: "127.0.0.1:${String(port)}"}`,
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

/** Out of an access log in Apache's common format. */
function requestsIn(log: string): string[] {
  return [...log.matchAll(/^\S+ - - \[[^\]]*\] "([A-Z]+ \S+) HTTP\/1\.1" /gm)].map(
    ([, line = '']) => line,
  );
}

function describeBytes(mediaType: string, bytes: string | Uint8Array): Descriptor {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  return { mediaType, digest, size: Buffer.byteLength(bytes) };
}

/** Pushes a blob to `base`, in one piece. */
export async function pushBlob(
  base: string,
  repository: string,
  mediaType: string,
  bytes: string | Uint8Array<ArrayBuffer>,
): Promise<Descriptor> {
  const descriptor = describeBytes(mediaType, bytes);
  const begun = await fetch(`${base}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', base);
  location.searchParams.set('digest', descriptor.digest);
  await put(location.href, 'application/octet-stream', bytes);
  return descriptor;
}

/** Pushes a manifest or index under a tag or its digest. `fields`: all but `schemaVersion` and `mediaType`. */
export async function pushManifest(
  base: string,
  repository: string,
  tag: string | undefined,
  mediaType: string,
  fields: object,
): Promise<Descriptor> {
  const bytes = JSON.stringify({ schemaVersion: 2, mediaType, ...fields });
  const descriptor = describeBytes(mediaType, bytes);
  await put(`${base}/v2/${repository}/manifests/${tag ?? descriptor.digest}`, mediaType, bytes);
  return descriptor;
}

async function put(
  url: string,
  mediaType: string,
  body: string | Uint8Array<ArrayBuffer>,
): Promise<void> {
  const response = await fetch(url, {
    method: 'PUT',
    body,
    headers: { 'content-type': mediaType },
  });
  if (!response.ok) {
    throw new Error(`PUT ${url}: ${String(response.status)} ${await response.text()}`);
  }
}
