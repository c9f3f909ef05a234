// A whole module graph by the go command, from an upstream that is 20 ms away: straight, and through each proxy, at
// first with nothing in its store and then with everything.

import { rm } from 'node:fs/promises';
import path from 'node:path';
import { fixed, median, progress, ratio, table, times } from './support/figures.ts';
import { moduleTree, timeDownload } from './support/module-tree.ts';
import { run, type Server } from './support/processes.ts';
import { goproxyProgram, startGoproxy, startLarder, startUpstream } from './support/servers.ts';
import { watched, watchedCells, type Watched } from './support/watched.ts';

const DELAY_MS = 20;
const ROUNDS = 3;

interface Result extends Watched {
  readonly seconds: number;
}

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchCold(dir: string): Promise<string> {
  const { files, project } = await moduleTree();
  const program = await goproxyProgram();
  const upstream = await startUpstream(dir, files, DELAY_MS);
  const results = new Map<string, Result[]>();
  const note = (name: string, result: Result): void => {
    progress(`${name}: ${fixed(result.seconds, 1)} s, CPU ${fixed(result.cpuSeconds ?? 0, 1)} s`);
    results.set(name, [...(results.get(name) ?? []), result]);
  };
  try {
    progress('once straight, not counted: files come into the memory of the system');
    await timeDownload(project, upstream.base);
    for (let round = 1; round <= ROUNDS; round++) {
      note('direct', await measure(project, upstream));
      const proxies = [
        (store: string) => startLarder(store, { go: upstream.base }),
        (store: string) => startGoproxy(program, store, upstream.base),
      ];
      for (const start of proxies) {
        const store = path.join(dir, `store-${String(round)}`);
        const proxy = await start(store);
        note(`${proxy.name} cold`, await measure(project, upstream, proxy));
        note(`${proxy.name} warm`, await measure(project, upstream, proxy));
        await proxy.stop();
        await rm(store, { recursive: true });
        // none pays for what another wrote
        await run('sync', []);
      }
    }
  } finally {
    await upstream.stop();
  }
  return report(results);
}

/** One download, through a proxy or straight. */
const measure = (project: string, upstream: Server, proxy?: Server): Promise<Result> =>
  watched(upstream, proxy, async () => ({
    seconds: await timeDownload(project, (proxy ?? upstream).base),
  }));

function report(results: ReadonlyMap<string, readonly Result[]>): string {
  const seconds = (of: readonly Result[]): number[] => of.map((result) => result.seconds);
  const direct = seconds(results.get('direct') ?? []);
  const head = [
    'seconds',
    'best',
    'of direct',
    'CPU s',
    'memory at most',
    'upstream requests',
    'MB',
  ];
  return table(
    ['go mod download', ...head],
    Array.from(results, ([name, of]) => [
      name,
      fixed(median(seconds(of)), 1),
      fixed(Math.min(...seconds(of)), 1),
      times(ratio(seconds(of), direct)),
      ...watchedCells(of, 1e6),
    ]),
  );
}
