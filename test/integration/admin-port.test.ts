import type { RequestHandler } from 'express';
import { describe, expect, test } from 'vitest';

import { StartError } from '../../src/app/start-error.ts';
import { makeCertificate } from '../support/certificate.ts';
import { ask, manualPlane, serve } from '../support/server.ts';
import { tempDir } from '../support/tmp.ts';

const admin: RequestHandler = (_req, res) => {
  res.send('admin');
};

/** A server with two ports, any free ones. */
async function serveTwo(options: Parameters<typeof serve>[0] = {}) {
  const served = await serve({ adminPort: 0, admin, ...options });
  return { ...served, inward: served.adminAddress ?? '' };
}

describe('LARDER_ADMIN_PORT', () => {
  test.each(['/admin/stats', '/admin', '/metrics', '/'])(
    'has %s, and the port of clients has not',
    async (path) => {
      const { base, inward } = await serveTwo();
      expect((await ask(inward, path)).status).toBe(200);
      const refused = await ask(base, path);
      expect(refused.status).toBe(404);
      expect(refused.text).not.toContain('/ says more');
    },
  );

  test.each(['/healthz', '/readyz', '/version'])('%s is on both', async (path) => {
    const { base, inward } = await serveTwo();
    for (const address of [base, inward]) expect((await ask(address, path)).status).toBe(200);
  });

  test('serves no artifacts', async () => {
    const { base, inward } = await serveTwo();
    expect((await ask(base, '/go/x')).status).toBe(200);
    expect((await ask(inward, '/go/x')).status).toBe(404);
  });

  test('without it all is on one port', async () => {
    const { base, adminAddress } = await serve({ admin });
    expect(adminAddress).toBeUndefined();
    for (const path of ['/admin', '/metrics', '/', '/go/x'])
      expect((await ask(base, path)).status).toBe(200);
  });

  test('its page leads clients to the other port', async () => {
    const { inward, port } = await serveTwo();
    const own = new URL(inward).port;
    const page = async (host: string) => (await ask(inward, '/', { headers: { Host: host } })).text;
    const text = await page(`larder.test:${own}`);
    expect(text).toContain(`go env -w GOPROXY=http://larder.test:${String(port)}\n`);
    expect(text).toContain(`http://larder.test:${own}/metrics\n`);
    expect(await page('larder.test')).toContain(`=http://larder.test:${String(port)}\n`);
    expect(await page(`[::1]:${own}`)).toContain(`=http://[::1]:${String(port)}\n`);
  });

  test('has the same certificate', async () => {
    const { base, inward } = await serveTwo({ tls: makeCertificate(tempDir(), 'one') });
    for (const address of [base, inward]) {
      expect(address).toMatch(/^https:/);
      expect((await ask(address, '/healthz')).text).toBe('ok\n');
    }
  });

  test('is logged and counted like the other', async () => {
    const { inward, logged } = await serveTwo();
    const { headers } = await ask(inward, '/admin/stats');
    await logged({ path: '/admin/stats', status: 200, requestId: headers['x-request-id'] });
    expect((await ask(inward, '/metrics')).text).toMatch(/larder_requests_total\{.*status="200"/);
  });

  test('a stop drains both: each tells it, and is closed with the other', async () => {
    const { go, next } = manualPlane();
    const { base, inward, server } = await serveTwo({ go });
    const body = ask(base, '/go/x');
    const res = await next();
    const stop = server.stop();
    for (const address of [base, inward]) {
      const ready = await ask(address, '/readyz', { headers: { Connection: 'keep-alive' } });
      expect(ready).toMatchObject({ status: 503, headers: { connection: 'close' } });
    }
    res.end('answer');
    expect((await body).text).toBe('answer');
    await stop;
    for (const address of [base, inward])
      await expect(ask(address, '/healthz')).rejects.toThrow(/ECONNREFUSED/);
  });

  test('that is taken is told in a sentence, and no client is let in', async () => {
    const { port } = await serve();
    const second = serve({ adminPort: port });
    await expect(second).rejects.toBeInstanceOf(StartError);
    await expect(second).rejects.toThrow(/another program.*LARDER_ADMIN_PORT/);
  });
});
