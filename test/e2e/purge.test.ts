// Purges of Go modules through the real program (issue 7).

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { client } from '../support/client.ts';
import { Gate } from '../support/faults.ts';
import { request } from '../support/http.ts';
import { startLarderProcess, type RunningLarder } from '../support/larder.ts';
import { filePath, listPath, type ModuleVersion } from '../support/modules.ts';
import { ADMIN, bytesHeld, purge } from '../support/purges.ts';
import { expectBytes, outcomeOf, whenStored } from '../support/replies.ts';
import { eventually, filesBelow } from '../support/tmp.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const MIB = 1024 * 1024;
const EXTENSIONS = ['info', 'mod', 'zip'] as const;

async function startProxy() {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { ...ADMIN, LARDER_GO_UPSTREAM: upstream.url } });
  return { upstream, larder };
}

const sizeOf = (version: ModuleVersion): number =>
  EXTENSIONS.reduce((bytes, ext) => bytes + version[ext].size, 0);

/** The feed, as `module@version`. */
async function feed({ base }: RunningLarder): Promise<string[]> {
  const { text } = await request(base, '/index');
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => {
    const { Path, Version } = JSON.parse(line) as { Path: string; Version: string };
    return `${Path}@${Version}`;
  });
}

/** Fetches a version, and waits until all that follows from it has happened. */
async function pull(larder: RunningLarder, version: ModuleVersion): Promise<void> {
  const name = `${version.module}@${version.version}`;
  const before = (await feed(larder)).filter((one) => one === name).length;
  for (const ext of EXTENSIONS) await whenStored(larder.base, filePath(version, ext));
  await eventually(
    `${name} is in the feed`,
    async () => (await feed(larder)).filter((one) => one === name).length > before,
  );
}

async function listed(larder: RunningLarder, module: string): Promise<string[]> {
  const { text } = await request(larder.base, listPath(module));
  return text.split('\n').slice(0, -1);
}

async function statusesOf(larder: RunningLarder, version: ModuleVersion): Promise<number[]> {
  const statuses: number[] = [];
  for (const ext of EXTENSIONS)
    statuses.push((await request(larder.base, `/cached-only${filePath(version, ext)}`)).status);
  return statuses;
}

const fetched = (upstream: Upstream, version: ModuleVersion): number[] =>
  EXTENSIONS.map((ext) => upstream.requests(filePath(version, ext)).length);

describe('a version', async () => {
  const { upstream, larder } = await startProxy();
  const module = 'example.com/Team/app';
  const bad = upstream.add(module, 'v1.0.0', { noise: MIB });
  const good = upstream.add(module, 'v1.1.0');
  const name = `${module}@v1.0.0`;

  test('is named by a dry run, and stays', async () => {
    for (const version of [bad, good]) await pull(larder, version);
    expect(await listed(larder, module)).toEqual(['v1.0.0', 'v1.1.0']);
    const would = await purge(larder.base, { go: name, dryRun: true });
    expect(would).toEqual({ purged: [`go:${name}`], freedBytes: sizeOf(bad) });
    expect(await statusesOf(larder, bad)).toEqual([200, 200, 200]);
  });

  test('goes as one, and the list forgets it', async () => {
    upstream.remove(module, 'v1.0.0');
    expect(await listed(larder, module)).toEqual(['v1.0.0', 'v1.1.0']);
    const done = await purge(larder.base, { go: name });
    expect(done).toEqual({ purged: [`go:${name}`], freedBytes: sizeOf(bad) });
    expect(await statusesOf(larder, bad)).toEqual([404, 404, 404]);
    expect(await statusesOf(larder, good)).toEqual([200, 200, 200]);
    expect(await listed(larder, module)).toEqual(['v1.1.0']);
    const only = await request(larder.base, `/cached-only${listPath(module)}`);
    expect(only.text).toBe('v1.1.0\n');
  });

  test('that is gone already frees nothing', async () => {
    expect(await purge(larder.base, { go: name })).toEqual({ purged: [], freedBytes: 0 });
  });

  test('is fetched anew, and comes back into the feed behind what was there', async () => {
    const before = await feed(larder);
    expect(before).toEqual([name, `${module}@v1.1.0`]);
    const again = upstream.add(module, 'v1.0.0', { noise: 1000 });
    upstream.clearLog();
    await pull(larder, again);
    expect(fetched(upstream, again)).toEqual([1, 1, 1]);
    expectBytes(await request(larder.base, filePath(again, 'zip')), again.zip);
    expect(await feed(larder)).toEqual([...before, name]);
    expect(await listed(larder, module)).toEqual(['v1.0.0', 'v1.1.0']);
  });

  test('is in the log once, with what it freed and the id of its request, and no token', async () => {
    await purge(larder.base, { go: name }, 'purge-of-this-test');
    const line = await eventually('the line is written', () =>
      larder.log().find(({ requestId, action }) => action && requestId === 'purge-of-this-test'),
    );
    expect(line).toMatchObject({ action: 'purge', name: `go:${name}`, purged: 1, dryRun: false });
    expect(line['freedBytes']).toBeGreaterThan(1000);
    expect(JSON.stringify(larder.log())).not.toContain(ADMIN.LARDER_ADMIN_TOKEN);
  });
});

