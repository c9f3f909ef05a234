import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

import { ask, raw, serve } from '../support/server.ts';

describe('/readyz', () => {
  test('is 503 with the reasons', async () => {
    const reasons = ['The store cannot be reached.'];
    const { base } = await serve({
      readiness: () => Promise.resolve({ ready: false, reasons, warnings: [] }),
    });
    const answer = await ask(base, '/readyz');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toEqual({ ready: false, reasons, warnings: [] });
  });

  test('is 503 when the check itself fails', async () => {
    const { base, logged } = await serve({
      readiness: () => Promise.reject(new Error('no answer')),
    });
    const answer = await ask(base, '/readyz');
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('no answer');
    await logged({ level: 'error' });
  });
});

test('/version tells the version of package.json and of Node', async () => {
  const { base } = await serve();
  const file = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  const answer = await ask(base, '/version');
  expect(JSON.parse(answer.text)).toEqual({ version, node: process.versions.node });
});

test('/metrics counts what was answered', async () => {
  const { base, logged } = await serve();
  await ask(base, '/go/x');
  await logged({ path: '/go/x' });
  const answer = await ask(base, '/metrics');
  expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(answer.text).toContain(
    'larder_requests_total{protocol="go",method="GET",status="200",outcome="hit"} 1\n',
  );
  expect(answer.text).toContain('larder_response_bytes_total{protocol="go"} 6\n');
});

describe('the page', () => {
  const html = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

  test('has lines to copy with the address of its visitor', async () => {
    const { base } = await serve();
    const page = await ask(base, '/', { headers: { ...html, Host: 'larder.corp.test:3000' } });
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.text).toContain('go env -w GOPROXY=http://larder.corp.test:3000\n'.trim());
    for (const link of ['/readyz', '/metrics', '/version'])
      expect(page.text).toContain(`href="${link}"`);
    const behindTls = { Host: 'larder.corp.test', 'X-Forwarded-Proto': 'https' };
    const text = await ask(base, '/', { headers: behindTls });
    expect(text.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(text.text).toContain('GOPROXY=https://larder.corp.test\n');
  });

  test('loads and runs nothing', async () => {
    const { base } = await serve();
    const { headers, text } = await ask(base, '/', { headers: html });
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers.vary).toBe('Accept');
    expect(text).not.toMatch(/<script|src=|@import|url\(|style="/);
  });

  test.each(['"><script>alert(1)</script>', 'a.test/<b>', '$(reboot)', 'a;b', '<i>:80', ''])(
    'does not repeat the Host %s',
    async (host) => {
      const { port } = await serve();
      const get = (accept: string) =>
        raw(
          port,
          `GET / HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`,
        );
      for (const accept of ['text/html', 'text/plain']) {
        const answer = await get(accept);
        expect(answer).toMatch(/^HTTP\/1\.1 200 /);
        expect(answer).toContain(`GOPROXY=http://127.0.0.1:${String(port)}`);
        if (host !== '') expect(answer).not.toContain(host);
      }
    },
  );
});
