// Cold blobs, from a registry that is 20 ms away: one client, many at once, and how much memory very many take.

import path from 'node:path';
import { downloadAll } from './support/download.ts';
import { count, fixed, median, progress, ratio, table, times } from './support/figures.ts';
import { blobPath, makeBlob, makeManifest, type MadeBlob } from './support/image.ts';
import { run, type Server } from './support/processes.ts';
import {
  distributionProgram,
  startDistribution,
  startLarder,
  startRegistry,
} from './support/servers.ts';
import { watched, watchedCells, type Watched } from './support/watched.ts';

const DELAY_MS = 20;
const ROUNDS = 3;
const HERD = 16;
const CROWD = 50;
const SIZE = 2 ** 28;

interface Result extends Watched {
  /** Of the client that waited longest. */
  readonly firstByteMs: number;
  /** Until the last client had all. */
  readonly seconds: number;
}

/** By the name of the server. */
type Results = Map<string, Result[]>;

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchImageCold(dir: string): Promise<string> {
  const program = await distributionProgram();
  // each is cold once for each proxy
  const rounds = Array.from({ length: ROUNDS }, (_, i) => ({
    alone: makeBlob(1 + i, SIZE),
    herd: makeBlob(51 + i, SIZE),
  }));
  const crowd = makeBlob(101, 2 ** 30);
  const warmUp = makeBlob(102, 2 ** 20);
  const blobs = [...rounds.flatMap(({ alone, herd }) => [alone, herd]), crowd, warmUp];
  const registry = await startRegistry(dir, { manifest: makeManifest(), blobs }, DELAY_MS);
  const started = [registry];
  const begin = async (starting: Promise<Server>): Promise<Server> => {
    const server = await starting;
    started.push(server);
    // the first request of a process is no measure of the others
    await pull(registry, warmUp, 1, server);
    return server;
  };
  try {
    const larder = await begin(startLarder(path.join(dir, 'larder'), { images: registry.base }));
    const distribution = await begin(
      startDistribution(program, path.join(dir, 'distribution'), registry.base),
    );
    const proxies = [undefined, larder, distribution];
    const alone: Results = new Map();
    const herd: Results = new Map();
    for (const round of rounds) {
      for (const proxy of proxies) await note(alone, registry, round.alone, 1, proxy);
      for (const proxy of proxies) await note(herd, registry, round.herd, HERD, proxy);
    }
    await Promise.all([larder.stop(), distribution.stop()]);
    const fresh = await begin(startLarder(path.join(dir, 'fresh'), { images: registry.base }));
    const most: Results = new Map();
    await note(most, registry, crowd, CROWD, fresh);
    return [
      report('1 client, cold blob of 256 MiB', alone),
      report(`${String(HERD)} clients, cold blob of 256 MiB`, herd),
      report(`${String(CROWD)} clients, cold blob of 1 GiB`, most),
    ].join('\n\n');
  } finally {
    await Promise.all(started.map((server) => server.stop()));
  }
}

async function note(
  results: Results,
  registry: Server,
  blob: MadeBlob,
  clients: number,
  proxy?: Server,
): Promise<void> {
  const name = proxy?.name ?? 'direct';
  const result = await pull(registry, blob, clients, proxy);
  progress(
    `${name}, ${String(clients)} at once: first byte ${count(result.firstByteMs)} ms, ` +
      `${fixed(result.seconds, 2)} s, CPU ${fixed(result.cpuSeconds ?? 0, 1)} s, ` +
      `${count(result.upstreamRequests)} upstream`,
  );
  results.set(name, [...(results.get(name) ?? []), result]);
}

/** One blob to so many clients at once, through a proxy or straight. */
async function pull(
  registry: Server,
  blob: MadeBlob,
  clients: number,
  proxy?: Server,
): Promise<Result> {
  const url = (proxy ?? registry).base + blobPath(blob.digest);
  const result = await watched(registry, proxy, () =>
    downloadAll(
      Array.from({ length: clients }, () => url),
      blob.size,
    ),
  );
  // none pays for what another wrote
  await run('sync', []);
  return result;
}

function report(what: string, results: ReadonlyMap<string, readonly Result[]>): string {
  const seconds = (of: readonly Result[]): number[] => of.map((result) => result.seconds);
  const direct = results.get('direct');
  const head = [
    'ms to first byte',
    'seconds',
    'best',
    ...(direct ? ['of direct'] : []),
    'CPU s',
    'memory at most',
    'upstream GETs',
    'MiB',
  ];
  return table(
    [what, ...head],
    Array.from(results, ([name, of]) => [
      name,
      count(median(of.map((result) => result.firstByteMs))),
      fixed(median(seconds(of)), 2),
      fixed(Math.min(...seconds(of)), 2),
      ...(direct ? [times(ratio(seconds(of), seconds(direct)))] : []),
      ...watchedCells(of, 2 ** 20),
    ]),
  );
}
