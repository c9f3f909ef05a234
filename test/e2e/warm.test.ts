// `larder warm` through the real program: a server is filled, and then needs nobody (issue 8, behaviour 4).

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { WarmResult } from '../../src/references/warm.ts';
import { Body } from '../support/body.ts';
import { go, goOutput, project } from '../support/go.ts';
import { request } from '../support/http.ts';
import { imageIndex, type Image } from '../support/images.ts';
import { runLarder, startLarderProcess, type Run, type Settings } from '../support/larder.ts';
import { startMirror } from '../support/mirror.ts';
import { outcomeOf } from '../support/replies.ts';
import { tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const MIB = 1024 * 1024;

function expectWarmed(run: Run, result: Partial<WarmResult>, code = 0): WarmResult {
  expect([run.code, run.stderr]).toEqual([code, expect.anything()]);
  const last = run.stdout.trimEnd().split('\n').at(-1) ?? '';
  const warmed = JSON.parse(last) as WarmResult;
  expect(warmed).toMatchObject(result);
  expect(Object.keys(warmed)).toEqual(['stored', 'present', 'failed']);
  return warmed;
}

const warm = (base: string, args: readonly string[], env: Settings = {}) =>
  runLarder(['warm', '--server', base, '--json', ...args], { env });

describe('the go.sum of a real module', async () => {
  const upstream = await startUpstream();
  // a graph in which go needs the .mod of versions whose zip it never asks for
  upstream.add('example.com/Upper', 'v1.0.0', { noise: MIB });
  upstream.add('example.com/b', 'v1.0.0', { requires: { 'example.com/Upper': 'v1.0.0' } });
  upstream.add('example.com/b', 'v1.2.0', { requires: { 'example.com/Upper': 'v1.0.0' } });
  upstream.add('example.com/c/v2', 'v2.1.0', { requires: { 'example.com/b': 'v1.0.0' } });
  const dir = project(
    'module example.com/main\n\ngo 1.16\n\nrequire (\n\texample.com/b v1.2.0\n\texample.com/c/v2 v2.1.0\n)\n',
  );
  await goOutput(['mod', 'download', 'all'], { proxy: upstream.url, cwd: dir });
  const sum = join(dir, 'go.sum');
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });

  test('is all there, once, and go needs no upstream any more', async () => {
    upstream.clearLog();
    expectWarmed(await warm(larder.base, ['--go-sum', sum]), { stored: 4, present: 0, failed: [] });
    const asked = upstream.log.map(({ path }) => path);
    expect(asked.filter((path) => path.includes('/b/@v/v1.0.0'))).toEqual([
      '/example.com/b/@v/v1.0.0.mod',
    ]);
    expect(asked).toContain('/example.com/!upper/@v/v1.0.0.zip');
    expect(new Set(asked).size).toBe(asked.length);
    await upstream.down();
    const again = await go(['mod', 'download', 'all'], { proxy: larder.base, cwd: dir });
    expect(again).toMatchObject({ code: 0 });
    expectWarmed(await warm(larder.base, ['--go-sum', sum]), { stored: 0, present: 4, failed: [] });
    await upstream.up();
  });

  test('with a bad line is refused with its number, and nothing is asked', async () => {
    upstream.clearLog();
    const bad = join(tempDir(), 'go.sum');
    writeFileSync(bad, 'example.com/none v1.0.0 h1:abc\n\nbroken\n');
    const run = await warm(larder.base, ['--go-sum', bad, '--go', 'example.com/none@v1.0.0']);
    expect([run.code, run.stdout]).toEqual([2, '']);
    expect(run.stderr).toMatch(/go\.sum:1: its hash.*\n.*go\.sum:3: it has 1 fields/);
    expect(upstream.log).toEqual([]);
  });

  test('what is not there is named, the rest is there, and the exit code is 1', async () => {
    const names = join(tempDir(), 'names');
    writeFileSync(names, 'go:example.com/b@v1.0.0\n\ngo:example.com/none@v1.0.0\r\n');
    const result = expectWarmed(await warm(larder.base, ['--file', names]), { stored: 1 }, 1);
    expect(result.failed).toEqual([
      { name: 'go:example.com/none@v1.0.0', error: expect.stringMatching(/^\.info: /) as string },
    ]);
    const plain = await runLarder([
      ...['warm', '--server', larder.base, '--go', 'example.com/b@v1.0.0'],
      'example.com/none@v1.0.0',
    ]);
    expect(plain.code).toBe(1);
    expect(plain.stdout).toMatch(
      /^present {2}go:example\.com\/b@v1\.0\.0\nfailed {2}go:example\.com\/none@v1\.0\.0: .*\n$/,
    );
    expect(plain.stderr).toContain('0 stored, 1 there already, 1 failed');
  });
});

