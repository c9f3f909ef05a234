// Releases of the chart on a real node, by the files of values in `ci`: each in a namespace that enforces the restricted level of pod
// security, with S3, Redis and upstreams beside it (issue 9, behaviours 2 and 3).

import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { chartDir } from '../support/chart.ts';
import { goModDownload } from '../support/go.ts';
import { request } from '../support/http.ts';
import { Load } from '../support/load.ts';
import { filePath } from '../support/modules.ts';
import { Neighbours } from '../support/neighbours.ts';
import { Release, type Values } from '../support/release.ts';
import { heldHerd, repliesOf, tally, type Cluster } from '../support/replicas.ts';
import { eventually } from '../support/tmp.ts';

const MIB = 1024 * 1024;
const PULLS = 200;
const HELD = 12;

const neighbours = await Neighbours.start();
const { node, image, redis } = neighbours;

/** The same values with some settings more, or others. */
const withSettings =
  (settings: Values) =>
  (values: Values): Values => ({
    ...values,
    config: { ...(values['config'] as Values), ...settings },
  });

const cases = [
  {
    name: 'minimal',
    what: 'one pod on a volume, which stays',
    values: { image },
    settings: () => ({}),
    volume: true,
    left: ['persistentvolumeclaim/data-larder-0'],
  },
  {
    name: 'file',
    what: 'one pod on a volume, which goes',
    values: { image },
    settings: () => ({}),
    volume: true,
    left: [],
  },
  {
    name: 's3-redis',
    what: 'replicas on S3 and Redis',
    values: {
      image,
      extraObjects: [
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'larder-ci-s3' },
          stringData: neighbours.bucketKeys,
        },
      ],
    },
    settings: (cluster: Cluster) => neighbours.bucketFor(cluster),
    volume: false,
    left: [],
  },
];

describe.for(cases)('$name-values.yaml: $what', ({ name, values, settings, volume, left }) => {
  const namespace = `larder-${name}`;
  const module = `example.com/${name}`;
  let cluster: Cluster;
  let release: Release;

  beforeAll(async () => {
    cluster = await neighbours.upstreams();
    cluster.version(module, 'v1.0.0');
    release = await Release.install(node, namespace, {
      level: 'restricted',
      files: [join(chartDir, 'ci', `${name}-values.yaml`)],
      values: {
        ...values,
        config: { ...neighbours.settingsFor(cluster), ...settings(cluster) },
        tests: { module },
      },
      before: volume ? [neighbours.volumeFor(namespace)] : [],
    });
  });

  test('its own test passes', async () => {
    expect(await release.test()).toMatch(/\/v2\/: 200\n.*\/@v\/list: 200\n/);
  });

  test('go downloads by the GOPROXY of its notes', async () => {
    const downloads = await goModDownload([`${module}@v1.0.0`], { proxy: await release.goproxy() });
    expect(downloads).toMatchObject([{ Path: module, Version: 'v1.0.0' }]);
    expect(downloads[0]?.Error).toBeUndefined();
  });

  test('the node pulls through it by the hosts.toml of its notes', async () => {
    node.useHosts(await release.hostsToml());
    await neighbours.runsNewImageBy(release, `by-${name}`);
  });

  test('an upgrade replaces its pods, and what is stored stays', async () => {
    const before = await release.pods();
    await release.upgrade(withSettings({ LARDER_NEGATIVE_TTL: '5s' }));
    const old = async () => (await release.pods()).filter((pod) => before.includes(pod));
    if (!volume)
      await eventually('the old pods are gone', async () => (await old()).length === 0, 120_000);
    const path = filePath({ module, version: 'v1.0.0' }, 'zip');
    const reply = await request(release.base, `/cached-only${path}`);
    expect(reply).toMatchObject({ status: 200, headers: { 'x-larder-cache': 'hit' } });
  });

  if (name === 's3-redis')
    test(`an upgrade to three pods and a rolling restart under ${String(PULLS)} pulls and more: none fails`, async () => {
      const stored = Array.from({ length: 6 }, () => [
        cluster.blob(12 * MIB),
        cluster.zip(3 * MIB),
      ]);
      const artifacts = stored.flat();
      // one of four is new
      const load = new Load(
        release.base,
        (n) =>
          (n % 4 > 0 ? artifacts[n % artifacts.length] : undefined) ??
          (n % 8 > 0 ? cluster.blob(4 * MIB) : cluster.zip(MIB)),
        { atOnce: 12, bytesPerSecond: 2 * MIB },
      );
      // so that what is held below may be silent, and last
      const patient = withSettings({ LARDER_STALL_TIMEOUT: '5m', LARDER_DRAIN_TIMEOUT: '4m' });
      await release.upgrade((values) => ({ ...patient(values), replicaCount: 3 }));
      await eventually('there are three', async () => (await release.pods()).length === 3);
      const logs = (await release.pods()).map((pod) => release.log(pod));
      const before = load.pulls;
      const held = cluster.blob(4 * MIB);
      const { gate, own } = await heldHerd(release, held, { count: HELD, holdAfter: MIB });
      const restarted = release.restart();
      const signals = async () =>
        (await release.log()).filter(({ signal }) => signal === 'SIGTERM');
      await eventually('all three stop', async () => (await signals()).length === 3, 240_000);
      gate.open();
      expect(tally(await repliesOf(own), held.body)).toEqual({ right: HELD });
      await restarted;
      while (load.pulls - before < PULLS) await release.restart();
      const meanwhile = load.pulls - before;
      expect(await load.stop(0)).toEqual({ right: load.pulls });
      console.log(`${String(load.pulls)} pulls, ${String(meanwhile)} of them during restarts`);

      // what the three told from the signal on: the bodies that were under way are finished, then it is the end
      const told = (await Promise.all(logs)).map((log) =>
        log.slice(log.findIndex(({ signal }) => signal === 'SIGTERM')),
      );
      for (const log of told) {
        expect(log.at(0)).toMatchObject({ signal: 'SIGTERM' });
        expect(log.at(-1)).toMatchObject({ msg: 'stopped' });
        expect(log.filter(({ aborted }) => aborted === true)).toEqual([]);
      }
      const bodies = told.flat().filter(({ path }) => path === held.path);
      const whole = { status: 200, bytes: held.body.size };
      expect(bodies).toMatchObject(Array.from({ length: HELD }, () => whole));
      const leases = () => redis.command('KEYS', `${cluster.bucket}:*:lease`);
      await expect.poll(leases, { timeout: 60_000 }).toEqual([]);
      await cluster.audit();
    });

  test('an uninstall leaves what is documented, and nothing else', async () => {
    await release.uninstall();
    await expect.poll(() => release.left(), { timeout: 120_000 }).toEqual(left);
  });
});
