import net from 'node:net';
import { describe, expect, test } from 'vitest';

import { ask, manualPlane, raw, serve } from '../support/server.ts';

describe('what is no proper request', () => {
  const refused = (text: string, status: number) => {
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${String(status)} `));
    expect(text).toMatch(/^X-Request-Id: [a-z0-9-]+\r$/m);
    expect(text).toMatch(/^X-Larder-Cache: bypass\r$/m);
    expect(text).toMatch(/^Content-Type: text\/plain; charset=utf-8\r$/m);
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(
      status === 400 && text.includes('is not HTTP') ? 2 : 1,
    );
  };

  test('bytes of another protocol', async () => {
    const { port, logged, metrics } = await serve();
    refused(await raw(port, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'), 400);
    await logged({ status: 400, outcome: 'bypass', remote: '127.0.0.1' });
    expect(await metrics.text()).toMatch(/larder_requests_total\{.*status="400".*\} 1/);
  });

  test('a method that does not exist', async () => {
    const { port } = await serve();
    refused(await raw(port, 'FETCH / HTTP/1.1\r\nHost: x\r\n\r\n'), 400);
  });

  test('an endless address, also when the client reads nothing before it has sent all of it', async () => {
    const { port, base } = await serve();
    const text = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1');
      let received = '';
      socket.on('error', reject);
      socket.write(`GET /${'a'.repeat(8_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, () => {
        socket.on('data', (chunk) => (received += chunk.toString()));
        socket.on('close', () => {
          resolve(received);
        });
      });
    });
    refused(text, 431);
    expect((await ask(base, '/go/x')).status).toBe(200);
  });

  test('endless headers', async () => {
    const { port } = await serve();
    refused(await raw(port, `GET / HTTP/1.1\r\nHost: x\r\nA: ${'a'.repeat(70_000)}\r\n\r\n`), 431);
  });

  test('a missing Host', async () => {
    const { port } = await serve();
    const text = await raw(port, 'GET /go/x HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
    expect(text).toMatch(/Host header/);
    expect(text).toMatch(/^X-Larder-Cache: bypass\r$/m);
    expect(await raw(port, 'GET /go/x HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('somebody who wants a tunnel', async () => {
    const { port } = await serve();
    const text = await raw(port, 'CONNECT proxy.test:443 HTTP/1.1\r\nHost: proxy.test:443\r\n\r\n');
    refused(text, 405);
    expect(text).toMatch(/GOPROXY/);
  });

  test('an unknown expectation is ignored, and one of 100-continue met', async () => {
    const { base } = await serve();
    const expecting = (Expect: string) => ask(base, '/go/x', { headers: { Expect } });
    expect((await expecting('the-unexpected')).text).toBe('answer');
    expect((await expecting('100-continue')).text).toBe('answer');
  });

  test('an upgrade is ignored', async () => {
    const { base } = await serve();
    const headers = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c' };
    expect((await ask(base, '/go/x', { headers })).text).toBe('answer');
  });

  test('nonsense in the middle of an answer breaks it, and adds no text to it', async () => {
    const { go, next } = manualPlane();
    const { port } = await serve({ go });
    const text = raw(port, 'GET /go/x HTTP/1.1\r\nHost: x\r\n\r\n', '\x00nonsense\r\n\r\n');
    const res = await next();
    res.writeHead(200, { 'Content-Length': 100 }).write('first');
    expect(await text).not.toMatch(/400|bad request/);
  });
});