describe('images', async () => {
  const { registry, larder } = await startMirror();
  const shared = Body.noise(200_000, 'shared');
  const [amd, arm] = ['amd', 'arm'].map((one) =>
    registry.addImage('team/app', undefined, { layers: [shared, Body.noise(2 * MIB, one)] }),
  ) as [Image, Image];
  const index = imageIndex({ amd64: amd, arm64: arm });
  registry.addManifest('team/app', 'v1', index.bytes, index.mediaType);
  const signature = registry.addImage('team/app', undefined, {
    layers: ['signature'],
    artifactType: 'x/sig',
    subject: amd,
  });
  const path = (kind: string, of: string) => `/v2/main.test/team/app/${kind}/${of}`;
  const all = (image: Image) => [
    path('manifests', image.digest),
    ...[image.config, ...image.layers].map(({ digest }) => path('blobs', digest)),
  ];
  const outcomes = (paths: readonly string[]) =>
    Promise.all(
      paths.map(async (one) => outcomeOf(await request(larder.base, one, { method: 'HEAD' }))),
    );

  test('of one platform come with what signs them, and nothing of the others', async () => {
    registry.clearLog();
    const args = ['--oci', 'main.test/team/app:v1', '--platform', 'linux/amd64'];
    expectWarmed(await warm(larder.base, args), { stored: 1, present: 0, failed: [] });
    expect(registry.requests(new RegExp(arm.digest))).toEqual([]);
    registry.clearLog();
    const held = [path('manifests', 'v1'), ...all(amd), ...all(signature)];
    expect(new Set(await outcomes(held))).toEqual(new Set(['hit']));
    expect(registry.log).toEqual([]);
  });

  test('of all platforms come without what is there, and then a pull needs no registry', async () => {
    registry.clearLog();
    const args = ['--oci', 'main.test/team/app:v1'];
    expectWarmed(await warm(larder.base, args), { stored: 1, present: 0, failed: [] });
    const blobs = registry.requests(/\/blobs\//).filter(({ method }) => method === 'GET');
    expect(blobs.map(({ path: asked }) => asked)).toEqual([
      expect.stringContaining(arm.layers[1]?.digest ?? 'none') as string,
    ]);
    registry.clearLog();
    expectWarmed(await warm(larder.base, args), { stored: 0, present: 1, failed: [] });
    expect(registry.log).toEqual([]);
  });

  test('that are not there are named with what failed', async () => {
    const broken = registry.addImage('team/broken', 'v1', { layers: ['one', 'two'] });
    registry.remove('team/broken', broken.layers[0]?.digest ?? '');
    const args = ['--oci', 'main.test/team/none', 'main.test/team/broken:v1', 'x.test/a:1'];
    const { failed } = expectWarmed(await warm(larder.base, args), { stored: 0, present: 0 }, 1);
    expect(failed.map(({ name }) => name)).toEqual([
      'oci:main.test/team/none:latest',
      'oci:main.test/team/broken:v1',
      'oci:x.test/a:1',
    ]);
    expect(failed[1]?.error).toContain(`blob ${broken.layers[0]?.digest ?? 'none'}: `);
    expect(failed[2]?.error).toMatch(/not mirrored/);
  });
});
