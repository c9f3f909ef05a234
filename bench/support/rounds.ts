// Short rounds, each server in turn: what the machine does beside strikes all of them. And the tables of that.

import { count, fixed, mebibytes, median, progress, ratio, table, times } from './figures.ts';
import { usageOf, type Server } from './processes.ts';
import { load, type Load, type Throughput } from './wrk.ts';

export interface Result {
  readonly server: Server;
  readonly rounds: readonly Throughput[];
  /** After the last round. */
  readonly residentBytes: number;
}

/** Asks each server for one path, or one of its own, `rounds` times, after a second that does not count. */
export async function measureInTurn(
  servers: readonly Server[],
  asked: string | ((server: Server) => string),
  shape: Load,
  rounds: number,
): Promise<Result[]> {
  const pathOf = (server: Server) => (typeof asked === 'string' ? asked : asked(server));
  const results = servers.map((server) => ({ server, rounds: new Array<Throughput>() }));
  for (const { server } of results) await load(server, pathOf(server), { ...shape, seconds: 1 });
  for (let round = 1; round <= rounds; round++) {
    for (const { server, rounds } of results) {
      const path = pathOf(server);
      const result = await load(server, path, shape);
      rounds.push(result);
      progress(
        // without most of a digest
        `${path.slice(-32)} round ${String(round)}, ${server.name}: ${count(result.requestsPerSecond)} requests/s, ` +
          `${count(result.bytesPerSecond / 2 ** 20)} MiB/s`,
      );
    }
  }
  return results.map((result) => ({
    ...result,
    residentBytes: usageOf(result.server.pid).residentBytes,
  }));
}

/** A table of requests a second. `what` is the head of its first column; the others are compared with the first result. */
export function requestsTable(
  what: string,
  results: readonly Result[],
  first = 'bare node',
): string {
  const rate = ({ rounds }: Result): number[] => rounds.map((round) => round.requestsPerSecond);
  const cost = ({ rounds }: Result): number[] => rounds.map((round) => round.cpuPerRequest * 1e6);
  const head = ['requests/s', 'best', `of ${first}`, 'CPU µs a request', 'best', 'memory'];
  return rows(what, head, results, (result, first) => [
    count(median(rate(result))),
    count(Math.max(...rate(result))),
    times(ratio(rate(result), rate(first))),
    fixed(median(cost(result)), 1),
    fixed(Math.min(...cost(result)), 1),
    mebibytes(result.residentBytes),
  ]);
}

/** The same for bytes a second. */
export function bytesTable(what: string, results: readonly Result[], first = 'bare node'): string {
  const rate = ({ rounds }: Result): number[] =>
    rounds.map((round) => round.bytesPerSecond / 2 ** 20);
  const cost = ({ rounds }: Result): number[] => rounds.map((round) => round.cpuPerByte * 2 ** 30);
  const head = ['MiB/s', 'best', `of ${first}`, 'CPU s a GiB', 'best', 'memory'];
  return rows(what, head, results, (result, first) => [
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
