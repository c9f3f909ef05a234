// The real go command, and Larder with its default settings in front of the real upstream and the real checksum
// database: cold, warm, and warm with nothing reachable. Not a part of `npm test`, which talks to loopback only.

import { expect, test } from 'vitest';
import { goModDownload, project } from '../support/go.ts';
import type { GoDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import type { Settings } from '../support/larder.ts';
import { tempDir } from '../support/tmp.ts';

/** Empty ones count as not set: upstream and checksum database are those that the installed go command has built in. */
const defaults: Settings = { LARDER_GO_UPSTREAM: '', LARDER_GO_SUMDB: '' };

/** How this machine reaches the world. */
const reach = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name, value]) =>
      value !== undefined && /^(https?_proxy|no_proxy|node_extra_ca_certs)$/i.test(name),
  ),
) as Settings;

// every module of the graph, in exact versions: an upstream may refuse to list versions
const gomod = `module larder.test/live

go 1.16

require (
	github.com/google/uuid v1.6.0
	github.com/spf13/cobra v1.8.0
	rsc.io/quote v1.5.2
)
`;

/** Downloads the whole graph with nothing in go's own cache, verified by go against its checksum database. */
async function download(proxy: string): Promise<GoDownload[]> {
  const modules = await goModDownload(['all'], { proxy, sumdb: '', cwd: project(gomod) });
  return modules
    .map(({ Path, Version, Error: problem = '', Sum = '', GoModSum = '' }) => ({
      Path,
      Version,
      Error: problem,
      Sum,
      GoModSum,
    }))
    .sort((a, b) => (a.Path < b.Path ? -1 : 1));
}

/** The sum of a metric over all its labels. */
async function metric(base: string, name: string): Promise<number> {
  const { text } = await request(base, '/metrics');
  const values = text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}

test('a graph of real modules: cold, warm, and warm with the upstream unreachable', async () => {
  const dir = tempDir();
  const larder = await startLarderProcess({ env: { ...defaults, ...reach }, dir, live: true });

  const cold = await download(larder.base);
  expect(cold.map(({ Error: problem }) => problem)).toEqual(cold.map(() => ''));
  expect(cold.length).toBeGreaterThan(6);
  expect(cold).toContainEqual(
    expect.objectContaining({
      Path: 'rsc.io/quote',
      Sum: 'h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=',
    }),
  );
  expect(await metric(larder.base, 'larder_unverified_total')).toBe(0);
  expect(await metric(larder.base, 'larder_store_errors_total')).toBe(0);

  const asked = await metric(larder.base, 'larder_upstream_requests_total');
  expect(asked).toBeGreaterThan(cold.length);
  expect(await download(larder.base)).toEqual(cold);
  expect(await metric(larder.base, 'larder_upstream_requests_total')).toBe(asked);
  await larder.stop();

  // the same settings and store, and nothing but loopback within reach
  const cutOff = await startLarderProcess({ env: { ...defaults, ...reach }, dir });
  expect(await download(cutOff.base)).toEqual(cold);
});
