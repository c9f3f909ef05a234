// The end of the process, wanted and unwanted (issue 3, behaviour 4): after a kill at any moment everything that is
// served is whole and right; SIGTERM lets the bodies in flight finish.

import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { Gate } from '../support/faults.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { filePath } from '../support/modules.ts';
import { expectBytes, whenServed } from '../support/replies.ts';
import { eventually, filesBelow } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

test('kill -9 in the middle of 30 fills: after a restart everything served is whole', async () => {
  const upstream = await startUpstream();
  const env = { LARDER_GO_UPSTREAM: upstream.url };
  const larder = await startLarderProcess({ env });
  const versions = Array.from({ length: 30 }, (_, i) =>
    upstream.add(`example.com/fill${String(i)}`, 'v1.0.0', { noise: 300_000 }),
  );
  // ten end, ten are in the middle, ten lack their last bytes
  const gate = new Gate();
  for (const [i, version] of versions.entries()) {
    const { size } = version.zip;
    if (i >= 10)
      upstream.fault(filePath(version, 'zip'), { holdAfter: i < 20 ? 150_000 : size - 10, gate });
  }
  const paths = versions.flatMap((version) =>
    (['info', 'mod', 'zip'] as const).map((extension) => ({
      path: filePath(version, extension),
      body: version[extension],
    })),
  );
  let ended = 0;
  const replies = paths.map(async ({ path, body }) => {
    const reply = await request(larder.base, path);
    ended += 1;
    return { reply, body };
  });
  await eventually(
    '20 fills are held, the rest is over',
    () => gate.arrivals === 20 && ended === 70,
  );
  await larder.kill9();
  for (const { reply, body } of await Promise.all(replies)) {
    if (reply.complete) expectBytes(reply, body);
  }

  await upstream.down();
  const again = await startLarderProcess({ env, dir: larder.dir });
  expect(filesBelow(again.spoolDir)).toEqual([]);
  const zips = filesBelow(again.storageDir).filter((file) => file.endsWith('.zip'));
  for (const file of zips) {
    const owner = versions.find(({ module }) => file.includes(`/${module}/@v/`));
    expect(basename(file)).toBe('v1.0.0.zip');
    expect(Body.of(readFileSync(file)).sha256).toBe(owner?.zip.sha256);
  }
  for (const { path, body } of paths) {
    const reply = await request(again.base, `/cached-only${path}`);
    if (reply.status === 200) expectBytes(reply, body);
    else expect(reply).toMatchObject({ status: 404, complete: true });
  }

  upstream.clearFaults();
  await upstream.up();
  for (const { path, body } of paths) expectBytes(await whenServed(again.base, path), body);
});

test('SIGTERM: not ready at once, the body in flight finishes, exit code 0', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
  const version = upstream.add('example.com/draining', 'v1.0.0', { noise: 2_000_000 });
  const gate = new Gate();
  upstream.fault(filePath(version, 'zip'), { holdAfter: 1_000_000, gate });
  expect(await request(larder.base, '/readyz')).toMatchObject({ status: 200 });

  let received = 0;
  const inFlight = request(larder.base, filePath(version, 'zip'), {
    onChunk: (chunk) => (received += chunk.length),
  });
  await eventually('the client has its first bytes', () => received > 0);
  larder.signal('SIGTERM');
  const unready = await eventually('/readyz is 503', async () => {
    const reply = await request(larder.base, '/readyz');
    return reply.status === 503 && reply;
  });
  expect(unready.headers.connection).toBe('close');

  gate.open();
  expectBytes(await inFlight, version.zip);
  expect(await larder.ended).toEqual({ code: 0, signal: null });
  expect(larder.stderr()).toBe('');

  await upstream.down();
  const again = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: upstream.url },
    dir: larder.dir,
  });
  expectBytes(await request(again.base, filePath(version, 'zip')), version.zip);
});

test('SIGTERM and a body that does not end: it is cut off when the drain time is over', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: upstream.url, LARDER_DRAIN_TIMEOUT: '500ms' },
  });
  const version = upstream.add('example.com/endless', 'v1.0.0', { noise: 2_000_000 });
  upstream.fault(filePath(version, 'zip'), { holdAfter: 1_000_000 });

  let received = 0;
  const inFlight = request(larder.base, filePath(version, 'zip'), {
    onChunk: (chunk) => (received += chunk.length),
  });
  await eventually('the client has its first bytes', () => received > 0);
  expect(await larder.stop()).toEqual({ code: 0, signal: null });
  const reply = await inFlight;
  expect(reply).toMatchObject({ status: 200, complete: false });
  expect(reply.error?.message).not.toMatch(/gave up/);
});