test('purged on the disk', async () => {
  const { upstream, larder } = await startProxy();
  const versions = ['v1.0.0', 'v1.1.0'].map((one) =>
    upstream.add('example.com/m', one, { noise: MIB }),
  );
  for (const version of versions) await pull(larder, version);
  const list = () => readFileSync(path.join(larder.storageDir, 'go/example.com/m/@v/list'), 'utf8');
  await eventually('the list is written', () => list() === 'v1.0.0\nv1.1.0\n');
  const before = bytesHeld(larder.storageDir);
  const { freedBytes } = await purge(larder.base, { go: 'example.com/m@v1.0.0' });
  expect(before - bytesHeld(larder.storageDir)).toBe(freedBytes);
  expect(list()).toBe('v1.1.0\n');
  await purge(larder.base, { go: 'example.com/m' });
  const left = filesBelow(larder.storageDir).filter((file) => file.includes('/example.com/'));
  expect(left).toEqual([]);
});

describe('a module', async () => {
  const { upstream, larder } = await startProxy();

  test('goes with every version, and leaves the one below it', async () => {
    const own = ['v1.0.0', 'v1.1.0'].map((one) => upstream.add('example.com/a', one));
    const below = upstream.add('example.com/a/b', 'v1.0.0');
    for (const version of [...own, below]) await pull(larder, version);
    expect(await purge(larder.base, { go: 'example.com/a' })).toEqual({
      purged: ['go:example.com/a@v1.0.0', 'go:example.com/a@v1.1.0'],
      freedBytes: own.reduce((bytes, version) => bytes + sizeOf(version), 0),
    });
    for (const version of own) expect(await statusesOf(larder, version)).toEqual([404, 404, 404]);
    expect(await statusesOf(larder, below)).toEqual([200, 200, 200]);
  });

  test('goes with what was said of it: that something is not there, what a branch is', async () => {
    const module = 'example.com/young';
    const first = upstream.add(module, 'v1.0.0');
    upstream.name(module, 'main', 'v1.0.0');
    const ask = async (rest: string) => {
      const { status, text } = await request(larder.base, `/${module}/${rest}`);
      return status === 200 ? (JSON.parse(text) as { Version: string }).Version : status;
    };
    await pull(larder, first);
    expect([await ask('@v/main.info'), await ask('@latest')]).toEqual(['v1.0.0', 'v1.0.0']);
    expect(await ask('@v/v1.1.0.info')).toBe(404);
    const shown = await request(larder.base, `/admin/modules/${module}@v1.0.0`, {
      headers: { authorization: `Bearer ${ADMIN.LARDER_ADMIN_TOKEN}` },
    });
    expect((JSON.parse(shown.text) as { referredBy: unknown }).referredBy).toEqual([
      { name: `go:${module}@main`, by: 'query' },
      { name: `go:${module}@latest`, by: 'latest' },
    ]);
    upstream.add(module, 'v1.1.0');
    upstream.name(module, 'main', 'v1.1.0');
    expect([await ask('@v/main.info'), await ask('@v/v1.1.0.info')]).toEqual(['v1.0.0', 404]);
    await purge(larder.base, { go: module });
    expect(await ask('@v/main.info')).toBe('v1.1.0');
    expect(await ask('@latest')).toBe('v1.1.0');
    // what replicas told each other a moment ago is shared for its second
    await eventually('it is there', async () => (await ask('@v/v1.1.0.info')) === 'v1.1.0');
  });

  test('purged by many at once is counted once', async () => {
    const version = upstream.add('example.com/many', 'v1.0.0', { noise: MIB });
    await pull(larder, version);
    const all = await Promise.all(
      Array.from({ length: 10 }, () => purge(larder.base, { go: 'example.com/many' })),
    );
    expect(all.reduce((bytes, { freedBytes }) => bytes + freedBytes, 0)).toBe(sizeOf(version));
    expect(await statusesOf(larder, version)).toEqual([404, 404, 404]);
  });
});

test('purged while it is read: the reader finishes', async () => {
  const { upstream, larder } = await startProxy();
  const version = upstream.add('example.com/m', 'v1.0.0', { noise: 16 * MIB });
  await pull(larder, version);
  const reader = client(larder.base, filePath(version, 'zip'), { bytesPerSecond: 16 * MIB });
  await eventually('it reads', () => reader.received() > 0);
  await purge(larder.base, { go: 'example.com/m' });
  expect(reader.received()).toBeLessThan(version.zip.size);
  expectBytes(await reader.reply, version.zip);
  expect(await statusesOf(larder, version)).toEqual([404, 404, 404]);
});

test('purged while it is fetched: its clients get it, nobody keeps it, the next request fetches anew', async () => {
  const { upstream, larder } = await startProxy();
  const version = upstream.add('example.com/m', 'v1.0.0', { noise: 4 * MIB });
  const zip = filePath(version, 'zip');
  const gate = new Gate();
  upstream.fault(zip, { holdAfter: 2 * MIB, gate, times: 1 });
  const readers = Array.from({ length: 3 }, () => client(larder.base, zip));
  await eventually('they read', () => readers.every(({ received }) => received() > 0));
  expect(await purge(larder.base, { go: 'example.com/m@v1.0.0' })).toEqual({
    purged: [],
    freedBytes: 0,
  });
  const next = await request(larder.base, zip);
  expectBytes(next, version.zip);
  expect(outcomeOf(next)).toBe('miss');
  await whenStored(larder.base, zip);
  await purge(larder.base, { go: 'example.com/m@v1.0.0' });
  gate.open();
  for (const { reply } of readers) expectBytes(await reply, version.zip);
  await eventually('no fill is under way', async () =>
    /^larder_fills_in_flight 0$/m.test((await request(larder.base, '/metrics')).text),
  );
  expect(await statusesOf(larder, version)).toEqual([404, 404, 404]);
  expect(upstream.requests(zip)).toHaveLength(2);
});
