import net from 'node:net';
import { describe, expect, test } from 'vitest';

import { ask, keepAliveAgent, manualPlane, serve } from '../support/server.ts';

describe('the access log', () => {
  test('has one line a request', async () => {
    const { base, lines, logged } = await serve();
    const agent = keepAliveAgent(base);
    for (let n = 0; n < 5; n++)
      await ask(base, `/go/${String(n)}`, { agent, headers: { 'User-Agent': 'tester' } });
    await logged({ path: '/go/4' });
    const requests = lines.filter(({ msg }) => msg === 'request');
    expect(requests.map(({ path }) => path)).toEqual(
      [0, 1, 2, 3, 4].map((n) => `/go/${String(n)}`),
    );
    for (const line of requests) {
      expect(line).toMatchObject({
        status: 200,
        method: 'GET',
        remote: '127.0.0.1',
        userAgent: 'tester',
      });
      expect(line).not.toHaveProperty('aborted');
    }
  });

  test('tells bodies of the control plane by their length, and none for HEAD', async () => {
    const { base, logged } = await serve();
    await ask(base, '/healthz');
    await logged({ path: '/healthz', bytes: 3, method: 'GET' });
    await ask(base, '/healthz', { method: 'HEAD' });
    await logged({ path: '/healthz', bytes: 0, method: 'HEAD' });
  });

  test('says when the client left in the middle', async () => {
    const { go, next } = manualPlane();
    const { port, logged } = await serve({ go });
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET /go/x HTTP/1.1\r\nHost: x\r\n\r\n');
    (await next()).writeHead(200, { 'Content-Length': 1000 }).write('begin');
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await logged({ status: 200, aborted: true, outcome: 'miss' });
  });

  test('says when the client left with the end still on its way', async () => {
    const { go, next } = manualPlane();
    const { port, logged } = await serve({ go });
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET /go/x HTTP/1.1\r\nHost: x\r\n\r\n');
    (await next()).end(Buffer.alloc(64 * 1024 * 1024));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await logged({ status: 200, aborted: true });
  });

  test('has 499 for one who left before there was anything', async () => {
    const { go, next } = manualPlane();
    const { port, logged, metrics } = await serve({ go });
    const socket = net.connect(port, '127.0.0.1');
    socket.write('GET /go/x HTTP/1.1\r\nHost: x\r\n\r\n');
    await next();
    socket.destroy();
    await logged({ status: 499, aborted: true });
    expect(await metrics.text()).toMatch(
      /larder_requests_total\{protocol="go".*status="499".*\} 1/,
    );
  });

  test('does not forget pipelined requests whose connection ends before their turn', async () => {
    const { go, next, arrived } = manualPlane();
    const { port, server, logged } = await serve({ go });
    const socket = net.connect(port, '127.0.0.1');
    socket.write(['a', 'b', 'c'].map((x) => `GET /go/${x} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
    await next(3);
    const closed = arrived.map(
      ({ res }) =>
        new Promise((resolve) =>
          res.once('close', () => {
            resolve(res.destroyed);
          }),
        ),
    );
    socket.destroy();
    expect(await Promise.all(closed)).toEqual([true, true, true]);
    for (const path of ['/go/a', '/go/b', '/go/c']) await logged({ path, aborted: true });
    await server.stop();
  });
});
