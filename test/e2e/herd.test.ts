// Many clients at once, slow ones and leaving ones, cold and warm (issue 3, behaviour 1, 2 and 5).

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { client } from '../support/client.ts';
import { Gate } from '../support/faults.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { filePath, latestPath, listPath } from '../support/modules.ts';
import { expectBytes, outcomeOf, whenServed, whenStored } from '../support/replies.ts';
import { eventually } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const MIB = 1024 * 1024;

describe('one cold zip', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });

  test('100 clients: one upstream request, first bytes before the upstream has finished', async () => {
    const version = upstream.add('example.com/herd', 'v1.0.0', { noise: 3 * MIB });
    const zip = filePath(version, 'zip');
    const gate = new Gate();
    upstream.fault(zip, { holdAfter: 2 * MIB, gate });

    const clients = Array.from({ length: 100 }, () => client(larder.base, zip));
    await eventually('every client has its first bytes', () =>
      clients.every(({ received }) => received() > 0),
    );
    expect(upstream.requests(zip)).toMatchObject([{ method: 'GET', state: 'open' }]);

    gate.open();
    for (const { reply } of clients) expectBytes(await reply, version.zip);
    expect(upstream.requests(zip)).toMatchObject([{ state: 'done', sent: version.zip.size }]);
  });

  test('the first client leaves: who joined in the middle gets everything, from the same fetch', async () => {
    const version = upstream.add('example.com/leaving', 'v1.0.0', { noise: 3 * MIB });
    const zip = filePath(version, 'zip');
    const gate = new Gate();
    upstream.fault(zip, { holdAfter: 2 * MIB, gate });

    const first = client(larder.base, zip);
    await eventually('the first client has its first bytes', () => first.received() > 0);
    const second = client(larder.base, zip);
    await eventually('the second client has its first bytes', () => second.received() > 0);
    first.leave();
    expect(await first.reply).toMatchObject({ complete: false });

    gate.open();
    expectBytes(await second.reply, version.zip);
    expect(upstream.requests(zip)).toMatchObject([{ state: 'done' }]);
  });

  test('every client leaves: the next one is served', async () => {
    const version = upstream.add('example.com/deserted', 'v1.0.0', { noise: 3 * MIB });
    const zip = filePath(version, 'zip');
    const gate = new Gate();
    upstream.fault(zip, { holdAfter: 2 * MIB, gate });

    const only = client(larder.base, zip);
    await eventually('the client has its first bytes', () => only.received() > 0);
    only.leave();
    await only.reply;

    gate.open();
    expectBytes(await whenServed(larder.base, zip), version.zip);
  });

  test('a client that reads 10 KB/s slows neither the fetch nor another client', async () => {
    const version = upstream.add('example.com/slow', 'v1.0.0', { noise: 24 * MIB });
    const zip = filePath(version, 'zip');

    const slow = client(larder.base, zip, { bytesPerSecond: 10_000 });
    await eventually('the slow client has its first bytes', () => slow.received() > 0);
    expectBytes(await request(larder.base, zip), version.zip);
    expect(slow.received()).toBeLessThan(version.zip.size);
    expect(upstream.requests(zip)).toMatchObject([{ state: 'done' }]);
    slow.leave();
    await slow.reply;
  });
});

