// A store that is kept below a size, and what the admin API tells of it, through the real program (issue 7).

import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { Gate } from '../support/faults.ts';
import { request } from '../support/http.ts';
import { startLarderProcess, type RunningLarder } from '../support/larder.ts';
import { filePath, type ModuleVersion } from '../support/modules.ts';
import { ADMIN, bytesHeld } from '../support/purges.ts';
import { startRegistry } from '../support/registry.ts';
import { expectBytes, outcomeOf, whenServed, whenStored } from '../support/replies.ts';
import { eventually } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const KIB = 1024;
/** Of load, where that is more than is needed; `npm run test:soak` gives it minutes. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 0);
const EXTENSIONS = ['info', 'mod', 'zip'] as const;

async function admin<T>({ base }: RunningLarder, path: string, method = 'GET', body?: string) {
  const headers = {
    authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}`,
    ...(body && { 'content-length': Buffer.byteLength(body) }),
  };
  const { status, text } = await request(base, `/admin/${path}`, {
    method,
    headers,
    ...(body && { body }),
  });
  expect([path, status]).toEqual([path, 200]);
  return JSON.parse(text) as T;
}

interface Stats {
  readonly objects: number | null;
  readonly bytes: number | null;
  readonly hits: number;
  readonly upstreams: readonly { name: string; hits: number; bytesSaved: number }[];
}

interface Listed {
  readonly modules?: readonly { name: string; bytes: number; lastUse: string | null }[];
  readonly images?: readonly { name: string; bytes: number; pinned: boolean }[];
  readonly next?: string;
}

async function start(env: Readonly<Record<string, string>> = {}) {
  const [upstream, registry] = [await startUpstream(), await startRegistry()];
  const settings = {
    ...ADMIN,
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
    LARDER_LIST_TTL: '1h',
    LARDER_TAG_TTL: '1h',
    ...env,
  };
  const larder = await startLarderProcess({ env: settings });
  return { upstream, registry, larder, settings };
}

describe(
  'what passes is ten times what may be kept',
  { timeout: 120_000 + SECONDS * 2000 },
  async () => {
    const MODULES = 60;
    const IMAGES = 30;
    const LIMIT = 2_000_000;
    const { upstream, registry, larder, settings } = await start({ LARDER_MAX_SIZE: '2MB' });
    const versions = Array.from({ length: MODULES }, (_, i) =>
      upstream.add(`example.com/m${String(i)}`, 'v1.0.0', { noise: 200 * KIB }),
    );
    const base = Body.noise(100 * KIB, 'base');
    const images = Array.from({ length: IMAGES }, (_, i) =>
      registry.addImage('team/app', `v${String(i)}`, {
        layers: [base, Body.noise(250 * KIB, `layer ${String(i)}`)],
      }),
    );
    const total =
      versions.reduce((sum, { zip }) => sum + zip.size, 0) + IMAGES * 250 * KIB + base.size;
    const [pinned = upstream.add('example.com/none', 'v1.0.0')] = versions;

    const pullModule = async (version: ModuleVersion) => {
      for (const ext of EXTENSIONS)
        expectBytes(await request(larder.base, filePath(version, ext)), version[ext]);
    };
    const pullImage = async (i: number) => {
      const image = images[i];
      if (image === undefined) throw new Error('there is no such image');
      const manifest = await request(larder.base, `/v2/main.test/team/app/manifests/v${String(i)}`);
      expectBytes(manifest, Body.of(image.bytes));
      for (const { digest, body } of [image.config, ...image.layers])
        expectBytes(await request(larder.base, `/v2/main.test/team/app/blobs/${digest}`), body);
    };

    test('no transfer breaks, and the store stays below the limit and what is in flight', async () => {
      expect(total).toBeGreaterThan(9 * LIMIT);
      await admin(larder, 'pin', 'POST', `{"go":"${pinned.module}@v1.0.0"}`);
      await pullModule(pinned);
      const work = [
        ...versions.slice(1).map((version) => () => pullModule(version)),
        ...images.map((_, i) => () => pullImage(i)),
      ];
      // both kinds mixed, and each twice at least
      const { length } = work;
      const until = Date.now() + SECONDS * 1000;
      let begun = 0;
      let largest = 0;
      const client = async () => {
        while (begun < 2 * length || Date.now() < until) {
          await work[(begun++ * 37) % length]?.();
          largest = Math.max(largest, bytesHeld(larder.storageDir));
        }
      };
      await Promise.all(Array.from({ length: 8 }, client));
      // eight clients, of whose transfers each is one unit at most, and what came while evictions ran
      expect(largest).toBeLessThan(LIMIT + 2 * 8 * 400 * KIB);
      await eventually('the limit is reached', async () => {
        const { bytes } = await admin<Stats>(larder, 'stats');
        return bytes !== null && bytes <= LIMIT && bytes === bytesHeld(larder.storageDir);
      });
    });

    test('what is pinned is there, and whatever is listed is', async () => {
      expect(outcomeOf(await request(larder.base, filePath(pinned, 'zip')))).toBe('hit');
      const { modules = [] } = await admin<Listed>(larder, 'modules?limit=1000');
      const { images: left = [] } = await admin<Listed>(larder, 'images?limit=1000');
      expect(modules.map(({ name }) => name)).toContain(`go:${pinned.module}@v1.0.0`);
      expect(modules.length).toBeLessThan(15);
      for (const { name } of modules) {
        const { files } = await admin<{ files: { name: string }[] }>(
          larder,
          `modules/${name.slice(3)}`,
        );
        for (const { name: ext } of files) {
          const path = `/${name.slice(3).replace('@', '/@v/')}.${ext}`;
          expect([path, outcomeOf(await request(larder.base, path))]).toEqual([path, 'hit']);
        }
      }
      expect(left.every(({ bytes }) => bytes > 0)).toBe(true);
    });

    test('a killed one counts what it has when it is started again', async () => {
      await larder.kill9();
      const again = await startLarderProcess({ env: settings, dir: larder.dir });
      await eventually('the size is right', async () => {
        const { bytes } = await admin<Stats>(again, 'stats');
        return bytes === bytesHeld(again.storageDir);
      });
      const { modules = [] } = await admin<Listed>(again, 'modules');
      expect(modules.map(({ name }) => name)).toContain(`go:${pinned.module}@v1.0.0`);
    });
  },
);

test('what one unit alone is too large for is served whole, and not kept', async () => {
  const { upstream, larder } = await start({ LARDER_MAX_SIZE: '500kB' });
  const huge = upstream.add('example.com/huge', 'v1.0.0', { noise: 2000 * KIB });
  for (let i = 0; i < 2; i++)
    expectBytes(await whenServed(larder.base, filePath(huge, 'zip')), huge.zip);
  await eventually('it is gone', async () => (await admin<Stats>(larder, 'stats')).bytes === 0);
  const small = upstream.add('example.com/small', 'v1.0.0');
  await whenStored(larder.base, filePath(small, 'zip'));
});

test('what nobody uses for long goes', async () => {
  const { upstream, larder } = await start({
    LARDER_MAX_AGE: '1s',
    LARDER_COLLECT_INTERVAL: '100ms',
  });
  const version = upstream.add('example.com/m', 'v1.0.0');
  await whenStored(larder.base, filePath(version, 'zip'));
  await eventually('it is gone', async () => (await admin<Stats>(larder, 'stats')).objects === 0);
  expectBytes(await request(larder.base, filePath(version, 'zip')), version.zip);
});

test('a last use outlives a stop', async () => {
  const { upstream, larder, settings } = await start();
  const version = upstream.add('example.com/m', 'v1.0.0');
  await whenStored(larder.base, filePath(version, 'info'));
  const { modules: before = [] } = await admin<Listed>(larder, 'modules');
  expect(before[0]?.lastUse).toMatch(/^\d{4}-/);
  expect(await larder.stop()).toMatchObject({ code: 0 });
  const again = await startLarderProcess({ env: settings, dir: larder.dir });
  await eventually('it is known', async () => {
    const { modules: after = [] } = await admin<Listed>(again, 'modules');
    return after[0]?.lastUse === before[0]?.lastUse;
  });
});

test('fills, stats and images are told as they are', async () => {
  const { upstream, registry, larder } = await start();
  const image = registry.addImage('team/app', 'v1', { layers: [Body.noise(300 * KIB, 'one')] });
  const [layer] = image.layers;
  if (layer === undefined) throw new Error('it has no layer');
  const blob = `/v2/main.test/team/app/blobs/${layer.digest}`;
  await whenStored(larder.base, `/v2/main.test/team/app/manifests/${image.digest}`);
  await whenStored(larder.base, '/v2/main.test/team/app/manifests/v1');
  await whenStored(larder.base, blob);
  const stats = await admin<Stats>(larder, 'stats');
  const main = stats.upstreams.find(({ name }) => name === 'main.test');
  expect(main?.bytesSaved).toBeGreaterThanOrEqual(layer.body.size);
  expect(stats.hits).toBeGreaterThanOrEqual(3);
  const [found] = (await admin<Listed>(larder, 'images')).images ?? [];
  expect(found).toMatchObject({ name: 'oci:main.test/team/app:v1', pinned: false });
  await eventually('its owners are told', async () => {
    const shown = await admin<{ referredBy: unknown[] }>(
      larder,
      `images/main.test/team/app@${layer.digest}`,
    );
    return shown.referredBy.length === 1;
  });

  const gate = new Gate();
  const version = upstream.add('example.com/slow', 'v1.0.0');
  upstream.fault(filePath(version, 'zip'), { gate });
  const waiting = [1, 2].map(() => request(larder.base, filePath(version, 'zip')));
  await gate.reached;
  await eventually('both wait for it', async () => {
    const { fills } = await admin<{ fills: { name: string; waiters: number }[] }>(larder, 'fills');
    return fills.some(
      ({ name, waiters }) => /^go:example.com\/slow@v1.0.0 .zip$/.test(name) && waiters === 2,
    );
  });
  gate.open();
  for (const reply of await Promise.all(waiting)) expectBytes(reply, version.zip);
});
