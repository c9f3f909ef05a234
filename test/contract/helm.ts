// What every version of helm that the chart is for must do with it.

import { mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/app/config.ts';
import { grammarChecks } from '../../src/app/grammar-checks.ts';
import { chartDir, chartTool, ciFiles, podEnvironment, render } from '../support/chart.ts';
import { sha256 } from '../support/image-clients.ts';
import { startLarderProcess } from '../support/larder.ts';
import { debianRegistry, startRealRegistry } from '../support/real-registry.ts';
import { tempDir } from '../support/tmp.ts';

/** Values that are refused, and what must be said. The suites of the chart have all of them. */
const refusals = [
  { values: ['replicaCont=2'], sentence: /replicaCont/ },
  { values: ['config.LARDER_TAGTTL=60s'], sentence: /LARDER_TAGTTL/ },
  { values: ['config.LARDER_TAG_TTL=soon'], sentence: /LARDER_TAG_TTL/ },
  { values: ['replicaCount=2'], sentence: /the file store is one pod's alone/ },
  {
    values: ['replicaCount=2', 'config.LARDER_STORAGE=s3', 'config.LARDER_S3_BUCKET=larder'],
    sentence: /there is no Redis that the replicas lock by/,
  },
  { values: ['config.LARDER_PEER_SECRET=x'], sentence: /secrets\.peer\.existingSecret/ },
  { values: ['podDisruptionBudget.enabled=true'], sentence: /exactly one of/ },
];

/** `helm`: its name among the tools. */
export function helmPasses(helm: string): void {
  test('lint --strict has nothing to say', async () => {
    for (const values of [[], ...ciFiles.map((file) => ['--values', file])])
      expect(await chartTool(helm, 'lint', '--strict', chartDir, ...values)).toContain(
        '0 chart(s) failed',
      );
  });

  describe.each(ciFiles.map((file) => ({ file, name: basename(file) })))('$name', ({ file }) => {
    test('gives a pod whose settings the program takes', async () => {
      const dir = tempDir();
      const env = podEnvironment(await render(helm, '--values', file), dir);
      const upstream = env['LARDER_GO_UPSTREAM_FILE'] ?? env['LARDER_GO_UPSTREAM'];
      const config = loadConfig(
        // the image has a go command that says this; the machine that tests may have none
        upstream === undefined ? { ...env, LARDER_GO_UPSTREAM: 'off' } : env,
        grammarChecks,
      );
      expect(config).toMatchObject({ port: 3000, spoolDir: '/spool/larder' });
    });
  });

  test.each(refusals)('$values is refused with a sentence', async ({ values, sentence }) => {
    const set = values.flatMap((value) => ['--set', value]);
    await expect(render(helm, ...set)).rejects.toThrow(sentence);
  });

  test('the chart comes through Larder as it was pushed', async () => {
    const dir = tempDir();
    await chartTool(helm, 'package', chartDir, '--destination', dir);
    const packed = join(dir, 'larder-0.1.0.tgz');
    const registry = await startRealRegistry(debianRegistry, tempDir());
    const larder = await startLarderProcess({
      env: { LARDER_OCI_UPSTREAMS: `ghcr.io=${registry.base}` },
    });
    try {
      await chartTool(helm, 'push', packed, `oci://${registry.host}/owner`, '--plain-http');
      const name = `oci://${new URL(larder.base).host}/ghcr.io/owner/larder`;
      for (const pull of ['first', 'again']) {
        const there = join(dir, pull);
        mkdirSync(there);
        await chartTool(
          helm,
          'pull',
          name,
          '--version',
          '0.1.0',
          '--plain-http',
          '--destination',
          there,
        );
        expect(sha256(readFileSync(join(there, 'larder-0.1.0.tgz')))).toBe(
          sha256(readFileSync(packed)),
        );
      }
    } finally {
      await Promise.all([larder.stop(), registry.stop()]);
    }
  });
}
