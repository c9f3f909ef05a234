// A registry that breaks off, lies, or says something else (issue 4, behaviour 4): nothing wrong is completed or kept, the
// error says nothing of who is behind Larder, it comes in bounded time, and the next request tries anew.

import { describe, expect, test } from 'vitest';
import { Body } from '../support/body.ts';
import type { Fault } from '../support/faults.ts';
import type { Reply } from '../support/http.ts';
import { startRegistry } from '../support/registry.ts';
import { asked, expectBroken, expectEnvelope, startMirror } from '../support/mirror.ts';
import { outcomeOf } from '../support/replies.ts';
import { startTokenService } from '../support/token-service.ts';
import { eventually, filesBelow } from '../support/tmp.ts';

const SHORT = {
  LARDER_OCI_FIRST_BYTE_TIMEOUT: '4s',
  LARDER_STALL_TIMEOUT: '1s',
  LARDER_NEGATIVE_TTL: '0s',
  LARDER_RATE_WAIT: '1s',
};
const html = '<!DOCTYPE html>\n<html><body>Please log in at http://portal.test/</body></html>\n';
/** A log-in page in the registry's place. */
const page: Fault = {
  body: html,
  headers: { 'content-type': 'text/html; charset=utf-8', 'docker-content-digest': undefined },
};
const busy: Fault = { status: 429, headers: { 'retry-after': '3' } };

/** One thing in a repository of its own. */
interface Thing {
  /** Of its repository, as its registry calls it. */
  readonly name: string;
  /** Below /v2/. */
  readonly path: string;
  readonly body: Body;
}

type Kind = 'tag' | 'manifest' | 'blob' | 'small blob' | 'list of tags';

/** Of these each has one fault at a time, as a host as a whole is left alone for what it does. */
const OWN = 16;

