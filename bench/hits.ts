// Hits: requests a second, bytes a second, and what they cost, beside bare node:http and goproxy.
// Short rounds, each server in turn: what the machine does beside strikes all of them.

import path from 'node:path';
import {
  count,
  fixed,
  mebibytes,
  median,
  progress,
  ratio,
  table,
  times,
} from './support/figures.ts';
import { moduleTree } from './support/module-tree.ts';
import { usageOf, type Server } from './support/processes.ts';
import {
  goproxyProgram,
  startBare,
  startGoproxy,
  startLarder,
  startUpstream,
} from './support/servers.ts';
import { load, needWrk, type Load, type Throughput } from './support/wrk.ts';

const INFO = '/github.com/google/uuid/@v/v1.6.0.info';
const MOD = '/github.com/google/uuid/@v/v1.6.0.mod';
const ZIP = '/github.com/aws/aws-sdk-go/@v/v1.55.8.zip';
const ROUNDS = 7;
const SMALL: Load = { connections: 16, seconds: 2 };
const LARGE: Load = { connections: 8, seconds: 3 };

interface Result {
  readonly server: Server;
  readonly rounds: readonly Throughput[];
  /** After the last round. */
  readonly residentBytes: number;
}

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchHits(dir: string): Promise<string> {
  needWrk();
  const { files } = await moduleTree();
  const upstream = await startUpstream(dir, files, 0);
  const larder = await startLarder(path.join(dir, 'larder'), upstream.base);
  const goproxy = await startGoproxy(
    await goproxyProgram(),
    path.join(dir, 'goproxy'),
    upstream.base,
  );
  const bare = await startBare(dir, files, { small: [INFO, MOD], large: [ZIP] });
  const servers = [bare, larder, goproxy];
  try {
    for (const server of servers) for (const url of [INFO, MOD, ZIP]) await warm(server, url);
    // a hit asks nobody
    await upstream.stop();
    return [
      small('.info', await measure(servers, INFO, SMALL)),
      small('.mod', await measure(servers, MOD, SMALL)),
      large(await measure(servers, ZIP, LARGE)),
    ].join('\n\n');
  } finally {
    await Promise.all([...servers, upstream].map((server) => server.stop()));
  }
}

async function warm(server: Server, url: string): Promise<void> {
  const response = await fetch(server.base + url);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${server.name} answers ${String(response.status)} for ${url}`);
}

async function measure(servers: readonly Server[], url: string, shape: Load): Promise<Result[]> {
  const results = servers.map((server) => ({ server, rounds: new Array<Throughput>() }));
  for (const { server } of results) await load(server, url, { ...shape, seconds: 1 });
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { server, rounds } of results) {
      const result = await load(server, url, shape);
      rounds.push(result);
      progress(
        `${url} round ${String(round)}, ${server.name}: ${count(result.requestsPerSecond)} requests/s, ` +
          `${count(result.bytesPerSecond / 2 ** 20)} MiB/s`,
      );
    }
  }
  return results.map((result) => ({
    ...result,
    residentBytes: usageOf(result.server.pid).residentBytes,
  }));
}

function small(name: string, results: readonly Result[]): string {
  const rate = ({ rounds }: Result): number[] => rounds.map((round) => round.requestsPerSecond);
  const cost = ({ rounds }: Result): number[] => rounds.map((round) => round.cpuPerRequest * 1e6);
  const head = ['requests/s', 'best', 'of bare node', 'CPU µs a request', 'best', 'memory'];
  return rows(`warm ${name}`, head, results, (result, first) => [
    count(median(rate(result))),
    count(Math.max(...rate(result))),
    times(ratio(rate(result), rate(first))),
    fixed(median(cost(result)), 1),
    fixed(Math.min(...cost(result)), 1),
    mebibytes(result.residentBytes),
  ]);
}

function large(results: readonly Result[]): string {
  const rate = ({ rounds }: Result): number[] =>
    rounds.map((round) => round.bytesPerSecond / 2 ** 20);
  const cost = ({ rounds }: Result): number[] => rounds.map((round) => round.cpuPerByte * 2 ** 30);
  const head = ['MiB/s', 'best', 'of bare node', 'CPU s a GiB', 'best', 'memory'];
  return rows('warm .zip of 36 MB', head, results, (result, first) => [
    count(median(rate(result))),
    count(Math.max(...rate(result))),
    times(ratio(rate(result), rate(first))),
    fixed(median(cost(result)), 2),
    fixed(Math.min(...cost(result)), 2),
    mebibytes(result.residentBytes),
  ]);
}

function rows(
  what: string,
  head: readonly string[],
  results: readonly Result[],
  cells: (result: Result, first: Result) => string[],
): string {
  const [first] = results;
  if (first === undefined) return '';
  return table(
    [what, ...head],
    results.map((result) => [result.server.name, ...cells(result, first)]),
  );
}