describe('warm', () => {
  test('nothing is asked of the upstream, which may be dead', async () => {
    const upstream = await startUpstream();
    const larder = await startLarderProcess({ env: { LARDER_GO_UPSTREAM: upstream.url } });
    const version = upstream.add('example.com/warm', 'v1.0.0', { noise: 200_000 });
    const answers = [listPath(version.module), latestPath(version.module)];
    for (const path of answers) await whenServed(larder.base, path);
    for (const extension of ['info', 'mod', 'zip'] as const) {
      await whenStored(larder.base, filePath(version, extension));
    }

    await upstream.down();
    upstream.clearLog();
    for (const extension of ['info', 'mod', 'zip'] as const) {
      const reply = await request(larder.base, filePath(version, extension));
      expectBytes(reply, version[extension]);
      expect(outcomeOf(reply)).toBe('hit');
    }
    for (const path of answers) {
      const reply = await request(larder.base, path);
      expect(reply).toMatchObject({ status: 200, complete: true });
      expect(outcomeOf(reply)).toBe('hit');
    }
    expect((await request(larder.base, listPath(version.module))).text).toBe('v1.0.0\n');
    await upstream.up();
    expect(upstream.log).toEqual([]);
  });

  test('list and @latest past their TTL: one question for all who ask, stale and marked while the upstream is down', async () => {
    const upstream = await startUpstream();
    const larder = await startLarderProcess({
      env: { LARDER_GO_UPSTREAM: upstream.url, LARDER_LIST_TTL: '1s' },
    });
    upstream.add('example.com/mutable', 'v1.0.0');
    const list = listPath('example.com/mutable');
    const latest = latestPath('example.com/mutable');
    for (const path of [list, latest]) await whenServed(larder.base, path);

    upstream.add('example.com/mutable', 'v1.1.0');
    const gate = new Gate();
    const release = upstream.fault(list, { gate });
    await sleep(1100);
    const early = Array.from({ length: 10 }, () => request(larder.base, list));
    await gate.reached;
    const late = Array.from({ length: 10 }, () => request(larder.base, list));
    await request(larder.base, '/healthz');
    expect(gate.arrivals).toBe(1);
    release();
    gate.open();
    for (const reply of await Promise.all([...early, ...late])) {
      expect(reply).toMatchObject({ status: 200, complete: true });
      expect(['v1.0.0\n', 'v1.0.0\nv1.1.0\n']).toContain(reply.text);
    }
    await eventually('the list has the new version', async () => {
      const { text } = await request(larder.base, list);
      return text === 'v1.0.0\nv1.1.0\n';
    });
    await eventually('@latest is the new version', async () => {
      const { text } = await request(larder.base, latest);
      return text.includes('v1.1.0');
    });

    await upstream.down();
    for (const [path, content] of [
      [list, 'v1.0.0\nv1.1.0\n'],
      [latest, '"v1.1.0"'],
    ] as const) {
      await eventually(
        `${path} is stale`,
        async () => outcomeOf(await request(larder.base, path)) === 'stale',
      );
      for (let i = 0; i < 5; i++) {
        const reply = await request(larder.base, path);
        expect(reply).toMatchObject({ status: 200, complete: true });
        expect(reply.text).toContain(content);
        expect(outcomeOf(reply)).toBe('stale');
        expect(reply.headers.warning).toMatch(/^110 /);
      }
    }

    await upstream.up();
    upstream.add('example.com/mutable', 'v1.2.0');
    await eventually('the list is fresh again', async () => {
      const reply = await request(larder.base, list);
      return reply.text.includes('v1.2.0') && outcomeOf(reply) !== 'stale';
    });
  });
});

test('50 slow readers of a 150 MB zip and 30 fills that hang: hits are answered, memory stays bounded', async () => {
  const upstream = await startUpstream();
  const larder = await startLarderProcess({
    env: { LARDER_GO_UPSTREAM: upstream.url, LARDER_STALL_TIMEOUT: '5m' },
  });
  const warm = upstream.add('example.com/warm', 'v1.0.0');
  const big = upstream.add('example.com/big', 'v1.0.0', { noise: 150_000_000 });
  const hanging = Array.from({ length: 30 }, (_, i) =>
    upstream.add(`example.com/hanging${String(i)}`, 'v1.0.0', { noise: MIB }),
  );
  upstream.fault(/hanging.*\.zip$/, { holdAfter: 100_000 });
  await whenStored(larder.base, filePath(warm, 'info'));

  const slow = Array.from({ length: 50 }, () =>
    client(larder.base, filePath(big, 'zip'), { bytesPerSecond: 10_000 }),
  );
  const stuck = hanging.map((version) => client(larder.base, filePath(version, 'zip')));
  await eventually('every client has its first bytes', () =>
    [...slow, ...stuck].every(({ received }) => received() > 0),
  );

  const reader = client(larder.base, filePath(big, 'zip'));
  const over = reader.reply.then(() => true);
  do {
    const reply = await request(larder.base, filePath(warm, 'info'));
    expectBytes(reply, warm.info);
    expect(outcomeOf(reply)).toBe('hit');
  } while (!(await Promise.race([over, sleep(50, false)])));
  expectBytes(await reader.reply, big.zip);
  expect(upstream.requests(filePath(big, 'zip'))).toMatchObject([{ state: 'done' }]);
  expect(upstream.requests(/hanging.*\.zip$/).map(({ state }) => state)).toEqual(
    hanging.map(() => 'open'),
  );
  // the library for S3 alone takes some 25 MiB more
  const most = process.env['TEST_STORE'] === 's3' ? 288 : 256;
  expect(larder.memory().peak).toBeLessThan(most * MIB);

  for (const each of [...slow, ...stuck]) each.leave();
  await Promise.all([...slow, ...stuck].map(({ reply }) => reply));
});
