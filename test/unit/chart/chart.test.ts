// What can be known of the chart without helm.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { madeFiles } from '../../../scripts/chart/settings.ts';
import { settingNames } from '../../../src/app/settings.ts';
import { Metrics } from '../../../src/observability/metrics.ts';
import { chartDir } from '../../support/chart.ts';

const read = (file: string) => readFileSync(join(chartDir, file), 'utf8');

test('what is made of the settings is as they are now: npm run chart:generate', () => {
  for (const { file, text } of madeFiles()) expect(readFileSync(file, 'utf8')).toBe(text);
});

test('every setting that may be a secret, or names a file, is refused in config or looked through', () => {
  const template = read('templates/_validate.tpl');
  const [, own = ''] = /define "larder\.ownSettings" -\}\}\n([^]*?)\{\{-/.exec(template) ?? [];
  const refused = new Set(Object.keys(parse(own) as object));
  const lookedThrough = ['LARDER_REDIS_URL', 'LARDER_GO_UPSTREAM', 'LARDER_ADMISSION_URL'];
  const secret = settingNames.filter(
    (name) => /_(FILE|NETRC|HTPASSWD|CONFIG)$/.test(name) || settingNames.includes(`${name}_FILE`),
  );
  expect(secret.filter((name) => !refused.has(name))).toEqual(lookedThrough);
  expect([...refused].filter((name) => !settingNames.includes(name))).toEqual([]);
});

test('README.md has every value with what values.yaml says of it', () => {
  const values = read('values.yaml').replace(/\n *# (?!--|-)(?=\S)/g, ' ');
  const comments = [...values.matchAll(/^ *# -- (.+)$/gm)].map(([, text = '']) => text);
  const [, table = ''] = read('README.md').split('|-----|------|---------|-------------|\n');
  const rows = table.split('\n').filter((line) => line.startsWith('| '));
  expect(comments.length).toBeGreaterThan(100);
  expect(rows).toHaveLength(comments.length);
  for (const comment of comments) expect(rows.join('\n')).toContain(`| ${comment} |`);
});

test('its versions are the program’s', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version });
});

describe('every query names a metric that is there', async () => {
  const metrics = new Metrics();
  metrics.observeFills(() => ({ inFlight: 0, queued: 0 }));
  metrics.observeSize(() => 0);
  metrics.observeDisks({});
  const text = await metrics.text();
  const known = new Set(
    [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? ['bucket', 'count', 'sum'].map((end) => `${name}_${end}`) : [name],
    ),
  );

  test.each(['files/alerts.yaml', 'files/dashboard.json'])('%s', (file) => {
    const named = read(file).match(/\b(larder|nodejs|process)_\w+(?=\{|, n)/g) ?? [];
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});
