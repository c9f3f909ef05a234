// Collections through the real program, asked for by the API and on the command line (issue 7).

import { cpSync, existsSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { collect, runJob, type Collected } from '../support/collections.ts';
import { imageOfRun } from '../support/container.ts';
import { request } from '../support/http.ts';
import type { Image } from '../support/images.ts';
import { runLarder, startLarderProcess } from '../support/larder.ts';
import { pullAll, startMirror, stored } from '../support/mirror.ts';
import { ADMIN, bytesHeld, purge } from '../support/purges.ts';
import { storeOfRun } from '../support/store-of-run.ts';
import { eventually, filesBelow, tempDir } from '../support/tmp.ts';

const KIB = 1024;
/** Tags are asked for every time, and what nobody owns goes at once. */
const AT_ONCE = { LARDER_TAG_TTL: '0s', LARDER_ORPHAN_GRACE: '0s' };
const name = 'oci:main.test/team/app';

async function start(env: Readonly<Record<string, string>> = AT_ONCE) {
  const mirror = await startMirror({}, { ...ADMIN, ...env });
  const { larder, settings } = mirror;
  const alone = {
    LARDER_STORAGE_DIR: larder.storageDir,
    LARDER_SPOOL_DIR: larder.spoolDir,
    LARDER_GO_UPSTREAM: 'off',
    LARDER_GO_SUMDB: 'off',
    ...settings.env,
  };
  return {
    ...mirror,
    pull: (repository: string, reference: string, image: Image) =>
      pullAll(larder.base, repository, reference, image),
    /** The command line, by the same settings. */
    run: (...args: string[]) => runLarder(args, { env: alone }),
  };
}

const digestsOf = (...digests: string[]) => digests.map((digest) => `${name}@${digest}`).sort();
const lastLine = (text: string): Collected =>
  JSON.parse(text.trimEnd().split('\n').at(-1) ?? '') as Collected;

describe('a tag that moved', () => {
  const shared = Body.noise(100 * KIB, 'shared');
  const moved = async () => {
    const mirror = await start();
    const { registry, pull, larder } = mirror;
    const old = registry.addImage('team/app', 'latest', {
      layers: [shared, Body.noise(200 * KIB, 'old')],
    });
    await pull('team/app', 'latest', old);
    const fresh = registry.addImage('team/app', 'latest', {
      layers: [shared, Body.noise(300 * KIB, 'new')],
    });
    await pull('team/app', 'latest', fresh);
    const [, layer] = old.layers;
    const gone = digestsOf(old.digest, layer?.digest ?? '');
    const bytes = old.bytes.length + 200 * KIB;
    return { ...mirror, gone, bytes, fresh, held: () => bytesHeld(larder.storageDir) };
  };

  test('by the API: what is told is what goes, on the disk too', async () => {
    const { larder, gone, bytes, fresh, held, get, registry } = await moved();
    const before = held();
    const would = await collect(larder.base, { dryRun: true });
    expect(held()).toBe(before);
    expect([...would.collected].sort()).toEqual(gone);
    expect(would).toMatchObject({ count: 2, freedBytes: bytes });
    expect(await collect(larder.base)).toEqual(would);
    expect(before - held()).toBe(bytes);
    expect(await collect(larder.base)).toEqual({ count: 0, freedBytes: 0, collected: [] });
    registry.clearLog();
    for (const { digest } of fresh.layers)
      expect((await get(`team/app/blobs/${digest}`)).status).toBe(200);
    expect(registry.log).toEqual([]);
    const lines = await eventually('the lines are written', () => {
      const found = larder.log().filter(({ action }) => action === 'collect');
      return found.length === 3 && found;
    });
    expect(lines[1]).toMatchObject({
      state: 'done',
      requestId: expect.any(String) as string,
      result: { count: 2, freedBytes: bytes, collected: 2 },
    });
  });

  test('on the command line: by the server, and without one', async () => {
    const { larder, gone, bytes, held, run } = await moved();
    const refused = await run('collect');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(/LARDER_STORAGE_DIR.*another Larder.*--server/);
    const would = await run('collect', '--dry-run', '--json', '--server', larder.base);
    expect(would).toMatchObject({ code: 0, stderr: '' });
    expect([...lastLine(would.stdout).collected].sort()).toEqual(gone);
    await larder.kill9();
    const before = held();
    const done = await run('collect', '--json');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(lastLine(done.stdout)).toEqual(lastLine(would.stdout));
    expect(before - held()).toBe(bytes);
  });

  test('goes by itself', async () => {
    const { registry, pull, larder } = await start({ ...AT_ONCE, LARDER_COLLECT_INTERVAL: '1s' });
    const old = registry.addImage('team/app', 'latest', { layers: ['old'] });
    await pull('team/app', 'latest', old);
    const fresh = registry.addImage('team/app', 'latest', { layers: ['new'] });
    await pull('team/app', 'latest', fresh);
    const digest = old.digest.replace(':', '/');
    await eventually('the old image is gone', () =>
      filesBelow(larder.storageDir).every((file) => !file.includes(`_links/${digest}`)),
    );
    await stored(larder.base, `team/app/manifests/${fresh.digest}`);
  });

  test('stays with LARDER_KEEP=all', async () => {
    const { registry, pull, larder } = await start({ ...AT_ONCE, LARDER_KEEP: 'all' });
    await pull('team/app', 'latest', registry.addImage('team/app', 'latest', { layers: ['old'] }));
    await pull('team/app', 'latest', registry.addImage('team/app', 'latest', { layers: ['new'] }));
    expect(await collect(larder.base)).toMatchObject({ count: 0, skipped: /./ });
  });
});

test('larder purge: by the server, and without one', async () => {
  const { registry, pull, larder, run, settings } = await start();
  const image = registry.addImage('team/app', 'v1', { layers: ['x'] });
  await pull('team/app', 'v1', image);
  const tag = `${name}:v1`;
  // none goes where one of them is no name
  for (const wrong of ['oci:x', 'go:nodot'])
    expect((await run('purge', '--server', larder.base, tag, wrong)).code).toBe(2);
  const would = await run('purge', '--dry-run', '--server', larder.base, tag);
  expect(would.code).toBe(0);
  expect(would.stdout.trimEnd().split('\n')).toContain(tag);
  await larder.stop();
  for (const wrong of [
    ['purge'],
    ['purge', 'v1'],
    ['purge', tag, 'oci:x'],
    ['purge', '--all', tag],
  ])
    expect((await run(...wrong)).code).toBe(2);
  const done = await run('purge', '--json', tag, 'go:example.com/m');
  const { purged } = JSON.parse(done.stdout) as { purged: string[] };
  expect([done.code, purged.length]).toEqual([0, 4]);
  const lines = done.stderr.trimEnd().split('\n');
  // the image's own, where it is one that runs
  const user = imageOfRun === undefined ? userInfo().username : 'larder';
  expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
    { action: 'purge', name: tag, user, dryRun: false, purged: 4 },
    { action: 'purge', name: 'go:example.com/m', freedBytes: 0, purged: 0 },
  ]);
  expect(await run('purge', '--json', tag)).toMatchObject({
    code: 0,
    stdout: '{"purged":[],"freedBytes":0}\n',
  });
  // and the size of the store is known without a walk
  const again = await startLarderProcess(settings);
  await eventually('it is empty', async () => {
    const headers = { authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` };
    const { text } = await request(again.base, '/admin/stats', { headers });
    const { objects, bytes } = JSON.parse(text) as Record<string, unknown>;
    return objects === 0 && bytes === 0;
  });
});

test('jobs: unknown ones, what is no order, and a cancelled one', async () => {
  const { larder } = await start();
  const headers = { authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` };
  const ask = (method: string, path: string, body?: string) =>
    request(larder.base, path, { method, headers, ...(body !== undefined && { body }) });
  expect((await ask('GET', '/admin/jobs/none')).status).toBe(404);
  expect((await ask('DELETE', '/admin/jobs/none')).status).toBe(404);
  expect((await ask('PUT', '/admin/jobs/none')).status).toBe(405);
  for (const body of ['{', '[]', '{"dryRun":1}', '{"dry":true}']) {
    const { status, text } = await ask('POST', '/admin/collect', body);
    expect([status, JSON.parse(text)]).toEqual([400, { error: expect.any(String) as string }]);
  }
  expect((await request(larder.base, '/admin/collect', { method: 'POST' })).status).toBe(401);
  expect(JSON.parse((await ask('GET', '/admin/jobs')).text)).toEqual([]);
  const { id } = JSON.parse((await ask('POST', '/admin/collect')).text) as { id: string };
  expect([200, 202]).toContain((await ask('DELETE', `/admin/jobs/${id}`)).status);
  const [job] = JSON.parse((await ask('GET', '/admin/jobs')).text) as { id: string }[];
  expect(job?.id).toBe(id);
});

/** Seconds of the churn below; `npm run test:soak` gives it a minute. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 5);
const WRITERS = 80;
const PURGERS = 20;

test(
  'pulls, moving tags, purges and collections all at once: no answer is wrong, and nothing is left of it',
  { timeout: 60_000 + SECONDS * 2000 },
  async () => {
    const { registry, larder, get } = await start();
    const tags = ['a', 'b', 'c', 'd'];
    const layers = ['p', 'q', 'r', 's', 't'].map((seed) => Body.noise(90 * KIB, seed));
    const repositories = ['team/app', 'team/other'];
    const images = layers.map((layer, at) => [layer, layers[(at + 1) % layers.length] ?? layer]);
    const move = (repository: string, tag: string) =>
      registry.addImage(repository, tag, { layers: any(images) });
    for (const repository of repositories) {
      // whatever a tag was, its digest stays there
      for (const one of images) registry.addImage(repository, undefined, { layers: one });
      for (const tag of tags) move(repository, tag);
    }
    const until = Date.now() + SECONDS * 1000;
    const wrong: string[] = [];
    let pulls = 0;
    const write = async () => {
      while (Date.now() < until) {
        const repository = any(repositories);
        const manifest = await get(`${repository}/manifests/${any(tags)}`);
        if (manifest.status !== 200) {
          wrong.push(`manifest: ${String(manifest.status)} ${manifest.text}`);
          continue;
        }
        const { layers: named } = JSON.parse(manifest.text) as { layers: { digest: string }[] };
        for (const { digest } of named) {
          const blob = await get(`${repository}/blobs/${digest}`);
          const right = layers.some((one) => one.bytes().equals(blob.body));
          if (blob.status !== 200 || !right) wrong.push(`${digest}: ${String(blob.status)}`);
        }
        pulls++;
      }
    };
    const unsettle = async () => {
      while (Date.now() < until) {
        const [repository, tag] = [any(repositories), any(tags)];
        move(repository, tag);
        await purge(larder.base, { oci: `main.test/${repository}:${any(tags)}` });
        await sleep(20);
      }
    };
    const sweep = async () => {
      while (Date.now() < until) await collect(larder.base);
    };
    await Promise.all([
      ...Array.from({ length: WRITERS }, write),
      ...Array.from({ length: PURGERS }, unsettle),
      sweep(),
    ]);
    expect(wrong).toEqual([]);
    expect(pulls).toBeGreaterThan(0);
    // edges are those that tags and manifests speak for, no more and no fewer
    for (let times = 0; times < 2; times++) await collect(larder.base);
    expect(await runJob(larder.base, 'verify')).toMatchObject({ corrupt: [] });
    if (storeOfRun === undefined) await expectEdgesRemade(larder.storageDir);
    // what tags lead to is all that is left once nothing moves, and all of it goes with them
    for (const repository of repositories)
      await purge(larder.base, { oci: `main.test/${repository}` });
    await collect(larder.base);
    await collect(larder.base);
    expect(bytesHeld(larder.storageDir)).toBe(0);
    const documents = filesBelow(larder.storageDir)
      .map((file) => file.slice(larder.storageDir.length))
      .filter((file) => /^\/oci\/(repos|references|orphans)\//.test(file));
    expect(documents).toEqual([]);
  },
);

/** That a copy of the store, from which all edges are taken, gets the very same back. */
async function expectEdgesRemade(storageDir: string): Promise<void> {
  const copy = path.join(tempDir(), 'copy');
  cpSync(storageDir, copy, { recursive: true, filter: (file) => !/\.(lock|spool)$/.test(file) });
  const folder = path.join(copy, 'oci/references');
  // a use says what was, and the edge of a manifest that is not here cannot be known to be untrue
  const isHere = (hex: string) =>
    existsSync(path.join(copy, 'oci/blobs/sha256', hex.slice(0, 2), hex));
  const edges = () =>
    filesBelow(folder)
      .map((file) => path.relative(folder, file))
      .filter((file) => {
        const [, kind, hex] = /\/(use|tag|manifest)-.*?([0-9a-f]{64})?$/.exec(file) ?? [];
        return kind !== 'use' && (kind !== 'manifest' || isHere(hex ?? ''));
      });
  const before = edges();
  rmSync(folder, { recursive: true, force: true });
  const env = { LARDER_STORAGE_DIR: copy, LARDER_GO_UPSTREAM: 'off', LARDER_GO_SUMDB: 'off' };
  expect(await runLarder(['verify', '--repair'], { env })).toMatchObject({ code: 0 });
  expect(edges()).toEqual(before);
}

function any<T>(items: readonly T[]): T {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new Error('there is none');
  return item;
}
