// What an Athens proxy has kept comes into the store. The folder was written by a real one (0.18), as
// test/support/athens/README.md tells.

import { cpSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { request } from '../support/http.ts';
import { runLarder, startLarderProcess } from '../support/larder.ts';
import { tempDir } from '../support/tmp.ts';

const written = fileURLToPath(new URL('../support/athens', import.meta.url));
const VERSIONS = [
  'example.com/!team/!tool/@v/v1.0.0',
  'example.com/!team/!tool/@v/v1.1.0',
  'example.com/!team/!tool/sub/@v/v0.1.0',
  'example.com/old/@v/v2.0.0+incompatible',
  'example.com/plain/@v/v0.0.0-20240102030405-0123456789ab',
];

/** A folder of Athens to change, and settings of a store. */
function start() {
  const dir = tempDir();
  const athens = join(tempDir(), 'a thens');
  cpSync(written, athens, { recursive: true });
  const settings = {
    LARDER_STORAGE_DIR: join(dir, 'data'),
    LARDER_SPOOL_DIR: join(dir, 'spool'),
    LARDER_GO_UPSTREAM: 'off',
    LARDER_GO_SUMDB: 'off',
  };
  const run = (more: Readonly<Record<string, string>> = {}) =>
    runLarder(['import', 'athens', athens, '--json'], { env: { ...settings, ...more } });
  return { dir, athens, run, settings };
}

test('all of it is served then, by a server that asks nobody; a second import finds all there', async () => {
  const { dir, run } = start();
  expect(await run()).toMatchObject({ code: 0, stdout: '{"stored":5,"present":0,"failed":[]}\n' });
  expect(await run()).toMatchObject({ code: 0, stdout: '{"stored":0,"present":5,"failed":[]}\n' });
  const larder = await startLarderProcess({ dir });
  for (const version of VERSIONS) {
    for (const ext of ['info', 'mod', 'zip']) {
      const reply = await request(larder.base, `/${version}.${ext}`);
      expect([version, ext, reply.status, reply.headers['x-larder-cache']]).toEqual([
        version,
        ext,
        200,
        'hit',
      ]);
    }
  }
  const list = await request(larder.base, '/cached-only/example.com/!team/!tool/@v/list');
  expect(list.text).toBe('v1.0.0\nv1.1.0\n');
  const index = await request(larder.base, '/index');
  expect(index.text.trim().split('\n')).toHaveLength(VERSIONS.length);
});

test('one that is spoiled, cut off or incomplete is named and left out; the others come in', async () => {
  const { athens, run } = start();
  truncateSync(join(athens, 'example.com/Team/Tool/v1.0.0/source.zip'), 300);
  rmSync(join(athens, 'example.com/old/v2.0.0+incompatible/go.mod'));
  writeFileSync(
    join(athens, 'example.com/Team/Tool/sub/v0.1.0/go.mod'),
    'module example.com/other\n',
  );
  const { code, stdout } = await run();
  const result = JSON.parse(stdout) as { failed: { name: string; error: string }[] };
  expect([code, result]).toMatchObject([1, { stored: 2, present: 0 }]);
  expect(result.failed.map(({ name }) => name).sort()).toEqual([
    'go:example.com/Team/Tool/sub@v0.1.0',
    'go:example.com/Team/Tool@v1.0.0',
    'go:example.com/old@v2.0.0+incompatible',
  ]);
});

test('what a rule keeps out stays out', async () => {
  const { dir, run } = start();
  const rules = join(dir, 'rules.yaml');
  writeFileSync(rules, 'go:\n  - match: example.com/old\n    deny: "too old"\n');
  const { code, stdout } = await run({ LARDER_RULES_FILE: rules });
  expect([code, JSON.parse(stdout)]).toMatchObject([
    1,
    { stored: 4, failed: [{ name: 'go:example.com/old@v2.0.0+incompatible' }] },
  ]);
  expect(stdout).toContain('too old');
});

test.each([
  [[], /athens/],
  [['athens'], /folder/],
  [['goproxy', '.'], /athens/],
  [['athens', '/nowhere/at/all'], /is no folder/],
  [['athens', '.', '--server', 'http://127.0.0.1:1'], /opens the store/],
])('import %j is used wrongly', async (args, sentence) => {
  const { settings } = start();
  const { code, stderr } = await runLarder(['import', ...args], { env: settings });
  expect(code).toBe(2);
  expect(stderr).toMatch(sentence);
});
