// Good manners upstream (issue 8): many clients are one polite client, and an upstream's bad day is not passed on.
// `SOAK_SECONDS=60` has the last one run for a minute.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import { request } from '../support/http.ts';
import { imageIndex, type Image } from '../support/images.ts';
import { startLarderProcess } from '../support/larder.ts';
import { asked, expectEnvelope, startMirror, stored } from '../support/mirror.ts';
import { filePath, listPath } from '../support/modules.ts';
import { startRegistry } from '../support/registry.ts';
import { expectBytes, expectGoError, outcomeOf } from '../support/replies.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startTokenService } from '../support/token-service.ts';
import { startUpstream } from '../support/upstream.ts';

const raise = (why: string): never => {
  throw new Error(why);
};
const head = { method: 'HEAD' } as const;
const busy = (retryAfter: string) => ({ status: 429, headers: { 'retry-after': retryAfter } });

describe('look-ups', async () => {
  const { registry, larder, get } = await startMirror();
  const image = registry.addImage('a/app', 'v1', { layers: [Body.noise(2000, 'one')] });
  const other = registry.addImage('a/app', undefined, { layers: ['other'] });
  const index = imageIndex({ amd64: image, arm64: other });
  const { digest } = registry.addManifest('a/app', 'all', index.bytes, index.mediaType);
  const hundred = (path: string, options = {}) =>
    Promise.all(Array.from({ length: 100 }, () => get(path, options)));

  test.each(['GET', 'HEAD'])('100 of one missing tag by %s are one request', async (method) => {
    const path = `a/app/manifests/none-${method.toLowerCase()}`;
    const replies = await hundred(path, { method });
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([404]));
    expect(registry.requests(`/v2/${path}`)).toHaveLength(1);
  });

  test('100 heads of one digest are one request, and of a missing one too', async () => {
    const lone = registry.addImage('a/lone', undefined, { layers: ['lone'] });
    const missing = `sha256:${'0'.repeat(64)}`;
    for (const [reference, status] of [
      [`manifests/${lone.digest}`, 200],
      [`manifests/${missing}`, 404],
      [`blobs/${lone.config.digest}`, 200],
      [`blobs/${missing.replace('0', '1')}`, 404],
    ] as const) {
      const path = `a/lone/${reference}`;
      const replies = await hundred(path, head);
      expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([status]));
      if (reference.endsWith(lone.digest)) {
        expect(replies[0]?.headers['content-type']).toBe(lone.mediaType);
        expect(replies[0]?.headers['content-length']).toBe(String(lone.bytes.length));
      }
      expect(registry.requests(`/v2/${path}`)).toHaveLength(1);
    }
  });

  test('a head is answered by the tag, the index or the manifest that names it', async () => {
    await get('a/app/manifests/v1', head);
    await get('a/app/manifests/all');
    await stored(larder.base, `a/app/manifests/${digest}`);
    registry.clearLog();
    for (const one of [image, other]) {
      const reply = await get(`a/app/manifests/${one.digest}`, head);
      expect([reply.status, outcomeOf(reply)]).toEqual([200, 'miss']);
      expect(reply.headers['content-length']).toBe(String(one.bytes.length));
      expect(reply.headers['content-type']).toBe(one.mediaType);
      expect(reply.headers['docker-content-digest']).toBe(one.digest);
    }
    expect(asked(registry)).toEqual([]);
    await get(`a/app/manifests/${image.digest}`);
    await stored(larder.base, `a/app/manifests/${image.digest}`);
    registry.clearLog();
    for (const { digest: blob, body } of [image.config, ...image.layers]) {
      const reply = await get(`a/app/blobs/${blob}`, head);
      expect([reply.status, reply.headers['content-length']]).toEqual([200, String(body.size)]);
    }
    expect(asked(registry)).toEqual([]);
    // what is known of it in one repository is nothing for another
    expect((await get(`a/lone/blobs/${image.layers[0]?.digest ?? ''}`, head)).status).toBe(404);
  });
});

