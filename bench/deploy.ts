// Pushing 200 images from one registry to another: when none is there, and when all are; beside `crane copy`.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Body } from '../test/support/body.ts';
import { digestOf, jsonLines, manifestOf } from '../test/support/deploy-lines.ts';
import {
  MEDIA_TYPES,
  pushBlob,
  pushManifest,
  startRealRegistry,
  type RealRegistry,
} from '../test/support/real-registry.ts';
import { count, fixed, progress, table } from './support/figures.ts';
import { run } from './support/processes.ts';
import { craneProgram, distributionProgram, larderProgram } from './support/servers.ts';

const IMAGES = 200;
const AT_ONCE = 16;
const OWN_BYTES = 20_000;
const BASE_BYTES = 2 ** 20;
const PATH = process.env['PATH'] ?? '';

const noise = (seed: string, size: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Body.noise(size, seed).bytes());

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchDeploy(dir: string): Promise<string> {
  const [registry, crane] = [await distributionProgram(), await craneProgram()];
  const source = await startRealRegistry(registry, path.join(dir, 'source'));
  try {
    const lines = await makeImages(source);
    const file = path.join(dir, 'images.jsonl');
    writeFileSync(file, jsonLines(lines.map((manifest, at) => lineOf(manifest, at))));
    const copy = (atOnce: number) => (to: RealRegistry) => {
      const command = `${crane} copy --insecure ${source.host}/lib/app:$1 ${to.host}/lib/app:$1 2>&1`;
      const script = `seq 0 ${String(IMAGES - 1)} | xargs -P ${String(atOnce)} -I{} sh -c '${command}' sh {}`;
      return run('sh', ['-c', script], { env: { PATH, HOME: dir } });
    };
    const deploy = (to: RealRegistry) =>
      run(process.execPath, [larderProgram, 'deploy', '--json', '--file', file], {
        env: {
          PATH,
          HOME: dir,
          LARDER_OCI_UPSTREAMS: `to.test=${to.base},from.test=${source.base}`,
        },
      });
    const rows: string[][] = [];
    for (const [name, work] of [
      ['larder deploy', deploy],
      ['crane copy, one after another', copy(1)],
      [`crane copy, ${String(AT_ONCE)} at once`, copy(AT_ONCE)],
    ] as const) {
      const to = await startRealRegistry(registry, path.join(dir, `to-${String(rows.length)}`));
      try {
        const cold = await measured(source, to, () => work(to));
        const again = await measured(source, to, () => work(to));
        progress(`${name}: cold ${fixed(cold.seconds, 2)} s, again ${fixed(again.seconds, 2)} s`);
        rows.push([name, ...cellsOf(cold), ...cellsOf(again)]);
      } finally {
        await to.stop();
      }
    }
    const part = ['seconds', 'requests', 'at the source'];
    return table(
      [
        `${count(IMAGES)} images`,
        ...part.map((one) => `cold: ${one}`),
        ...part.map((one) => `again: ${one}`),
      ],
      rows,
    );
  } finally {
    await source.stop();
  }
}

/** Images of one repository with two layers in common and one of their own. */
async function makeImages(source: RealRegistry) {
  progress(`making ${String(IMAGES)} images`);
  const base = ['one', 'other'].map((seed) => noise(seed, BASE_BYTES));
  for (const layer of base) await pushBlob(source.base, 'lib/app', MEDIA_TYPES.layer, layer);
  const manifests: ReturnType<typeof manifestOf>[] = [];
  for (let at = 0; at < IMAGES; at++) {
    const config = JSON.stringify({ architecture: 'amd64', os: 'linux', at });
    const own = noise(String(at), OWN_BYTES);
    await pushBlob(source.base, 'lib/app', MEDIA_TYPES.config, config);
    await pushBlob(source.base, 'lib/app', MEDIA_TYPES.layer, own);
    const manifest = manifestOf(config, [...base, own]);
    const { config: described, layers } = manifest;
    const tag = String(at);
    const pushed = await pushManifest(source.base, 'lib/app', tag, MEDIA_TYPES.manifest, {
      config: described,
      layers,
    });
    if (pushed.digest !== digestOf(JSON.stringify(manifest))) throw new Error('another manifest');
    manifests.push(manifest);
  }
  return manifests;
}

const lineOf = (manifest: object, at: number): object => ({
  refs: [`to.test/lib/app:${String(at)}`],
  manifest,
  sources: { '': 'from.test/lib/app' },
});

interface Measured {
  readonly seconds: number;
  /** At the registry that is pushed to. */
  readonly requests: number;
  readonly sourceRequests: number;
}

async function measured(
  source: RealRegistry,
  to: RealRegistry,
  work: () => Promise<unknown>,
): Promise<Measured> {
  const before = [(await to.requests()).length, (await source.requests()).length] as const;
  const begun = performance.now();
  await work();
  const seconds = (performance.now() - begun) / 1000;
  return {
    seconds,
    requests: (await to.requests()).length - before[0],
    sourceRequests: (await source.requests()).length - before[1],
  };
}

const cellsOf = ({ seconds, requests, sourceRequests }: Measured): string[] => [
  fixed(seconds, 2),
  count(requests),
  count(sourceRequests),
];
