import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readAll } from '../../src/http/download.ts';
import {
  certificate,
  hangUp,
  origin,
  proxy,
  request,
  silence,
  status,
  upstreamClient,
  type Turn,
} from '../support/origin.ts';
import { eventually } from '../support/tmp.ts';

beforeEach(() => {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) {
    vi.stubEnv(name, undefined);
    vi.stubEnv(name.toLowerCase(), undefined);
  }
});
afterEach(() => {
  vi.unstubAllEnvs();
});

const ok = status(200, {}, 'the answer');
const text = async (body: AsyncIterable<Uint8Array>) => (await readAll(body, 1000)).toString();

describe('what is sent', () => {
  test('own manners, credentials of the URL, and the headers of the caller', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin(ok);
    const withUser = url.replace('://', '://us%20er:p%3Aw%40@');
    const response = await client.send(request(`${withUser}/a%2Fb?c=d`, { headers: { a: 'b' } }));
    expect(response).toMatchObject({ status: 200, triesLeft: 2 });
    expect(await text(response.body)).toBe('the answer');
    const authorization = `Basic ${Buffer.from('us er:p:w@').toString('base64')}`;
    expect(asked).toMatchObject([
      {
        method: 'GET',
        path: '/a%2Fb?c=d',
        headers: {
          'user-agent': 'larder/test',
          'accept-encoding': 'identity',
          via: '1.1 larder-test',
          authorization,
          a: 'b',
        },
      },
    ]);
  });

  test('every exchange is told to the listener, each try by itself', async () => {
    const { client, events } = upstreamClient();
    const { url, host } = await origin([status(503), hangUp, ok]);
    await text((await client.send(request(url))).body);
    expect(events.map((event) => [event.name, event['host'], event['status']])).toEqual(
      [503, 0, 200].map((code) => ['upstreamAnswered', host, code]),
    );
  });
});

describe('tries', () => {
  test.each([500, 502, 503, 504])(
    '%i is tried three times, and the third is the answer',
    async (code) => {
      const { client } = upstreamClient();
      const { url, asked } = await origin(status(code, {}, 'no luck'));
      for (const method of ['GET', 'HEAD'] as const) {
        asked.length = 0;
        const response = await client.send(request(url, { method }));
        expect(response).toMatchObject({ status: code, triesLeft: 0 });
        expect(await text(response.body)).toBe(method === 'GET' ? 'no luck' : '');
        expect(asked).toHaveLength(3);
      }
    },
  );

  test.each([200, 204, 300, 304, 400, 401, 403, 404, 410, 429, 501, 505])(
    '%i is an answer',
    async (code) => {
      const { client } = upstreamClient();
      const { url, asked } = await origin(status(code));
      const response = await client.send(request(url));
      expect(response).toMatchObject({ status: code, triesLeft: 2 });
      response.body.destroy();
      expect(asked).toHaveLength(1);
    },
  );

  test('a connection that breaks before any byte is tried three times', async () => {
    const { client } = upstreamClient();
    const { url, host, asked } = await origin(hangUp);
    await expect(client.send(request(url))).rejects.toMatchObject({
      code: 'upstream_failed',
      message: `${host} cannot be reached: the connection broke`,
    });
    expect(asked).toHaveLength(3);
  });

  test('a port where nobody listens is tried three times', async () => {
    const { client, events } = upstreamClient();
    const url = 'http://127.0.0.1:1';
    await expect(client.send(request(url))).rejects.toThrow(/connection refused/);
    expect(events.map((event) => event['status'])).toEqual([0, 0, 0]);
  });

  test.each([
    [[hangUp, ok], 1],
    [[status(502), hangUp, ok], 0],
  ] as const)('trouble that passes is not seen (%#)', async (turns: readonly Turn[], triesLeft) => {
    const { client } = upstreamClient();
    const { url } = await origin(turns);
    const response = await client.send(request(url));
    expect(response).toMatchObject({ status: 200, triesLeft });
    await text(response.body);
  });

  test('a caller with fewer tries left has fewer', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin(status(503));
    (await client.send(request(url), 1)).body.destroy();
    expect(asked).toHaveLength(1);
  });

  test('a certificate that is not trusted is not tried again', async () => {
    const { client, events } = upstreamClient();
    const { url } = await origin(ok, certificate());
    await expect(client.send(request(url))).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringContaining('SELF_SIGNED') as unknown,
    });
    expect(events).toHaveLength(1);
  });
});

