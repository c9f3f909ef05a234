// An upstream that breaks off, lies, or says something else (issue 3, behaviour 3): nothing wrong is completed or kept,
// the error can be read, it comes in bounded time, and the next request tries anew.

import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Gate } from '../support/faults.ts';
import type { Fault } from '../support/faults.ts';
import { request } from '../support/http.ts';
import { startLarderProcess } from '../support/larder.ts';
import { filePath, listPath, moduleVersion } from '../support/modules.ts';
import type { Extension, ModuleVersion } from '../support/modules.ts';
import { expectBytes, expectGoError, expectRefused, whenServed } from '../support/replies.ts';
import { eventually, filesBelow, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const upstream = await startUpstream();
/** Each with few failures at once, as a host that has nothing else is left alone. */
const faulty = {
  zip: await startUpstream(),
  info: await startUpstream(),
  mod: await startUpstream(),
};
const rulesFile = join(tempDir(), 'rules.yaml');
const rules = Object.entries(faulty).map(([name, { url }]) => ({
  match: `${name}.example.com/*`,
  upstream: url,
}));
writeFileSync(rulesFile, JSON.stringify({ go: rules }));
const larder = await startLarderProcess({
  env: {
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_RULES_FILE: rulesFile,
    LARDER_GO_FIRST_BYTE_TIMEOUT: '2s',
    LARDER_STALL_TIMEOUT: '1s',
    LARDER_NEGATIVE_TTL: '0s',
  },
});

interface Case {
  readonly what: string;
  readonly fault: Fault | ((version: ModuleVersion) => Fault);
  /** Statuses of an error; a transfer that had begun breaks instead. */
  readonly statuses: readonly number[];
  /** How many requests the upstream gets: exactly, or from … to. */
  readonly requests: number | readonly [number, number];
}

const html = '<!DOCTYPE html>\n<html><body>Please log in to this network.</body></html>\n';
const page: Fault = { body: html, headers: { 'content-type': 'text/html; charset=utf-8' } };

// what breaks is tried three times in all; what comes whole and is wrong, once
const brokenTransfers = (after: number): Case[] => [
  { what: 'ends early', fault: { cutAfter: after }, statuses: [502], requests: 3 },
  {
    what: 'ends early, of unknown length',
    fault: { cutAfter: after, chunked: true },
    statuses: [502],
    requests: 3,
  },
  {
    what: 'ends early, without ranges',
    fault: { cutAfter: after, noRange: true },
    statuses: [502],
    requests: 3,
  },
  { what: 'is reset', fault: { cutAfter: after, cutBy: 'rst' }, statuses: [502], requests: 3 },
  { what: 'ends before its first byte', fault: { cutAfter: 0 }, statuses: [502], requests: 3 },
  { what: 'never begins', fault: { hangUp: true }, statuses: [502], requests: 3 },
  { what: 'stalls', fault: { holdAfter: after }, statuses: [502, 504], requests: [1, 3] },
  {
    what: 'is shorter than announced',
    fault: { lengthError: 10 },
    statuses: [502],
    requests: [1, 3],
  },
];

const wrongAnswers: Case[] = [
  { what: 'is HTML with 200', fault: page, statuses: [502], requests: 1 },
  { what: 'comes in gzip', fault: { gzip: true }, statuses: [502], requests: 1 },
  {
    what: 'redirects in a loop',
    fault: { redirect: (path) => path },
    statuses: [502],
    requests: [2, 11],
  },
  { what: 'is a 500', fault: { status: 500 }, statuses: [502], requests: 3 },
  { what: 'is a 503', fault: { status: 503 }, statuses: [502], requests: 3 },
  { what: 'is a 401', fault: { status: 401 }, statuses: [502], requests: 1 },
  { what: 'is a 403', fault: { status: 403 }, statuses: [403], requests: 1 },
];

const cases: Record<Extension, Case[]> = {
  zip: [
    ...brokenTransfers(100_000),
    ...wrongAnswers,
    {
      what: 'is longer than announced',
      fault: { lengthError: -10 },
      statuses: [502],
      requests: [1, 3],
    },
    {
      what: 'has a wrong byte',
      fault: ({ zip }) => ({ body: zip.spoiled(300_000) }),
      statuses: [502],
      requests: 1,
    },
    {
      what: 'has no end',
      fault: ({ zip }) => ({ body: zip.bytes().subarray(0, -30) }),
      statuses: [502],
      requests: 1,
    },
    {
      what: 'is another version’s',
      fault: ({ module }) => ({ body: upstream.add(module, 'v1.0.1').zip }),
      statuses: [502],
      requests: 1,
    },
  ],
  info: [
    ...brokenTransfers(10),
    ...wrongAnswers,
    {
      what: 'is another version’s',
      fault: ({ module }) => ({ body: upstream.add(module, 'v1.0.1').info }),
      statuses: [502],
      requests: 1,
    },
  ],
  mod: [...brokenTransfers(10), ...wrongAnswers],
};

let serial = 0;
const newVersion = (of = upstream, host = 'example.com'): ModuleVersion => {
  serial += 1;
  return of.add(`${host}/faulty${String(serial)}`, 'v1.0.0', { noise: 600_000 });
};

const kept = ({ module, version }: ModuleVersion, extension: Extension): string[] =>
  filesBelow(larder.storageDir).filter(
    (file) =>
      file.includes(`/${module}/@v/`) && basename(file).startsWith(`${version}.${extension}`),
  );

for (const extension of ['zip', 'info', 'mod'] as const) {
  describe.concurrent(`a .${extension} that`, () => {
    test.for(cases[extension])('$what', async ({ fault, statuses, requests }) => {
      const of = faulty[extension];
      const version = newVersion(of, `${extension}.example.com`);
      const path = filePath(version, extension);
      const heal = of.fault(path, typeof fault === 'function' ? fault(version) : fault);

      expectRefused(await request(larder.base, path), statuses);
      const asked = of.requests(path).length;
      const [least, most] = typeof requests === 'number' ? [requests, requests] : requests;
      expect(asked).toBeGreaterThanOrEqual(least);
      expect(asked).toBeLessThanOrEqual(most);
      expect(kept(version, extension)).toEqual([]);

      heal();
      expectBytes(await whenServed(larder.base, path), version[extension]);
    });
  });
}

test('an upstream that says nothing: 504 and the words that go clients know', async () => {
  const version = newVersion();
  const path = filePath(version, 'zip');
  const heal = upstream.fault(path, { hang: true });
  expectGoError(await request(larder.base, path), 504, 'fetch timed out');
  expect(upstream.requests(path)).toHaveLength(1);
  heal();
  expectBytes(await whenServed(larder.base, path), version.zip);
});

test('an upstream that is down: 502, and all is well when it is back', async () => {
  const version = newVersion();
  await upstream.down();
  for (const extension of ['info', 'mod', 'zip'] as const) {
    expectGoError(await request(larder.base, filePath(version, extension)), 502);
  }
  expectGoError(await request(larder.base, listPath(version.module)), 502);
  await upstream.up();
  for (const extension of ['info', 'mod', 'zip'] as const) {
    expectBytes(await whenServed(larder.base, filePath(version, extension)), version[extension]);
  }
});

test('all who wait share one failure', async () => {
  const version = newVersion();
  const path = filePath(version, 'zip');
  upstream.fault(path, { body: version.zip.spoiled(300_000), bytesPerSecond: 2_000_000 });
  const replies = await Promise.all(Array.from({ length: 20 }, () => request(larder.base, path)));
  for (const reply of replies) {
    expectRefused(reply, [502]);
    expect(reply.length).toBeLessThan(version.zip.size);
  }
  expect(upstream.requests(path)).toHaveLength(1);
});

test('a body that breaks once is resumed, and the client sees nothing of it', async () => {
  const version = newVersion();
  const path = filePath(version, 'zip');
  upstream.fault(path, { cutAfter: 400_000, times: 1 });
  expectBytes(await request(larder.base, path), version.zip);
  const [first, second, ...more] = upstream.requests(path);
  expect(first).toMatchObject({ status: 200, state: 'broken' });
  expect(second).toMatchObject({ status: 206, state: 'done' });
  expect(second?.headers.range).toMatch(/^bytes=\d+-$/);
  expect(second?.headers['if-range']).toMatch(/^".+"$/);
  expect(more).toEqual([]);
});

test('a body that breaks once, without ranges, is fetched from its start', async () => {
  const version = newVersion();
  const path = filePath(version, 'zip');
  upstream.fault(path, { noRange: true });
  upstream.fault(path, { cutAfter: 400_000, noRange: true, times: 1 });
  expectBytes(await request(larder.base, path), version.zip);
  expect(upstream.requests(path)).toMatchObject([{ status: 200 }, { status: 200, state: 'done' }]);
});

test.for([{ noRange: false }, { noRange: true }])(
  'a body that breaks once and comes again as another one is never spliced: %o',
  async ({ noRange }) => {
    const version = newVersion();
    const path = filePath(version, 'zip');
    const one = version.zip;
    const { zip: two } = moduleVersion(version.module, version.version, { noise: 700_000 });
    const gate = new Gate();
    upstream.fault(path, { noRange });
    upstream.fault(path, { noRange, holdAfter: 400_000, gate, cutAfter: 400_000, times: 1 });
    const pending = request(larder.base, path);
    await gate.reached;
    version.zip = two;
    gate.open();

    const reply = await pending;
    if (reply.status === 200 && reply.complete) expectBytes(reply, two);
    else expectRefused(reply, [502]);
    const { sha256 } = await whenServed(larder.base, path);
    expect([one.sha256, two.sha256]).toContain(sha256);
  },
);

test('a list that is HTML with 200: no line of it reaches a client', async () => {
  const version = newVersion();
  const heal = upstream.fault(listPath(version.module), page);
  const reply = await request(larder.base, listPath(version.module));
  if (reply.status !== 200) expectGoError(reply, 502);
  expect(reply.text).not.toContain('<');
  heal();
});

test('after all of this nothing lies in the spool', async () => {
  await eventually('the spool is empty', () => filesBelow(larder.spoolDir).length === 0);
});
