// npm run bench [NAME...]: measures Larder beside others on this machine, prints Markdown tables, and puts them
// into docs/benchmarks.md with `npm run bench -- --write`. Figures are worth their ratios within one run.

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { benchCold } from './cold.ts';
import { benchDeploy } from './deploy.ts';
import { benchHits } from './hits.ts';
import { benchImageCold } from './image-cold.ts';
import { benchImageHits } from './image-hits.ts';
import { benchLife } from './life.ts';
import { benchLookups } from './lookups.ts';
import { benchReplicas } from './replicas.ts';
import { benchRules } from './rules.ts';
import { progress } from './support/figures.ts';
import { run } from './support/processes.ts';
import { benchVcs } from './vcs.ts';
import { benchWarm } from './warm.ts';

const benches = new Map([
  ['hits', benchHits],
  ['cold', benchCold],
  ['images', benchImages],
  ['replicas', benchReplicas],
  ['life', benchLife],
  ['vcs', benchVcs],
  ['rules', benchRules],
  ['warm', benchWarm],
  ['deploy', benchDeploy],
  ['lookups', benchLookups],
]);
const page = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
});
const unknown = positionals.filter((name) => !benches.has(name));
if (unknown.length > 0 || process.platform !== 'linux') {
  progress(
    unknown.length > 0
      ? `There is no benchmark ${unknown.join(', ')}: there are ${[...benches.keys()].join(', ')}.`
      : 'The benchmarks read /proc: run them on Linux.',
  );
  process.exit(2);
}

const [load = 0] = loadavg();
if (load > 0.7) progress(`The load of this machine is ${load.toFixed(1)}: expect noise.`);

for (const [name, bench] of benches) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const dir = mkdtempSync(path.join(tmpdir(), 'larder-bench-'));
  try {
    const section = `${await machine()}\n\n${await bench(dir)}`;
    console.log(`\n## ${name}\n\n${section}`);
    if (values.write) await put(name, section);
  } finally {
    await rm(dir, { recursive: true });
  }
}

/** Each half in a folder of its own, which goes with it. */
async function benchImages(dir: string): Promise<string> {
  const sections: string[] = [];
  for (const bench of [benchImageHits, benchImageCold]) {
    const own = path.join(dir, bench.name);
    mkdirSync(own);
    sections.push(await bench(own));
    await rm(own, { recursive: true });
  }
  return sections.join('\n\n');
}

async function machine(): Promise<string> {
  const go = (await run('go', ['env', 'GOVERSION'])).trim();
  return `${String(availableParallelism())} cores, Node ${process.versions.node}, ${go}.`;
}

/** Replaces what stands between the marks of that name. */
async function put(name: string, section: string): Promise<void> {
  const text = readFileSync(page, 'utf8');
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)];
  if (from < begin.length || to < from) throw new Error(`${page} lacks the marks of ${name}`);
  const changed = `${text.slice(0, from)}\n\n${section}\n\n${text.slice(to)}`;
  writeFileSync(page, await format(changed, { ...(await resolveConfig(page)), filepath: page }));
}