describe('a registry', async () => {
  const own = await Promise.all(
    Array.from({ length: OWN }, async (_, at) => ({
      host: `r${String(at)}.test`,
      registry: await startRegistry(),
    })),
  );
  const pairs = own.map(({ host, registry }) => `${host}=${registry.url}`);
  const { registry, larder, get } = await startMirror({}, SHORT, pairs);
  const onOwn = (at: number) => own[at % OWN] ?? { host: 'main.test', registry };
  let serial = 0;

  function make(kind: Kind, on = { host: 'main.test', registry }): Thing {
    const name = `f${String((serial += 1))}/app`;
    const below = `${on.host}/${name}`;
    const layers = [Body.noise(kind === 'small blob' ? 2000 : 300_000, name)];
    const image = on.registry.addImage(name, 'v1', { layers });
    const [body = Body.of('')] = layers;
    const manifest = Body.of(image.bytes);
    switch (kind) {
      case 'tag':
        return { name, path: `${below}/manifests/v1`, body: manifest };
      case 'manifest':
        return { name, path: `${below}/manifests/${image.digest}`, body: manifest };
      case 'list of tags':
        return {
          name,
          path: `${below}/tags/list`,
          body: Body.of(JSON.stringify({ name, tags: ['v1'] })),
        };
      case 'blob':
      case 'small blob':
        return { name, path: `${below}/blobs/sha256:${body.sha256}`, body };
    }
  }

  const served = ({ path, body }: Thing) =>
    eventually(`${path} is served`, async () => {
      const reply = await get(path);
      return reply.complete && reply.status === 200 && reply.sha256 === body.sha256;
    });

  const unknown: Readonly<Record<Kind, string>> = {
    tag: 'MANIFEST_UNKNOWN',
    manifest: 'MANIFEST_UNKNOWN',
    blob: 'BLOB_UNKNOWN',
    'small blob': 'BLOB_UNKNOWN',
    'list of tags': 'NAME_UNKNOWN',
  };

  interface Case {
    readonly what: string;
    readonly fault: Fault | ((thing: Thing) => Fault);
    readonly status: number;
    /** Whether the body had begun: then a blob of more than 64 KiB breaks off. */
    readonly inBody?: boolean;
    /** Which kinds notice it. Default: all. */
    readonly kinds?: readonly Kind[];
    /** Requests for the thing itself. */
    readonly requests?: number;
  }

  const inBody: Case[] = [
    { what: 'ends early', fault: (of) => ({ cutAfter: quarter(of) }), status: 502, requests: 3 },
    {
      what: 'ends early, of unknown length',
      fault: (of) => ({ cutAfter: quarter(of), chunked: true }),
      status: 502,
      requests: 3,
    },
    {
      what: 'ends early, without ranges',
      fault: (of) => ({ cutAfter: quarter(of), noRange: true }),
      status: 502,
      requests: 3,
    },
    {
      what: 'resets the connection in the body',
      fault: (of) => ({ cutAfter: quarter(of), cutBy: 'rst' }),
      status: 502,
      requests: 3,
    },
    { what: 'stalls', fault: (of) => ({ holdAfter: quarter(of) }), status: 504, requests: 3 },
    {
      what: 'sends a byte that is wrong',
      fault: ({ body }) => ({ body: body.spoiled(-1) }),
      status: 502,
      kinds: ['tag', 'manifest', 'blob', 'small blob'],
    },
    {
      what: 'sends fewer bytes, in good order',
      fault: ({ body }) => ({ body: Body.of(body.bytes().subarray(0, quarter({ body }))) }),
      status: 502,
    },
  ];

  const before: Case[] = [
    { what: 'breaks the connection', fault: { hangUp: true }, status: 502, requests: 3 },
    { what: 'ends before the first byte', fault: { cutAfter: 0 }, status: 502 },
    {
      what: 'sends gzip',
      fault: { gzip: true },
      status: 502,
    },
    { what: 'sends a page of HTML with 200', fault: page, status: 502 },
    { what: 'says 429', fault: busy, status: 429, requests: 1 },
    { what: 'says 500, three times', fault: { status: 500 }, status: 502, requests: 3 },
    { what: 'says 503, three times', fault: { status: 503 }, status: 502, requests: 3 },
    { what: 'says nothing', fault: { hang: true }, status: 504, requests: 1 },
    { what: 'redirects in a loop', fault: { redirect: (path) => path }, status: 502, requests: 11 },
    {
      what: 'leads back to Larder',
      fault: { redirect: (path) => larder.base + path },
      status: 502,
    },
    { what: 'says 401', fault: { status: 401 }, status: 404, requests: 1 },
    { what: 'says 403', fault: { status: 403 }, status: 404, requests: 1 },
    { what: 'says 404', fault: { status: 404 }, status: 404, requests: 1 },
  ];

  const all: Kind[] = ['tag', 'manifest', 'blob', 'small blob', 'list of tags'];
  const cases = [...inBody.map((one) => ({ ...one, inBody: true })), ...before].flatMap((one) =>
    (one.kinds ?? all).map((kind) => ({ ...one, kind })),
  );
  const numbered = cases.map((one, at) => ({ ...one, at }));

  describe.concurrent('that', () => {
    test.for(numbered)('$what: a $kind', async ({ at, kind, fault, status, inBody, requests }) => {
      const on = onOwn(at);
      const thing = make(kind, on);
      const { name, path, body } = thing;
      const upstreamPath = new RegExp(`^/v2/${name}/`);
      const given = typeof fault === 'function' ? fault(thing) : fault;
      const heal = on.registry.fault(upstreamPath, given);

      const reply = await get(path);
      if (inBody === true && kind === 'blob') expectBroken(reply, body);
      else expectRefused(reply, status, unknown[kind]);
      if (status === 429) expect(reply.headers['retry-after']).toBe('3');
      const things = on.registry.requests(upstreamPath).filter(({ method, path: at }) => {
        // what a tag stands for is asked first, by HEAD, which has no body
        return kind !== 'tag' || inBody !== true || (method === 'GET' && !at.endsWith('/v1'));
      });
      if (requests !== undefined) expect(things).toHaveLength(requests);

      heal();
      await served(thing);
    });

    test('says another digest than that of its bytes: the bytes count', async () => {
      const wrong = { headers: { 'docker-content-digest': `sha256:${'0'.repeat(64)}` } };
      for (const kind of ['manifest', 'blob'] as const) {
        const { path, body } = make(kind);
        const heal = registry.fault(upstreamOf(path), wrong);
        const reply = await get(path);
        expect([reply.status, reply.sha256]).toEqual([200, body.sha256]);
        expect(path).toContain(String(reply.headers['docker-content-digest']));
        heal();
      }
    });

    test('says a wrong digest of a tag: not there, and nothing of it is kept', async () => {
      for (const digest of [`sha256:${'0'.repeat(64)}`, 'sha256:none']) {
        const thing = make('tag');
        const heal = registry.fault(upstreamOf(thing.path), {
          headers: { 'docker-content-digest': digest },
        });
        const reply = await get(thing.path);
        const known = digest !== 'sha256:none';
        expectEnvelope(reply, known ? 404 : 502, known ? 'MANIFEST_UNKNOWN' : 'UNKNOWN');
        heal();
        await eventually('its head is right', async () => {
          const { status, headers } = await get(thing.path, { method: 'HEAD' });
          return status === 200 && headers.etag === `"sha256:${thing.body.sha256}"`;
        });
        await served(thing);
      }
    });

    test('says no digest of a tag: that of the bytes counts, if they are a manifest', async () => {
      const headers = { 'docker-content-digest': undefined };
      for (const method of ['GET', 'HEAD']) {
        const { path, body } = make('tag');
        const heal = registry.fault(upstreamOf(path), {
          headers: { ...headers, 'content-type': 'application/json' },
          body: '{"errors":[]}',
        });
        expect((await get(path, { method })).status).toBe(502);
        heal();
        registry.fault(upstreamOf(path), { headers });
        await eventually('it is served', async () => {
          const reply = await get(path, { method });
          return reply.status === 200 && reply.headers.etag === `"sha256:${body.sha256}"`;
        });
      }
    });

    const heads: Fault[] = [
      page,
      { gzip: true },
      busy,
      { status: 500 },
      { hang: true },
      { hangUp: true },
    ];
    test.for(heads.map((fault, at) => ({ fault, at })))(
      'fails a HEAD: no wrong length, no wrong type: %j',
      async ({ fault, at }) => {
        for (const kind of ['tag', 'manifest', 'blob'] as const) {
          const on = onOwn(at);
          const { path, body } = make(kind, on);
          const heal = on.registry.fault(upstreamOf(path), fault);
          const reply = await get(path, { method: 'HEAD' });
          heal();
          expect(reply).toMatchObject({ complete: true, length: 0 });
          if (reply.status !== 200) expect([429, 502, 504]).toContain(reply.status);
          else {
            expect([undefined, String(body.size)]).toContain(reply.headers['content-length']);
            expect(reply.headers['content-type']).not.toMatch(/html/);
          }
        }
      },
    );
  });

  test('that has no such tag is asked once, as long as that is remembered', async () => {
    const remembering = await startMirror();
    remembering.registry.addImage('a/b', 'v1', { layers: [] });
    const path = 'a/b/manifests/none';
    for (const outcome of ['miss', 'negative', 'negative']) {
      const reply = await remembering.get(path);
      expectEnvelope(reply, 404, 'MANIFEST_UNKNOWN');
      expect(outcomeOf(reply)).toBe(outcome);
    }
    expect(asked(remembering.registry)).toEqual([`HEAD /v2/${path}`]);
  });

  test('that is down: 502, and all is well when it is back', async () => {
    const things = all.map((kind) => make(kind));
    await registry.down();
    for (const { path } of things) expectEnvelope(await get(path), 502, 'UNKNOWN');
    await registry.up();
    for (const thing of things) await served(thing);
  });

  test('a blob that breaks or falls silent once is resumed, and the client sees nothing of it', async () => {
    for (const fault of [{ cutAfter: 100_000 }, { holdAfter: 100_000 }]) {
      const { path, body } = make('blob');
      registry.fault(upstreamOf(path), { ...fault, times: 1 });
      const reply = await get(path);
      expect([reply.status, reply.complete, reply.sha256]).toEqual([200, true, body.sha256]);
      const requests = registry.requests(upstreamOf(path));
      expect(requests).toHaveLength(2);
      const [, again] = requests;
      // a connection that breaks may take with it what was not read yet
      if ('holdAfter' in fault)
        expect([again?.status, again?.headers.range]).toEqual([206, 'bytes=100000-']);
    }
  });

  test('after all of this nothing lies in the spool', async () => {
    await eventually('the spool is empty', () => filesBelow(larder.spoolDir).length === 0);
  });
});

