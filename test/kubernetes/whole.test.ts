// A release with everything that such a node can hold, and nodes that pull through a release by its DaemonSet (issue 9, behaviour 2).

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartDir } from '../support/chart.ts';
import { FaultServer, json } from '../support/fault-server.ts';
import { request } from '../support/http.ts';
import { filePath } from '../support/modules.ts';
import { fromPods, Neighbours } from '../support/neighbours.ts';
import { Release } from '../support/release.ts';
import { eventually } from '../support/tmp.ts';

/** Of every part of the file of values. */
const PASSWORD = 'only-for-a-try';
const neighbours = await Neighbours.start(['--requirepass', PASSWORD]);
const { node, image, registry } = neighbours;
const full = join(chartDir, 'ci/full-values.yaml');

interface FullValues {
  readonly extraObjects: readonly [{ readonly stringData: object }, ...unknown[]];
}

test('full-values.yaml: what needs a user, a password, a token or another to be asked works, and goes', async () => {
  const cluster = await neighbours.upstreams();
  const made = cluster.version('example.com/full', 'v1.0.0');
  const admission = await new FaultServer(() => json(200, {})).up();
  const { LARDER_GO_UPSTREAM: goUpstream, ...upstreams } = neighbours.settingsFor(cluster);
  const [secret, ...others] = (parse(readFileSync(full, 'utf8')) as FullValues).extraObjects;
  const stringData = {
    ...secret.stringData,
    ...neighbours.bucketKeys,
    'go-upstream': goUpstream.replace('//', `//robot:${PASSWORD}@`),
    'admission-url': `${fromPods(admission.url)}/larder?key=${PASSWORD}`,
  };
  const release = await Release.install(node, 'larder-full', {
    level: 'restricted',
    files: [full],
    values: {
      image,
      config: { ...upstreams, ...neighbours.bucketFor(cluster) },
      extraObjects: [{ ...secret, stringData }, ...others],
      tests: { module: made.module },
      // kinds that only a Gateway or Prometheus brings
      httpRoute: { enabled: false },
      serviceMonitor: { enabled: false },
      prometheusRule: { enabled: false },
      // only in a namespace of the privileged level
      nodeMirror: { enabled: false },
    },
  });
  await eventually(
    'as many as the autoscaler wants',
    async () => (await release.pods()).length === 2,
  );
  expect(await release.test()).toMatch(/\/v2\/: 401\n.*\/@v\/list: 401\n/);
  const path = filePath(made, 'zip');
  expect((await request(release.base, path)).status).toBe(401);
  const authorization = `Basic ${Buffer.from(`reader:${PASSWORD}`).toString('base64')}`;
  const reply = await request(release.base, path, { headers: { authorization } });
  expect(reply).toMatchObject({ status: 200, sha256: made.zip.sha256 });
  expect(admission.log.map(({ body }) => JSON.parse(body) as unknown)).toContainEqual(
    expect.objectContaining({ name: made.module, version: made.version }),
  );
  await release.uninstall();
  await expect.poll(() => release.left(), { timeout: 120_000 }).toEqual([]);
});

test('the DaemonSet has nodes pull through a release, with the origin as fall-back, and leaves nothing', async () => {
  const cluster = await neighbours.upstreams();
  const config = neighbours.settingsFor(cluster);
  const larder = await Release.install(node, 'larder-for-nodes', {
    level: 'restricted',
    values: { image, config, persistence: { enabled: false } },
  });
  const nodes = await Release.install(node, 'larder-nodes', {
    level: 'privileged',
    values: {
      image,
      config: { ...config, LARDER_OCI_UPSTREAMS: `docker.io=${registry.base}` },
      replicaCount: 0,
      nodeMirror: { enabled: true, hostPath: node.certs.there, address: larder.base },
    },
  });
  const file = join(node.certs.here, 'docker.io/hosts.toml');
  await eventually('the node is told', () => existsSync(file));
  await neighbours.runsNewImageBy(larder, 'by-daemon-set');
  await larder.uninstall();
  const before = (await registry.requests()).length;
  await neighbours.runsNewImage('by-fall-back');
  expect((await registry.requests()).slice(before)).not.toEqual([]);
  await nodes.uninstall();
  expect(existsSync(file)).toBe(false);
  for (const release of [larder, nodes])
    await expect.poll(() => release.left(), { timeout: 120_000 }).toEqual([]);
});
