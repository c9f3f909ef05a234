// Look-ups of many tags: larder lookup, beside crane digest a name at a time and by xargs.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { count, fixed, median, progress, table, times } from './support/figures.ts';
import { run, type Server } from './support/processes.ts';
import { craneProgram, larderProgram, startTags } from './support/servers.ts';

const DELAY_MS = 2;
const ROUNDS = 3;

interface Way {
  readonly name: string;
  readonly names: number;
  /** For a shell, in the folder; `$LARDER`, `$CRANE` and `$REGISTRY` are there, names come on standard input. */
  readonly script: string;
}

const SERIAL = 'larder lookup, one after another';
const USUAL = 'larder lookup';
const larder = '"$NODE" "$LARDER" lookup --json';
const ways: readonly Way[] = [
  { name: USUAL, names: 10_000, script: `${larder} -` },
  { name: `${USUAL}, ulimit -n 1024`, names: 10_000, script: `ulimit -n 1024; ${larder} -` },
  { name: SERIAL, names: 1000, script: `${larder} --parallel 1 -` },
  {
    name: 'crane digest, xargs -P 64',
    names: 500,
    script: 'xargs -P 64 -n 1 "$CRANE" digest --insecure',
  },
  {
    name: 'crane digest, in a loop',
    names: 200,
    script: 'while read -r name; do "$CRANE" digest --insecure "$name" </dev/null; done',
  },
];

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchLookups(dir: string): Promise<string> {
  const crane = await craneProgram();
  const registry = await startTags(dir, DELAY_MS);
  const seconds = new Map<string, number[]>(ways.map(({ name }) => [name, []]));
  try {
    for (let round = 0; round < ROUNDS; round++) {
      progress(`look-ups, round ${String(round + 1)}`);
      for (const way of ways)
        seconds.get(way.name)?.push(await timeOf(way, { dir, round, crane, registry }));
    }
  } finally {
    await registry.stop();
  }
  const rateOf = ({ name, names }: Way) => names / median(seconds.get(name) ?? []);
  const serial = ways.find(({ name }) => name === SERIAL);
  const base = serial === undefined ? NaN : rateOf(serial);
  return table(
    ['', 'names', 'seconds', 'best', 'a second', 'of one after another'],
    ways.map((way) => {
      const all = seconds.get(way.name) ?? [];
      return [
        way.name,
        count(way.names),
        fixed(median(all), 2),
        fixed(Math.min(...all), 2),
        count(rateOf(way)),
        times(rateOf(way) / base),
      ];
    }),
  );
}

/** Seconds. Throws where not each name was asked for once. */
async function timeOf(
  { name, names, script }: Way,
  { dir, round, crane, registry }: { dir: string; round: number; crane: string; registry: Server },
): Promise<number> {
  const host = new URL(registry.base).host;
  const list = Array.from(
    { length: names },
    (_, i) => `${host}/app:r${String(round)}-${String(i)}`,
  );
  writeFileSync(path.join(dir, 'names'), `${list.join('\n')}\n`);
  await fetch(`${registry.base}/counted`);
  const started = performance.now();
  await run('bash', ['-c', `set -e; ${script} < names > digests`], {
    cwd: dir,
    env: {
      PATH: process.env['PATH'],
      HOME: dir,
      NODE: process.execPath,
      LARDER: larderProgram,
      CRANE: crane,
      LARDER_OCI_UPSTREAMS: `${host}=${registry.base}`,
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const response = await fetch(`${registry.base}/counted`);
  const { requests } = (await response.json()) as { requests: number };
  // crane asks for /v2/ first, each time
  const due = script.includes('$CRANE') ? 2 * names : names;
  if (requests !== due)
    throw new Error(`${name} asked ${String(requests)} times, not ${String(due)}`);
  return seconds;
}