/** A path below /v2/, without its registry's name, as that one sees it. */
const upstreamOf = (path: string): string => `/v2/${path.slice(path.indexOf('/') + 1)}`;

/** So that three such pieces do not make a whole. */
const quarter = ({ body }: Pick<Thing, 'body'>): number => Math.floor(body.size / 4);

function expectRefused(reply: Reply, status: number, unknown: string): void {
  const codes: Readonly<Record<number, string>> = { 404: unknown, 429: 'TOOMANYREQUESTS' };
  expectEnvelope(reply, status, codes[status] ?? 'UNKNOWN');
}

const tokenFaults: readonly { what: string; fault: Fault; status: number }[] = [
  { what: 'hangs', fault: { hang: true }, status: 504 },
  { what: 'breaks the connection', fault: { hangUp: true }, status: 502 },
  { what: 'says 500', fault: { status: 500 }, status: 502 },
  { what: 'sends a page of HTML', fault: page, status: 502 },
  { what: 'says 429', fault: busy, status: 429 },
  { what: 'says 401', fault: { status: 401 }, status: 404 },
  { what: 'says 403', fault: { status: 403 }, status: 404 },
];

describe('a token service', async () => {
  const tokens = await startTokenService();
  const { registry, get } = await startMirror({ tokens }, SHORT);

  test.for([...tokenFaults, { what: 'is down', fault: undefined, status: 502 }])(
    'that $what',
    async ({ what, fault, status }) => {
      const name = `t/${what.replaceAll(/\W/g, '').toLowerCase()}`;
      const image = registry.addImage(name, 'v1', { layers: [what] });
      const heal = fault && tokens.fault(/^/, fault);
      if (fault === undefined) await tokens.down();
      const paths = {
        [`${name}/manifests/v1`]: 'MANIFEST_UNKNOWN',
        [`${name}/manifests/${image.digest}`]: 'MANIFEST_UNKNOWN',
        [`${name}/blobs/${image.config.digest}`]: 'BLOB_UNKNOWN',
        [`${name}/tags/list`]: 'NAME_UNKNOWN',
      };
      for (const [path, unknown] of Object.entries(paths)) {
        expectRefused(await get(path), status, unknown);
      }
      heal?.();
      if (fault === undefined) await tokens.up();
      for (const path of Object.keys(paths)) {
        await eventually(`${path} is served`, async () => (await get(path)).status === 200);
      }
    },
  );
});

