// Verification, upgrade and copy of a store that the real program has filled (issue 7).

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { runJob } from '../support/collections.ts';
import { request } from '../support/http.ts';
import { runLarder, startLarderProcess, type Run, type Settings } from '../support/larder.ts';
import { startMirror, stored } from '../support/mirror.ts';
import { filePath } from '../support/modules.ts';
import { ADMIN } from '../support/purges.ts';
import { expectBytes, whenStored } from '../support/replies.ts';
import { bucketOn, versityServer } from '../support/s3-servers.ts';
import { eventually, filesBelow } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const offline: Settings = { LARDER_GO_UPSTREAM: 'off', LARDER_GO_SUMDB: 'off' };

interface Result {
  readonly checked: number;
  readonly corrupt: readonly string[];
  readonly repaired: number;
  readonly edgesRestored: number;
}

const resultOf = ({ stdout }: Run): Result =>
  JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Result;

/** A store with a version and an image in it, and the program that filled it gone. */
async function filled() {
  const upstream = await startUpstream();
  const version = upstream.add('example.com/m', 'v1.0.0', { noise: 200_000 });
  const { registry, larder, get, settings } = await startMirror(
    {},
    { ...ADMIN, LARDER_GO_UPSTREAM: upstream.url },
  );
  const image = registry.addImage('team/app', 'v1', {
    layers: [Body.noise(300_000, 'a'), Body.of('small')],
  });
  for (const ext of ['info', 'mod', 'zip'] as const)
    await whenStored(larder.base, filePath(version, ext));
  expect((await get('team/app/manifests/v1')).status).toBe(200);
  for (const { digest } of [image.config, ...image.layers]) {
    expect((await get(`team/app/blobs/${digest}`)).status).toBe(200);
    await stored(larder.base, `team/app/blobs/${digest}`);
  }
  const { storageDir: dir } = larder;
  const below = (folder: string) =>
    filesBelow(path.join(dir, folder)).map((file) => path.relative(dir, file));
  await eventually('its edges are written', () => below('oci/references').length === 4);
  await larder.stop();
  const env: Settings = { LARDER_STORAGE_DIR: dir, ...offline };
  const run = (...args: string[]) => runLarder(args, { env });
  return {
    dir,
    below,
    env,
    run,
    version,
    image,
    restart: () => startLarderProcess(settings),
  };
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  const at = bytes.length - 20;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

describe('larder verify', () => {
  test('finds nothing wrong, then the very things that are, and repairs them', async () => {
    const { dir, below, run, version, image, restart } = await filled();
    const sound = await run('verify', '--json');
    expect(sound).toMatchObject({ code: 0 });
    expect(resultOf(sound)).toMatchObject({ corrupt: [], repaired: 0, edgesRestored: 0 });
    expect(resultOf(sound).checked).toBeGreaterThan(15);

    const [layer] = image.layers;
    const hex = layer?.digest.slice('sha256:'.length) ?? '';
    flip(path.join(dir, 'oci/blobs/sha256', hex.slice(0, 2), hex));
    flip(path.join(dir, `go${filePath(version, 'zip')}`));
    const link = below('oci/repos').find((file) => file.includes('_links')) ?? '';
    flip(path.join(dir, link));
    const wrong = [
      `document:${link}`,
      'go:example.com/m@v1.0.0',
      `oci:main.test/team/app@sha256:${hex}`,
    ];
    for (let i = 0; i < 2; i++) {
      const found = await run('verify', '--json');
      expect(found.code).toBe(1);
      expect([...resultOf(found).corrupt].sort()).toEqual(wrong);
    }
    const said = await run('verify', '--repair');
    expect(said).toMatchObject({ code: 0 });
    expect(said.stdout.trimEnd().split('\n').sort()).toEqual(wrong);
    expect(said.stderr).toMatch(/3 wrong, 3 of them repaired/);
    const after = await run('verify', '--json');
    expect(after).toMatchObject({ code: 0 });
    expect(resultOf(after).corrupt).toEqual([]);

    // and what is gone comes back when somebody asks
    const larder = await restart();
    expectBytes(await request(larder.base, filePath(version, 'zip')), version.zip);
    const reply = await request(larder.base, `/v2/team/app/blobs/sha256:${hex}`);
    if (layer) expectBytes(reply, layer.body);
  });

  test('makes edges anew that are gone as a whole', async () => {
    const { dir, below, run } = await filled();
    const before = below('oci/references');
    rmSync(path.join(dir, 'oci/references'), { recursive: true });
    expect(resultOf(await run('verify', '--json')).edgesRestored).toBe(0);
    expect(below('oci/references')).toEqual([]);
    const repaired = await run('verify', '--repair', '--json');
    expect(repaired.code).toBe(0);
    expect(resultOf(repaired)).toMatchObject({ corrupt: [], edgesRestored: before.length });
    expect(below('oci/references')).toEqual(before);
    expect(below('references')).toEqual([]);
  });

  test('is done by a server that has the store, as a job', async () => {
    const { dir, run, env, version, restart } = await filled();
    flip(path.join(dir, `go${filePath(version, 'zip')}`));
    const larder = await restart();
    const refused = await run('verify');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('--server URL');
    const ask = (...args: string[]) =>
      runLarder(['verify', '--server', larder.base, ...args], { env: { ...env, ...ADMIN } });
    const found = await ask('--json');
    expect(found.code).toBe(1);
    expect(resultOf(found)).toMatchObject({ corrupt: ['go:example.com/m@v1.0.0'], repaired: 0 });
    // it is not served any more, and comes anew
    expectBytes(await request(larder.base, filePath(version, 'zip')), version.zip);
    await whenStored(larder.base, filePath(version, 'zip'));
    const after = await ask('--repair', '--json');
    expect(after.code).toBe(0);
    expect(resultOf(after)).toMatchObject({ corrupt: [], repaired: 0, edgesRestored: 0 });
    const sampled = await ask('--sample', '2', '--json');
    expect(resultOf(sampled).checked).toBe(2);
    const bad = await request(larder.base, '/admin/verify', {
      method: 'POST',
      headers: { Authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` },
      body: '{"sample":0}',
    });
    expect(bad.status).toBe(400);
  });

  test('says what is wrong with how it is used', async () => {
    for (const args of [
      ['verify', '--sample', 'many'],
      ['verify', '--sample', '0'],
      ['verify', '--nothing'],
      ['verify', 'everything'],
      ['migrate', '--to', 'tape'],
      ['migrate', '--server', 'http://127.0.0.1:1'],
      ['migrate', '--to', 'file'],
    ]) {
      const run = await runLarder(args, { env: offline });
      expect([args, run.code, run.stdout]).toEqual([args, 2, '']);
      expect(run.stderr).not.toMatch(/^\s+at |node:/m);
    }
    for (const verb of ['verify', 'migrate'])
      expect(await runLarder([verb, '--help'])).toMatchObject({ code: 0, stderr: '' });
  });
});

test('clients read while a server verifies: small content is never wrong, and none that was looked at', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { ...ADMIN, LARDER_GO_UPSTREAM: upstream.url } });
  const files = Array.from({ length: 40 }, (_, i) => {
    const noise = i % 2 === 0 ? 1000 : 200_000;
    const made = upstream.add(`example.com/m${String(i)}`, 'v1.0.0', { noise });
    return { path: filePath(made, 'zip'), body: made.zip, isSmall: noise === 1000 };
  });
  for (const { path: of } of files) await whenStored(larder.base, of);
  const flipped = files.slice(0, 12);
  for (const { path: of } of flipped) flip(path.join(larder.storageDir, `go${of}`));
  const wrong: { isSmall: boolean; wasChecked: boolean }[] = [];
  const progress = { isChecked: false, isOver: false, reads: 0 };
  const read = async () => {
    while (!progress.isOver) {
      for (const { path: of, body, isSmall } of files) {
        const wasChecked = progress.isChecked;
        const reply = await request(larder.base, of);
        progress.reads++;
        const isRight = reply.status === 200 && reply.complete && reply.sha256 === body.sha256;
        if (!isRight) wrong.push({ isSmall, wasChecked });
      }
    }
  };
  const readers = Array.from({ length: 8 }, read);
  const found = await runJob(larder.base, 'verify', { repair: true });
  progress.isChecked = true;
  const before = progress.reads;
  await eventually('they have read on', () => progress.reads > before + 8 * files.length);
  progress.isOver = true;
  await Promise.all(readers);
  expect(wrong.filter(({ isSmall, wasChecked }) => isSmall || wasChecked)).toEqual([]);
  const names = flipped.map(({ path: of }) => of.replace(/^\/(.*)\/@v\/(.*)\.zip$/, 'go:$1@$2'));
  const corrupt = found['corrupt'] as readonly string[];
  // what a reader has found first came anew
  for (const name of corrupt) expect(names).toContain(name);
  const large = names.filter((_, i) => flipped[i]?.isSmall === false);
  expect(corrupt).toEqual(expect.arrayContaining(large));
  for (const { path: of } of files) await whenStored(larder.base, of);
  expect(await runJob(larder.base, 'verify')).toMatchObject({ corrupt: [] });
});

describe('larder migrate', () => {
  test('upgrades a store of format 0, which a start refuses', async () => {
    const { dir, below, run, restart, image } = await filled();
    const before = below('oci/references');
    rmSync(path.join(dir, 'oci/references'), { recursive: true });
    writeFileSync(path.join(dir, 'format.json'), '{"format":0}\n');
    const refused = await run('serve');
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toMatch(/format 0.*larder migrate.*LARDER_MIGRATE=auto/);
    expect(readFileSync(path.join(dir, 'format.json'), 'utf8')).toBe('{"format":0}\n');
    expect(await run('migrate')).toMatchObject({ code: 0, stdout: 'the store has format 1\n' });
    expect(below('oci/references')).toEqual(before);
    expect(readFileSync(path.join(dir, 'format.json'), 'utf8')).toBe('{"format":1}\n');
    expect(await run('migrate', '--json')).toMatchObject({ code: 0, stdout: '{"format":1}\n' });
    const larder = await restart();
    await stored(larder.base, `team/app/manifests/${image.digest}`);
  });

  test('at the start, where LARDER_MIGRATE says so', async () => {
    const { dir, below, env } = await filled();
    const before = below('oci/references');
    rmSync(path.join(dir, 'oci/references'), { recursive: true });
    writeFileSync(path.join(dir, 'format.json'), '{"format":0}\n');
    const larder = await startLarderProcess({ env: { ...env, LARDER_MIGRATE: 'auto' } });
    expect(below('oci/references')).toEqual(before);
    await larder.stop();
  });

  test('copies a store into a bucket and back', async () => {
    const { dir, below, env, run } = await filled();
    const server = await versityServer();
    const s3 = {
      LARDER_S3_BUCKET: await bucketOn(server),
      LARDER_S3_ENDPOINT: server.endpoint,
      LARDER_S3_FORCE_PATH_STYLE: 'true',
      LARDER_S3_ACCESS_KEY_ID: server.accessKeyId,
      LARDER_S3_SECRET_ACCESS_KEY: server.secretAccessKey,
    };
    const there = await runLarder(['migrate', '--to', 's3', '--json'], { env: { ...env, ...s3 } });
    expect(there).toMatchObject({ code: 0 });
    expect(JSON.parse(there.stdout)).toMatchObject({ copied: 7, present: 0, corrupt: [] });
    const verified = await runLarder(['verify', '--json'], {
      env: { ...offline, ...s3, LARDER_STORAGE: 's3' },
    });
    expect(verified).toMatchObject({ code: 0 });
    const checked = resultOf(await run('verify', '--json')).checked;
    expect(resultOf(verified)).toMatchObject({ checked, corrupt: [] });
    const kept = (files: string[]) => files.filter((file) => !file.startsWith('.'));
    const before = kept(below(''));
    rmSync(dir, { recursive: true });
    const back = await runLarder(['migrate', '--to', 'file'], {
      env: { ...env, ...s3, LARDER_STORAGE: 's3' },
    });
    expect(back).toMatchObject({ code: 0 });
    expect(kept(below(''))).toEqual(before);
    expect(resultOf(await run('verify', '--json'))).toMatchObject({ checked, corrupt: [] });
  });
});
