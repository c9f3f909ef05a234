// How `larder warm` asks a server: what it waits for, what it gives up, what it says.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { warmVerb } from '../../src/cli/warm.ts';
import type { WarmResult } from '../../src/references/warm.ts';
import { text, type Answer } from '../support/answers.ts';
import { startApp } from '../support/app.ts';
import { Body } from '../support/body.ts';
import { FaultServer, type Asked } from '../support/fault-server.ts';
import { Gate } from '../support/faults.ts';
import { startRegistry } from '../support/registry.ts';
import { eventually, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { writeUsers } from '../support/users.ts';
import { runVerb, type VerbRun } from '../support/verb.ts';

const MOD = '/example.com/a/@v/v1.0.0.mod';

/** A server that says of itself that it is a Larder. */
const startServer = (answer: (asked: Asked) => Partial<Answer> & { readonly outcome?: string }) =>
  new FaultServer((asked) => {
    const { status = 200, outcome = 'hit', headers = {}, body = Body.of('x') } = answer(asked);
    const all = { 'x-larder-cache': outcome, ...headers };
    return { status, headers: all, body, isFile: false };
  }).up();

/** Of one version's .mod alone, so that one thing is asked for. */
function goSum(): string {
  const file = join(tempDir(), 'go.sum');
  writeFileSync(file, `example.com/a v1.0.0/go.mod h1:${'a'.repeat(43)}=\n`);
  return file;
}

const warm = (server: string, args: readonly string[], signal?: AbortSignal) =>
  runVerb(warmVerb, ['--server', server, '--json', ...args], { ...(signal && { signal }) });

const resultOf = ({ said }: VerbRun): WarmResult => JSON.parse(said.at(-1) ?? '') as WarmResult;

const seen = ({ log }: FaultServer): string[] => log.map(({ method, path }) => `${method} ${path}`);

describe('a server', () => {
  test.each([
    ['429', 429],
    ['503', 503],
    ['404, and that it is fetched behind', 404],
  ])('that says %s is asked again as soon as it says', async (_what, status) => {
    const server = await startServer(() =>
      server.log.length < 3 ? { status, headers: { 'retry-after': '0' } } : {},
    );
    const run = await warm(server.url, ['--go-sum', goSum()]);
    expect([run.code, resultOf(run)]).toEqual([0, { stored: 0, present: 1, failed: [] }]);
  });

  test.each([
    ['in seconds', () => '3600'],
    ['by a date', () => new Date(Date.now() + 3_600_000).toUTCString()],
  ])('that is busy for longer than the deadline, %s, is not waited for', async (_what, until) => {
    const server = await startServer(() => ({
      status: 429,
      headers: { 'retry-after': until() },
      body: Body.of('too often\n'),
    }));
    const run = await warm(server.url, ['--go-sum', goSum()]);
    expect(run.code).toBe(1);
    expect(resultOf(run).failed).toEqual([
      { name: 'go:example.com/a@v1.0.0', error: '.mod: too often' },
    ]);
    expect(seen(server)).toEqual([`GET ${MOD}`]);
  });

  test('is asked until it has kept what it handed on', async () => {
    const server = await startServer(() => ({ outcome: server.log.length < 4 ? 'miss' : 'hit' }));
    const run = await warm(server.url, ['--go-sum', goSum()]);
    expect(resultOf(run)).toEqual({ stored: 1, present: 0, failed: [] });
    expect(seen(server)).toEqual([`GET ${MOD}`, ...Array<string>(3).fill(`HEAD ${MOD}`)]);
  });

  test('that keeps nothing is told of', async () => {
    const server = await startServer(() => ({ outcome: 'miss' }));
    const run = await warm(server.url, ['--go-sum', goSum(), '--timeout', '50ms']);
    expect(run.code).toBe(1);
    expect(resultOf(run).failed[0]?.error).toMatch(/has not kept it/);
  });

  test('that keeps its large content in a bucket has it', async () => {
    const server = await startServer(() => ({
      status: 307,
      outcome: 'redirect',
      headers: { location: 'http://bucket.test/x' },
    }));
    const run = await warm(server.url, ['--go-sum', goSum()]);
    expect(resultOf(run)).toEqual({ stored: 0, present: 1, failed: [] });
  });

  test('that has a large body already is not made to send it', async () => {
    const body = Body.noise(64 * 1024 * 1024);
    const server = await startServer(() => ({ body }));
    expect(resultOf(await warm(server.url, ['--go-sum', goSum()])).present).toBe(1);
    await eventually('it has stopped', () => server.log[0]?.state !== 'open');
    expect(server.log[0]?.sent).toBeLessThan(body.size);
  });

  test('that is silent is given up', async () => {
    const server = await startServer(() => ({}));
    server.fault(MOD, { hang: true });
    const run = await warm(server.url, ['--go-sum', goSum(), '--timeout', '100ms']);
    expect(resultOf(run).failed[0]?.error).toBe('.mod: no answer in 100ms');
  });

  test('that cuts a body is asked for the rest', async () => {
    const body = Body.noise(300_000);
    const server = await startServer(({ method }) => ({
      outcome: method === 'HEAD' ? 'hit' : 'miss',
      body,
    }));
    server.fault(MOD, { cutAfter: 1000, times: 1 });
    expect(resultOf(await warm(server.url, ['--go-sum', goSum()])).stored).toBe(1);
    expect(server.requests(MOD).filter(({ method }) => method === 'GET')).toHaveLength(2);
  });

  test('that is none of Larder is told of', async () => {
    const server = await new FaultServer(() => text(200, 'hello')).up();
    const run = await warm(server.url, ['--go-sum', goSum()]);
    expect([run.code, resultOf(run).failed[0]?.error]).toEqual([
      1,
      `.mod: ${server.host} is no Larder`,
    ]);
  });

  test('that is not there is told of', async () => {
    const server = await startServer(() => ({}));
    await server.down();
    const run = await warm(server.url, ['--go-sum', goSum()]);
    expect([run.code, resultOf(run).failed[0]?.error]).toEqual([
      1,
      expect.stringMatching(/connection refused/),
    ]);
  });

  test('gets no more requests at once than it should', async () => {
    let most = 0;
    const server = await startServer(() => {
      most = Math.max(most, server.log.filter(({ state }) => state === 'open').length);
      return {};
    });
    const gate = new Gate();
    server.fault(/^/, { gate });
    const names = Array.from({ length: 50 }, (_, i) => `example.com/a@v1.0.${String(i)}`);
    const run = warm(server.url, ['--parallel', '3', '--go', ...names]);
    await eventually('three are there', () => gate.arrivals === 3);
    gate.open();
    expect(resultOf(await run).present).toBe(50);
    expect(most).toBe(3);
  });

  test('below a path of its own is asked there, with who asks', async () => {
    const server = await startServer(() => ({}));
    const url = server.url.replace('//', '//alice:pass%40word@');
    expect((await warm(`${url}/mirror/`, ['--go-sum', goSum()])).code).toBe(0);
    const [asked] = server.log;
    expect(asked?.path).toBe(`/mirror${MOD}`);
    expect(asked?.headers.authorization).toBe(
      `Basic ${Buffer.from('alice:pass@word').toString('base64')}`,
    );
  });
});

test('stopped in the middle it says what was done', async () => {
  const server = await startServer(() => ({}));
  server.fault(/v1\.1\.0/, { hang: true });
  const stopping = new AbortController();
  const args = ['--go', 'example.com/a@v1.0.0', 'example.com/a@v1.1.0', '--parallel', '1'];
  const ended = warm(server.url, args, stopping.signal);
  await eventually('the second one hangs', () => server.requests(/v1\.1\.0/).length === 1);
  stopping.abort(new Error('stopped by SIGINT'));
  const run = await ended;
  expect([run.code, resultOf(run)]).toEqual([undefined, { stored: 0, present: 1, failed: [] }]);
});

describe('names', () => {
  test('come from everywhere, each once, and a version with all that is wanted of it', async () => {
    const server = await startServer(() => ({}));
    const args = [
      ...['--go-sum', goSum(), '--go', 'example.com/a@v1.0.0', '--go=example.com/a@v1.0.0'],
      ...['--file', '-', '--server', server.url],
    ];
    const run = await runVerb(warmVerb, args, { input: 'go:example.com/B@v1.0.0\n\n' });
    expect(run.said).toEqual([
      'present  go:example.com/a@v1.0.0',
      'present  go:example.com/B@v1.0.0',
    ]);
    expect(run.told).toEqual(['0 stored, 2 there already, 0 failed']);
    const wanted = ['/example.com/a', '/example.com/!b'].flatMap((module) =>
      ['info', 'mod', 'zip'].map((ext) => `GET ${module}/@v/v1.0.0.${ext}`),
    );
    expect(seen(server).sort()).toEqual(wanted.sort());
  });

  test('of a list that are none are told with their lines, and nothing is asked', async () => {
    const server = await startServer(() => ({}));
    const run = await runVerb(warmVerb, ['--file', '-', '--server', server.url], {
      input: 'go:example.com/a@v1.0.0\nnginx\noci:docker.io/UPPER\n',
    });
    expect([run.code, run.said, server.log]).toEqual([2, [], []]);
    expect(run.told).toEqual([
      expect.stringMatching(/^-:2: "nginx" is no name/),
      expect.stringMatching(/^-:3: a repository name/),
    ]);
  });

  test.each([
    ['nothing', [], /^Usage: larder warm/],
    ['a name alone', ['example.com/a@v1.0.0'], /stands alone/],
    ['no version', ['--go', 'example.com/a'], /has no version/],
    ['a branch', ['--go', 'example.com/a@main'], /not a semantic version/],
    ['no image', ['--oci', 'Nginx:1'], /repository name/],
    ['no platform', ['--oci', 'nginx', '--platform', 'linux'], /is no platform/],
    ['no address', ['--oci', 'nginx', '--server', 'larder'], /--server is no address/],
    ['no file', ['--go-sum', '/nowhere/go.sum'], /\/nowhere\/go\.sum cannot be read: there is no/],
    ['no number', ['--oci', 'nginx', '--parallel', '0'], /--parallel/],
    ['no option', ['--frobnicate'], /--frobnicate/],
  ])('used wrongly, with %s', async (_what, args, sentence) => {
    const run = await runVerb(warmVerb, args);
    expect([run.code, run.said, run.told[0]]).toEqual([2, [], expect.stringMatching(sentence)]);
  });

  test('--help has examples', async () => {
    const { code, said } = await runVerb(warmVerb, ['--help']);
    expect(code).toBe(0);
    expect(said).toContain('Examples:');
    expect(said).toContain('  larder warm --go-sum go.sum');
  });
});

describe('a Larder', () => {
  test.each(['async', 'async_redirect'])('with the mode %s is waited for', async (mode) => {
    const upstream = await startUpstream();
    const registry = await startRegistry();
    upstream.add('example.com/a', 'v1.0.0');
    registry.addImage('team/app', 'v1', { layers: ['a layer'] });
    const { base } = await startApp({
      LARDER_MODE: mode,
      LARDER_GO_UPSTREAM: upstream.url,
      LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
    });
    const args = ['--go', 'example.com/a@v1.0.0', '--oci', 'main.test/team/app:v1'];
    expect(resultOf(await warm(base, args)).failed).toEqual([]);
    await Promise.all([upstream.down(), registry.down()]);
    expect(resultOf(await warm(base, args))).toEqual({ stored: 0, present: 2, failed: [] });
  });

  test('with users wants one', async () => {
    const users = join(tempDir(), 'users');
    writeUsers(users, { alice: 'secret' });
    const upstream = await startUpstream();
    upstream.add('example.com/a', 'v1.0.0');
    const { base } = await startApp({
      LARDER_AUTH_HTPASSWD: users,
      LARDER_GO_UPSTREAM: upstream.url,
    });
    const args = ['--go', 'example.com/a@v1.0.0'];
    expect(resultOf(await warm(base, args)).failed[0]?.error).toMatch(/wants a user/);
    const known = base.replace('//', '//alice:secret@');
    expect(resultOf(await warm(known, args)).stored).toBe(1);
  });
});