describe('deadlines', () => {
  test('the first byte, all tries together', async () => {
    const { client } = upstreamClient();
    const { url, host } = await origin((_request, response) => {
      setTimeout(() => response.writeHead(503).end(), 300);
    });
    // each try is in time, all of them are not
    await expect(client.send(request(url, { firstByteMs: 800 }))).rejects.toMatchObject({
      code: 'upstream_timeout',
      message: `fetch timed out: ${host} was silent for 800ms`,
    });
  });

  test('the first byte, pauses included', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin(status(503));
    const slow = client.send(request(url, { firstByteMs: 50 }));
    await expect(slow).rejects.toMatchObject({ code: 'upstream_timeout' });
    expect(asked).toHaveLength(1);
  });

  test('the first byte, redirects included', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin([status(302, { location: '/a' }), silence]);
    const slow = client.send(request(url, { firstByteMs: 1000 }));
    await expect(slow).rejects.toMatchObject({ code: 'upstream_timeout' });
    await eventually('the connection is broken', () => asked.at(-1)?.broken);
  });

  test('a caller that aborts gets its reason, and the connection is freed', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin(silence);
    const caller = new AbortController();
    const reason = new Error('the fill is over');
    const sent = Promise.allSettled([client.send(request(url, { signal: caller.signal }))]);
    await eventually('the request', () => asked.length === 1);
    caller.abort(reason);
    expect(await sent).toEqual([{ status: 'rejected', reason }]);
    await eventually('the connection is broken', () => asked[0]?.broken);
    await expect(client.send(request(url, { signal: caller.signal }))).rejects.toBe(reason);
    expect(asked).toHaveLength(1);
  });

  test('a silent body ends even when nobody watches it', async () => {
    const { client } = upstreamClient();
    const { url } = await origin((_request, response) => {
      response.writeHead(404, { 'content-length': 100 }).write('not ');
    });
    const { body } = await client.send(request(url, { stallMs: 20 }));
    await expect(readAll(body, 1000)).rejects.toThrow(/timeout/i);
  });

  test('a client that is closed fails at once what is under way', async () => {
    const { client, events } = upstreamClient();
    const { url, asked } = await origin(silence);
    const sent = Promise.allSettled([client.send(request(url))]);
    await eventually('the request', () => asked.length === 1);
    await client.close();
    expect(await sent).toMatchObject([{ reason: { code: 'upstream_failed' } }]);
    expect(events).toHaveLength(1);
  });
});

describe('redirects', () => {
  const to = (location: string, code = 302) => status(code, { location });

  test.each([301, 302, 303, 307, 308])('%i is followed', async (code) => {
    const { client } = upstreamClient();
    const { url, asked } = await origin([to('/b?c', code), ok]);
    const response = await client.send(request(`${url}/a`));
    expect(await text(response.body)).toBe('the answer');
    expect(response.url.href).toBe(`${url}/b?c`);
    expect(asked.map(({ path }) => path)).toEqual(['/a', '/b?c']);
  });

  test('a HEAD stays one', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin([to('/b'), ok]);
    (await client.send(request(url, { method: 'HEAD' }))).body.destroy();
    expect(asked.map(({ method }) => method)).toEqual(['HEAD', 'HEAD']);
  });

  test('without a place to go it is an answer', async () => {
    const { client } = upstreamClient();
    const { url } = await origin(status(302));
    const response = await client.send(request(url));
    expect(response.status).toBe(302);
    response.body.destroy();
  });

  test('ten are followed, an eleventh is refused and not tried again', async () => {
    const { client } = upstreamClient();
    const ten = await origin([...Array.from({ length: 10 }, () => to('/')), ok]);
    expect(await text((await client.send(request(ten.url))).body)).toBe('the answer');
    const eleven = await origin(to('/'));
    await expect(client.send(request(eleven.url))).rejects.toThrow(/more than 10 times/);
    expect(eleven.asked).toHaveLength(11);
  });

  test('trouble behind one is tried again from the start', async () => {
    const { client } = upstreamClient();
    const { url, asked } = await origin([to('/b'), status(503), to('/c'), ok]);
    await text((await client.send(request(`${url}/a`))).body);
    expect(asked.map(({ path }) => path)).toEqual(['/a', '/b', '/a', '/c']);
  });

  test('credentials stay with their origin', async () => {
    const { client } = upstreamClient();
    const other = await origin(ok);
    const { url, asked } = await origin([to('/b'), to(`${other.url}/c`)]);
    for (const headers of [{}, { Authorization: 'Bearer x', 'x-a': 'b' }]) {
      const from = 'Authorization' in headers ? url : url.replace('://', '://u:p@');
      await text((await client.send(request(`${from}/a`, { headers }))).body);
    }
    expect(asked).toHaveLength(3);
    for (const { headers } of asked) expect(headers).toHaveProperty('authorization');
    for (const { headers } of other.asked) expect(headers).not.toHaveProperty('authorization');
    expect(other.asked.at(-1)?.headers).toHaveProperty('x-a', 'b');
  });

  test('from https to http is refused', async () => {
    const cert = certificate();
    tls.setDefaultCACertificates([...tls.getCACertificates(), cert.cert]);
    const plain = await origin(ok);
    const safe = await origin([ok, to(plain.url)], cert);
    const { client } = upstreamClient();
    expect(await text((await client.send(request(safe.url))).body)).toBe('the answer');
    await expect(client.send(request(safe.url))).rejects.toThrow(/from https to http/);
    expect(plain.asked).toHaveLength(0);
  });

  test.each(['http://169.254.169.254/latest/', 'http://[fe80::1]/', 'gopher://127.0.0.1/'])(
    'to %s is refused, and the connection is free again',
    async (location) => {
      const { client } = upstreamClient();
      const { url, asked } = await origin([to(location), ok]);
      await expect(client.send(request(url))).rejects.toMatchObject({ code: 'upstream_failed' });
      expect(asked).toHaveLength(1);
      await text((await client.send(request(url))).body);
    },
  );
});

