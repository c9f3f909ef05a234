// What the objects of the chart are, by the tools that know: npm run test:chart.

import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, describe, test } from 'vitest';
import { stringify } from 'yaml';
import {
  chartDir,
  chartTool,
  ciFiles,
  render,
  tools,
  type KubernetesObject,
} from '../support/chart.ts';
import { environmentIn, output } from '../support/image-clients.ts';
import { tempDir } from '../support/tmp.ts';

test('its suites pass, one for each switch and each refusal', async () => {
  expect(await chartTool('untt', '--color=false', chartDir)).toMatch(
    /Tests: +\d+ passed, \d+ total/,
  );
});

test('README.md is what helm-docs makes', async () => {
  const args = ['--chart-search-root', chartDir, '--dry-run', '--log-level', 'warning'];
  const made = await chartTool('helm-docs', ...args);
  expect(made.trim()).toBe(readFileSync(join(chartDir, 'README.md'), 'utf8').trim());
});

describe.each(['1.30.14', '1.37.0'])('by Kubernetes %s', (version) => {
  test.each(ciFiles.map((file) => ({ file, name: basename(file) })))(
    '$name is valid',
    async ({ file }) => {
      const objects = await render('helm', '--values', file);
      expect(await validate(version, objects)).toContain(
        `Valid: ${String(objects.length)}, Invalid: 0`,
      );
    },
  );

  test('what is not is found', async () => {
    const [first, ...others] = await render('helm');
    const wrong = { ...first, spec: { nothingOfTheKind: true } } as KubernetesObject;
    await expect(validate(version, [wrong, ...others])).rejects.toThrow();
  });
});

test('promtool takes every alert, and every query of the dashboard', async () => {
  const objects = await render('helm', '--values', join(chartDir, 'ci/full-values.yaml'));
  const rule = objects.find(({ kind }) => kind === 'PrometheusRule');
  const dir = tempDir();
  writeFileSync(join(dir, 'alerts.yaml'), stringify(rule?.spec));
  const board = JSON.parse(readFileSync(join(chartDir, 'files/dashboard.json'), 'utf8')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const rules = board.panels
    .flatMap(({ targets }) => targets)
    .map(({ expr }, n) => ({
      record: `query:${String(n)}`,
      // what Grafana puts in
      expr: expr.replace(/\$__\w+/g, '5m').replace(/\$(\w+)/g, '$1'),
    }));
  writeFileSync(join(dir, 'queries.yaml'), stringify({ groups: [{ name: 'dashboard', rules }] }));
  const promtool = join(tools, 'debian/usr/bin/promtool');
  const files = ['alerts.yaml', 'queries.yaml'].map((name) => join(dir, name));
  const said = await output([promtool, 'check', 'rules', ...files], environmentIn(dir));
  expect(said).toContain('SUCCESS: 6 rules found');
  expect(said).toContain(`SUCCESS: ${String(rules.length)} rules found`);
});

/** Resolves to kubeconform's count. Rejects with what is wrong. */
function validate(version: string, objects: readonly KubernetesObject[]): Promise<string> {
  const file = join(tempDir(), 'objects.yaml');
  writeFileSync(file, objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  const schemas = [version, 'others'].flatMap((folder) => [
    '-schema-location',
    join(tools, 'schemas', folder, '{{.ResourceKind}}{{.KindSuffix}}.json'),
  ]);
  return chartTool('kubeconform', '-strict', '-summary', ...schemas, file);
}
