// A thousand versions of modules are brought into an empty server, and once more where they are: by `larder warm`, by a job, and
// by curl, so many at once, which is told of every file. Their upstream is 20 ms away.

import { mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { filePath, moduleVersion, type ModuleVersion } from '../test/support/modules.ts';
import { count, fixed, mebibytes, median, progress, table } from './support/figures.ts';
import { run, settled, type Server } from './support/processes.ts';
import { counted, startLarder, startUpstream } from './support/servers.ts';
import { timeVerb } from './support/verb.ts';

const MODULES = 100;
const VERSIONS = 10;
/** Bytes of a zip, about. */
const ZIP = 20_000;
const DELAY_MS = 20;
const ROUNDS = 3;
const PARALLEL = 64;
const TOKEN = 'token-of-the-benchmark';

/** What warms: seconds, and the most memory that it took itself. */
interface Warmed {
  readonly seconds: number;
  readonly peakBytes: number | undefined;
}

interface Result extends Warmed {
  /** Requests at the upstream. */
  readonly asked: number;
}

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchWarm(dir: string): Promise<string> {
  progress('making modules');
  const versions = makeVersions();
  const tree = path.join(dir, 'tree');
  writeTree(tree, versions);
  const goSum = path.join(dir, 'go.sum');
  writeFileSync(goSum, versions.map(({ sums }) => sums).join(''));
  const names = JSON.stringify({
    go: versions.map(({ module, version }) => `${module}@${version}`),
  });
  const paths = versions.flatMap((one) =>
    (['info', 'mod', 'zip'] as const).map((ext) => filePath(one, ext)),
  );
  const ways: readonly (readonly [string, (server: Server) => Promise<Warmed>])[] = [
    ['larder warm', (server) => byVerb(server, goSum)],
    ['POST /admin/warm', (server) => byJob(server, names)],
    [`curl, ${String(PARALLEL)} at once`, (server) => byCurl(server, dir, paths)],
  ];
  const results = new Map<string, Result[]>();
  const upstream = await startUpstream(dir, tree, DELAY_MS);
  try {
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [way, warm] of ways) {
        const store = path.join(dir, `store-${String(round)}`);
        const server = await startLarder(
          store,
          { go: upstream.base },
          {
            settings: () => ({
              LARDER_STORAGE_DIR: path.join(store, 'store'),
              LARDER_ADMIN_TOKEN: TOKEN,
            }),
          },
        );
        for (const when of ['cold', 'again']) {
          await settled(server.pid);
          await counted(upstream);
          const warmed = await warm(server);
          const { requests: asked } = await counted(upstream);
          const name = `${way}, ${when}`;
          progress(`${name}: ${fixed(warmed.seconds, 2)} s, ${count(asked)} upstream`);
          results.set(name, [...(results.get(name) ?? []), { ...warmed, asked }]);
        }
        await server.stop();
        await rm(store, { recursive: true });
        await run('sync', []);
      }
    }
  } finally {
    await upstream.stop();
  }
  return report(results);
}

function makeVersions(): ModuleVersion[] {
  return Array.from({ length: MODULES * VERSIONS }, (_, i) =>
    moduleVersion(
      `example.com/m${String(i % MODULES)}`,
      `v1.${String(Math.floor(i / MODULES))}.0`,
      {
        noise: ZIP,
      },
    ),
  );
}

function writeTree(folder: string, versions: readonly ModuleVersion[]): void {
  for (const version of versions) {
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const file = folder + filePath(version, ext);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, version[ext].bytes());
    }
  }
}

async function byVerb({ base }: Server, goSum: string): Promise<Warmed> {
  const args = ['--server', base, '--go-sum', goSum, '--parallel', String(PARALLEL)];
  const { result, ...warmed } = await timeVerb(['warm', ...args], {});
  expectAll(result);
  return warmed;
}

async function byJob({ base }: Server, names: string): Promise<Warmed> {
  const begun = performance.now();
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const started = await fetch(`${base}/admin/warm`, { method: 'POST', headers, body: names });
  const { id } = (await started.json()) as { id: string };
  for (;;) {
    const response = await fetch(`${base}/admin/jobs/${id}`, { headers });
    const job = (await response.json()) as { state: string; result: unknown };
    if (job.state !== 'running') {
      expectAll(job.result);
      return { seconds: (performance.now() - begun) / 1000, peakBytes: undefined };
    }
    await sleep(20);
  }
}

async function byCurl({ base }: Server, dir: string, paths: readonly string[]): Promise<Warmed> {
  const list = path.join(dir, 'urls');
  writeFileSync(list, paths.map((one) => `${base}${one}\n`).join(''));
  const begun = performance.now();
  const curl = `xargs -P ${String(PARALLEL)} -n 1 curl -sSf -o /dev/null < ${list}`;
  await run('sh', ['-c', curl]);
  return { seconds: (performance.now() - begun) / 1000, peakBytes: undefined };
}

function expectAll(result: unknown): void {
  const { stored = 0, present = 0 } = result as { stored?: number; present?: number };
  if (stored + present !== MODULES * VERSIONS)
    throw new Error(`not all is there: ${JSON.stringify(result)}`);
}

function report(results: ReadonlyMap<string, readonly Result[]>): string {
  const rows = [...results].map(([name, rounds]) => {
    const seconds = median(rounds.map((one) => one.seconds));
    const peaks = rounds.map(({ peakBytes }) => peakBytes).filter((bytes) => bytes !== undefined);
    return [
      name,
      fixed(seconds, 2),
      count((MODULES * VERSIONS) / seconds),
      count(median(rounds.map(({ asked }) => asked))),
      peaks.length === 0 ? '' : mebibytes(Math.max(...peaks)),
    ];
  });
  return table(['1,000 versions', 'seconds', 'a second', 'requests upstream', 'its memory'], rows);
}