describe('a registry that says 429', async () => {
  const [second, third] = [await startRegistry(), await startRegistry()];
  const more = [`second.test=${second.url}`, `third.test=${third.url}`];
  const patient = await startMirror({}, { LARDER_RATE_WAIT: '20s' }, more);
  const hasty = await startMirror({}, { LARDER_RATE_WAIT: '3s', LARDER_TAG_TTL: '0s' }, more);

  describe.concurrent('and', () => {
    test('longer than is waited for: 429 at once, nobody else is sent there, what is stale is served', async () => {
      const { registry, larder, get } = hasty;
      registry.addImage('a/b', 'v1', { layers: [] });
      await get('a/b/manifests/v1');
      const heal = registry.fault(/^/, busy('120'));
      registry.clearLog();
      const first = await get('a/b/manifests/new');
      expectEnvelope(first, 429, 'TOOMANYREQUESTS');
      expect(first.headers['retry-after']).toBe('120');
      heal();
      const next = await get('a/c/manifests/new');
      expectEnvelope(next, 429, 'TOOMANYREQUESTS');
      expect(Number(next.headers['retry-after'])).toBeGreaterThan(60);
      expect(outcomeOf(await get('a/b/manifests/v1'))).toBe('stale');
      expect(registry.log).toHaveLength(1);
      const metrics = (await request(larder.base, '/metrics')).text;
      expect(metrics).toMatch(/larder_upstream_held_total\{host="[^"]+",why="rate"\} [12]/);
    });

    test('shorter than that: the client sees nothing of it', async () => {
      const { registry, get } = patient;
      const image = registry.addImage('a/b', 'v1', { layers: [] });
      registry.fault(/v1$/, { ...busy(new Date(Date.now() + 1000).toUTCString()), times: 2 });
      const reply = await get('a/b/manifests/v1');
      expect([reply.status, reply.body.equals(image.bytes)]).toEqual([200, true]);
      const [one, two, three, ...rest] = registry.requests(/v1$/).map(({ at }) => at);
      expect(rest).toEqual([]);
      expect((two ?? 0) - (one ?? 0)).toBeGreaterThanOrEqual(1000);
      expect((three ?? 0) - (two ?? 0)).toBeGreaterThanOrEqual(1000);
    });

    test('503, 429, 429, 503, then the tag: five requests', async () => {
      second.addImage('a/b', 'v1', { layers: ['second'] });
      for (const status of [503, 429, 429, 503]) second.fault(/v1$/, { status, times: 1 });
      expect((await patient.get('second.test/a/b/manifests/v1', head)).status).toBe(200);
      const statuses = second.requests(/v1$/).map(({ status }) => status);
      expect(statuses).toEqual([503, 429, 429, 503, 200]);
    });

    test('waits of one client’s request for several things are no longer than one may be', async () => {
      third.addImage('a/b', 'v1', { layers: ['third'] });
      third.fault(/v1$/, { status: 429, times: 2 });
      third.fault(/sha256/, { status: 429 });
      const reply = await hasty.get('third.test/a/b/manifests/v1');
      expectEnvelope(reply, 429, 'TOOMANYREQUESTS');
      // two of the three seconds were gone with the tag
      expect(third.requests(/sha256/)).toHaveLength(1);
    });
  });

  test('by its token server too, and clients who want it are told 503', async () => {
    const tokens = await startTokenService();
    const env = { LARDER_RATE_WAIT: '0s', LARDER_RATE_STATUS: '503' };
    const { registry, get } = await startMirror({ tokens }, env);
    registry.addImage('a/b', 'v1', { layers: [] });
    tokens.fault(/^/, busy('60'));
    const reply = await get('a/b/manifests/v1');
    expectEnvelope(reply, 503, 'TOOMANYREQUESTS');
    expect(reply.headers['retry-after']).toBe('60');
    expect((await get('a/c/manifests/v1')).status).toBe(503);
    expect(tokens.log).toHaveLength(1);
  });
});

test('a Go proxy that says 429', async () => {
  const upstream = await startUpstream();
  const env = { LARDER_GO_UPSTREAM: upstream.url, LARDER_RATE_WAIT: '20s' };
  const larder = await startLarderProcess({ env });
  const version = upstream.add('example.com/m', 'v1.0.0');
  const path = filePath(version, 'mod');
  upstream.fault(path, { status: 429, times: 1 });
  expectBytes(await request(larder.base, path), version.mod);
  expect(upstream.requests(path)).toHaveLength(2);
  upstream.fault(/./, busy(new Date(Date.now() + 3_600_000).toUTCString()));
  const reply = await request(larder.base, listPath('example.com/m'));
  // of what is complete here there is no version
  expectGoError(reply, 429);
  expect(Number(reply.headers['retry-after'])).toBeGreaterThan(3500);
});

test('a registry that is silent: 504, then 502 at once and stale, and it is asked again', async () => {
  const env = { LARDER_OCI_FIRST_BYTE_TIMEOUT: '1s', LARDER_TAG_TTL: '0s' };
  const { registry, larder, get } = await startMirror({}, env);
  registry.addImage('a/b', 'v1', { layers: [] });
  await get('a/b/manifests/v1');
  const heal = registry.fault(/^/, { hang: true });
  const replies = await Promise.all(
    Array.from({ length: 6 }, (_, at) => get(`a/b/manifests/t${String(at)}`)),
  );
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([504]));
  const before = registry.log.length;
  expectEnvelope(await get('a/b/manifests/other'), 502, 'UNKNOWN');
  expect(outcomeOf(await get('a/b/manifests/v1'))).toBe('stale');
  expect(registry.log).toHaveLength(before);
  const down = /larder_upstream_down\{host="[^"]+"\} (\d)/;
  expect(down.exec((await request(larder.base, '/metrics')).text)?.[1]).toBe('1');
  heal();
  await eventually('it is asked again', async () => {
    return outcomeOf(await get('a/b/manifests/v1')) === 'revalidated';
  });
  expect(down.exec((await request(larder.base, '/metrics')).text)?.[1]).toBe('0');
});

