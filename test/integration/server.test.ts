import { describe, expect, test } from 'vitest';

import { ask, raw, serve } from '../support/server.ts';

describe('X-Request-Id', () => {
  test.each(['abc', 'A.b_c-9', 'x'.repeat(128)])('%s is taken', async (id) => {
    const { base, logged } = await serve();
    for (const path of ['/go/x', '/healthz', '/nothing']) {
      const { headers } = await ask(base, path, { headers: { 'X-Request-Id': id } });
      expect(headers['x-request-id']).toBe(id);
      await logged({ requestId: id, path });
    }
  });

  test.each(['a b', 'a"b', 'é', 'x'.repeat(129), 'a,b', ''])('%s is not', async (id) => {
    const { base } = await serve();
    const { headers } = await ask(base, '/go/x', { headers: { 'X-Request-Id': id } });
    expect(headers['x-request-id']).toMatch(/^[a-z0-9]+-[a-z0-9]+$/);
  });

  test('is another for each request', async () => {
    const { base } = await serve();
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(base, '/go/x')));
    expect(new Set(answers.map(({ headers }) => headers['x-request-id'])).size).toBe(50);
  });
});

describe('every answer has an id and a cache word', () => {
  test.each([
    ['GET', '/', 200],
    ['GET', '/healthz', 200],
    ['GET', '/readyz', 200],
    ['GET', '/version', 200],
    ['GET', '/metrics', 200],
    ['HEAD', '/healthz', 200],
    ['GET', '/nothing', 404],
    ['GET', '/HealthZ', 404],
    ['GET', '/healthz/', 404],
    ['GET', '/%zz', 404],
    ['GET', '/%ff%00', 404],
    ['POST', '/healthz', 405],
    ['OPTIONS', '/healthz', 405],
    ['TRACE', '/', 405],
    ['PROPFIND', '/metrics', 405],
    ['DELETE', '/nothing', 404],
    ['OPTIONS', '/nothing', 404],
  ])('%s %s: %d', async (method, path, status) => {
    const { base } = await serve();
    const answer = await ask(base, path, { method });
    expect(answer.status).toBe(status);
    expect(answer.headers['x-request-id']).toMatch(/./);
    expect(answer.headers['x-larder-cache']).toBe('bypass');
    if (method === 'HEAD') expect(answer.text).toBe('');
    if (status === 405) expect(answer.headers.allow).toBe('GET, HEAD');
    if (status >= 400) {
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(answer.text.length).toBeLessThan(600);
    }
  });

  test('the plane sets its own word', async () => {
    const { base, logged } = await serve();
    const answer = await ask(base, '/go/x');
    expect(answer).toMatchObject({ status: 200, text: 'answer' });
    expect(answer.headers['x-larder-cache']).toBe('hit');
    await logged({ outcome: 'hit', protocol: 'go', bytes: 6 });
  });
});

describe('the path', () => {
  test.each([
    ['/go/a%2Fb/../c', '/go/a%2Fb/../c'],
    ['/go/x?secret=1?2', '/go/x'],
    ['/go/?', '/go/'],
    ['http://other.test/go/x?y', '/go/x'],
    ['https://other.test:8443/go//x', '/go//x'],
  ])('%s reaches the plane as %s', async (target, path) => {
    const { base, logged, lines } = await serve();
    expect((await ask(base, target)).text).toBe('answer');
    await logged({ path });
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  test.each(['http://other.test', 'http://other.test?x'])('%s is the page', async (target) => {
    const { base } = await serve();
    expect((await ask(base, target)).text).toMatch(/^Larder/);
  });

  test.each(['*', 'ftp://other.test/x'])('%s is refused', async (target) => {
    const { port } = await serve();
    const text = await raw(
      port,
      `OPTIONS ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toMatch(/^X-Request-Id: ./m);
  });
});

describe('a mistake in a plane', () => {
  test('is a 500 without details, and logged with them', async () => {
    const { base, logged } = await serve({
      go: () => {
        throw new Error('inner workings');
      },
    });
    const answer = await ask(base, '/go/x');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('inner');
    expect(answer.headers['x-request-id']).toMatch(/./);
    await logged({
      level: 'error',
      err: expect.objectContaining({ message: 'inner workings' }) as unknown,
    });
  });

  test('after the first byte breaks the connection', async () => {
    const { base, logged } = await serve({
      go: (_req, res) => {
        res.writeHead(200, { 'Content-Length': 10 }).write('12345');
        throw new Error('late');
      },
    });
    const answer = await ask(base, '/go/x').catch(() => undefined);
    expect(answer?.complete ?? false).toBe(false);
    await logged({ status: 200, aborted: true });
  });
});