describe('with a stale tag and list of tags', async () => {
  const tokens = await startTokenService();
  const { registry, get } = await startMirror({ tokens }, { ...SHORT, LARDER_TAG_TTL: '0s' });
  let serial = 0;

  async function pulled() {
    const name = `s${String((serial += 1))}/app`;
    const image = registry.addImage(name, 'v1', { layers: [name] });
    const paths = [`${name}/manifests/v1`, `${name}/tags/list`];
    for (const path of paths) expect((await get(path)).status).toBe(200);
    return { name, image, paths };
  }

  async function expectStale(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      for (const method of ['GET', 'HEAD']) {
        const { status, complete, headers } = await get(path, { method });
        expect([status, complete, headers['x-larder-cache']]).toEqual([200, true, 'stale']);
        expect(headers.warning).toMatch(/^299 - "/);
      }
    }
  }

  test.for<[string, Fault]>([
    ['hangs', { hang: true }],
    ['breaks the connection', { hangUp: true }],
    ['says 500', { status: 500 }],
    ['says 503', { status: 503 }],
    ['says 429', busy],
    ['sends a page of HTML', page],
  ])('a registry that %s: stale, and marked', async ([, fault]) => {
    const { name, image, paths } = await pulled();
    const heal = registry.fault(new RegExp(`/${name}/`), fault);
    await expectStale(paths);
    heal();
    await eventually('the tag is asked again', async () => {
      const reply = await get(`${name}/manifests/v1`);
      expect(reply.body.equals(image.bytes)).toBe(true);
      return outcomeOf(reply) === 'revalidated' && reply.headers.warning === undefined;
    });
  });

  test.for([401, 403, 404])('a registry that says %i: never', async (status) => {
    const { name, paths } = await pulled();
    const heal = registry.fault(new RegExp(`/${name}/`), { status });
    for (const path of paths) {
      const unknown = path.endsWith('list') ? 'NAME_UNKNOWN' : 'MANIFEST_UNKNOWN';
      expectEnvelope(await get(path), 404, unknown);
    }
    heal();
    for (const path of paths) {
      await eventually(`${path} is served`, async () => (await get(path)).status === 200);
    }
  });

  test.for(tokenFaults)('a token service that $what', async ({ fault, status }) => {
    const { paths } = await pulled();
    // the token that is held counts no more
    tokens.revokeAll();
    const heal = tokens.fault(/^/, fault);
    if (status === 404) {
      for (const path of paths) expect((await get(path)).status).toBe(404);
    } else await expectStale(paths);
    heal();
    for (const path of paths) {
      await eventually(`${path} is served`, async () => {
        const reply = await get(path);
        return reply.status === 200 && outcomeOf(reply) !== 'stale';
      });
    }
  });
});