test('rates: Docker Hub’s, wherever its name points, and those of the rules file', async () => {
  const [hub, other] = [await startRegistry(), await startRegistry()];
  const rulesFile = join(tempDir(), 'rules.yaml');
  writeFileSync(rulesFile, 'upstreams: {reg.test: {rate: 1/h, burst: 7}}');
  const env = {
    LARDER_OCI_UPSTREAMS: `docker.io=${hub.url},reg.test=${other.url}`,
    LARDER_RULES_FILE: rulesFile,
    LARDER_RATE_WAIT: '0s',
  };
  const larder = await startLarderProcess({ env });
  const ask = (path: string) => request(larder.base, `/v2/${path}`, head);
  const began = performance.now();
  for (let at = 0; at < 250; at += 50) {
    const tags = Array.from({ length: 50 }, (_, index) => `t${String(at + index)}`);
    await Promise.all(tags.map((tag) => ask(`docker.io/a/b/manifests/${tag}`)));
  }
  const refilled = Math.ceil((performance.now() - began) / 300) + 1;
  expect(hub.log.length).toBeGreaterThanOrEqual(200);
  expect(hub.log.length).toBeLessThanOrEqual(200 + refilled);
  for (let at = 0; at < 20; at++)
    expect((await ask(`reg.test/a/b/tags/list?n=${String(at)}`)).status).toBe(at < 7 ? 404 : 429);
  expect(other.log).toHaveLength(7);
});

test('every request says who asks', async () => {
  const tokens = await startTokenService();
  const env = { LARDER_USER_AGENT_SUFFIX: 'ops@example.com' };
  const { registry, get } = await startMirror({ tokens }, env);
  registry.addImage('a/b', 'v1', { layers: [] });
  await get('a/b/manifests/v1');
  const agents = [...registry.log, ...tokens.log].map(({ headers }) => headers['user-agent']);
  expect(agents.length).toBeGreaterThan(2);
  for (const agent of agents)
    expect(agent).toMatch(/^larder\/\d+\.\d+\.\d+ \(\+https?:\/\/\S+\) ops@example\.com$/);
});

describe('a registry that says 429 to every other request', () => {
  const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 2);
  const WAIT_S = 25;
  const CLIENTS = 100;
  // each held request holds the host, so that few take as long as a short run may
  const IMAGES = SECONDS < 10 ? 3 : 10;

  test(
    '100 clients pull: all succeed, its requests for one thing come a second apart',
    async () => {
      const env = { LARDER_RATE_WAIT: `${String(WAIT_S)}s`, LARDER_TAG_TTL: '2s' };
      const { registry, get } = await startMirror({}, env);
      const images = Array.from({ length: IMAGES }, (_, at): [string, Image] => {
        const repository = `soak/app${String(at)}`;
        const layers = [Body.noise(50_000, repository), Body.noise(300_000, repository)];
        return [repository, registry.addImage(repository, 'v1', { layers })];
      });
      let turns = 0;
      registry.fault(() => turns % 4 === 0, { status: 429 });
      // the newest is asked first, once a request
      registry.fault(() => ++turns % 4 === 2, busy('1'));
      const until = performance.now() + SECONDS * 1000;
      let pulls = 0;
      let longest = 0;
      const timed = async (path: string) => {
        const began = performance.now();
        const reply = await get(path, { timeoutMs: 120_000 });
        longest = Math.max(longest, performance.now() - began);
        expect([path, reply.status, reply.complete]).toEqual([path, 200, true]);
        return reply;
      };
      const client = async (at: number) => {
        for (let turn = at; performance.now() < until; turn++, pulls++) {
          const [repository, image] = images[turn % IMAGES] ?? raise('no such image');
          const manifest = await timed(`${repository}/manifests/v1`);
          expect(manifest.body.equals(image.bytes)).toBe(true);
          for (const { digest, body } of [image.config, ...image.layers]) {
            const reply = await timed(`${repository}/blobs/${digest}`);
            expect(reply.sha256).toBe(body.sha256);
          }
          await sleep(20);
        }
      };
      await Promise.all(Array.from({ length: CLIENTS }, (_, at) => client(at)));
      expect(pulls).toBeGreaterThanOrEqual(CLIENTS);
      expect(longest).toBeLessThan((WAIT_S + 10) * 1000);
      const refused = registry.log.filter(({ status }) => status === 429);
      expect(refused.length / registry.log.length).toBeGreaterThan(0.3);
      const last = new Map<string, number>();
      for (const { method, path, at, status } of registry.log) {
        const before = last.get(`${method} ${path}`);
        if (before !== undefined) expect(at - before).toBeGreaterThanOrEqual(1000);
        if (status === 429) last.set(`${method} ${path}`, at);
        else last.delete(`${method} ${path}`);
      }
    },
    (SECONDS + 120) * 1000,
  );
});