describe('sockets', () => {
  /** Answers only when as many have come as can come at once. */
  const crowded = (count: number): Turn => {
    const waiting: (() => void)[] = [];
    return (_request, response) => {
      waiting.push(() => response.end('x'));
      if (waiting.length >= count) for (const answer of waiting.splice(0)) setTimeout(answer, 20);
    };
  };
  const hundred = async (url: string) => {
    const { client } = upstreamClient();
    const one = async () => text((await client.send(request(url))).body);
    return Promise.all(Array.from({ length: 128 }, one));
  };

  test('a host gets 64 at once, however many ask', async () => {
    const { url, asked, sockets } = await origin(crowded(64));
    expect(await hundred(url)).toEqual(Array.from({ length: 128 }, () => 'x'));
    expect(asked).toHaveLength(128);
    expect(sockets.most).toBe(64);
  });

  test('through a proxy too', async () => {
    const forward = await proxy();
    vi.stubEnv('HTTP_PROXY', forward.url);
    const { url } = await origin(crowded(64));
    expect(await hundred(url)).toHaveLength(128);
    expect(forward.asked).toHaveLength(128);
    expect(forward.sockets.most).toBe(64);
  });

  test('a body that is left unread frees its own', async () => {
    const { client } = upstreamClient();
    const { url, sockets } = await origin((_request, response) => {
      response.writeHead(200, { 'content-length': 10_000_000 }).write('x'.repeat(1_000_000));
    });
    for (let i = 0; i < 70; i++) (await client.send(request(url))).body.destroy();
    await eventually('all are closed', () => sockets.open === 0);
  });
});

describe('a proxy of the environment', () => {
  test('forwards http', async () => {
    const forward = await proxy();
    vi.stubEnv('HTTP_PROXY', forward.url.replace('://', '://us%20er:pw@'));
    const { client } = upstreamClient();
    const { url, asked } = await origin(ok);
    expect(await text((await client.send(request(`${url}/a`))).body)).toBe('the answer');
    expect(forward.asked).toMatchObject([
      {
        method: 'GET',
        path: `${url}/a`,
        headers: { 'proxy-authorization': `Basic ${Buffer.from('us er:pw').toString('base64')}` },
      },
    ]);
    expect(asked).toMatchObject([{ path: '/a', headers: { host: new URL(url).host } }]);
  });

  test('tunnels https', async () => {
    const cert = certificate();
    tls.setDefaultCACertificates([...tls.getCACertificates(), cert.cert]);
    const tunnel = await proxy();
    vi.stubEnv('HTTPS_PROXY', tunnel.url);
    const { url, host } = await origin(ok, cert);
    const { client } = upstreamClient();
    expect(await text((await client.send(request(url))).body)).toBe('the answer');
    expect(tunnel.asked).toMatchObject([{ method: 'CONNECT', path: host }]);
  });

  test('is passed by for whom NO_PROXY names', async () => {
    const forward = await proxy();
    vi.stubEnv('HTTP_PROXY', forward.url);
    vi.stubEnv('NO_PROXY', 'example.test,127.0.0.1');
    const { client } = upstreamClient();
    const { url } = await origin(ok);
    expect(await text((await client.send(request(url))).body)).toBe('the answer');
    expect(forward.asked).toEqual([]);
  });
});
