import http from 'node:http';
import type { Server } from 'node:http';
import net from 'node:net';
import { describe, expect, test } from 'vitest';

import { StartError } from '../../src/app/start-error.ts';
import { ask, keepAliveAgent, manualPlane, raw, serve } from '../support/server.ts';

describe('stopping', () => {
  test('lets bodies finish, while others see that it is not ready', async () => {
    const { go, next } = manualPlane();
    const { base, server } = await serve({ go });
    const agent = keepAliveAgent(base);
    const body = ask(base, '/go/x', { agent });
    const res = await next();
    res.writeHead(200, { 'Content-Length': 10 }).write('12345');

    let stopped = false;
    const stop = server.stop().then(() => {
      stopped = true;
    });
    const ready = await ask(base, '/readyz', { headers: { Connection: 'keep-alive' } });
    expect(ready).toMatchObject({ status: 503, headers: { connection: 'close' } });
    expect(ready.text).toContain('stopping');
    const alive = await ask(base, '/healthz', { headers: { Connection: 'keep-alive' } });
    expect(alive).toMatchObject({ status: 200, headers: { connection: 'close' } });
    expect(stopped).toBe(false);

    res.end('67890');
    expect(await body).toMatchObject({ text: '1234567890', complete: true });
    await stop;
    await expect(ask(base, '/healthz')).rejects.toThrow(/ECONNREFUSED/);
  });

  test('closes idle connections and does not wait for them', async () => {
    const { base, server, port } = await serve({ drainTimeoutMs: 3_600_000 });
    const agent = keepAliveAgent(base);
    await ask(base, '/go/x', { agent });
    const silent = raw(port);
    await expect.poll(() => connections(server.http)).toBe(2);
    await server.stop();
    expect(await silent).toBe('');
    expect(await connections(server.http)).toBe(0);
  });

  test('an answer that is written goes out to the end, however slowly its client reads', async () => {
    const size = 64 * 1024 * 1024; // more than any socket holds
    const { go, next } = manualPlane();
    const { base, server } = await serve({ go });
    const reply = await slowly(base, '/go/x', async () => {
      (await next()).end(Buffer.alloc(size));
    });
    const stop = server.stop();
    // what came by then is all in the hands of the system, and the rest is still to be written
    expect((await ask(base, '/readyz')).status).toBe(503);
    expect(await received(reply)).toBe(size);
    await stop;
  });

  test('is done when clients have what the system still had to send', async () => {
    // more than a client holds that reads nothing, and less than that and what the server's system takes besides
    const size = 512 * 1024;
    const { go, next } = manualPlane();
    const { base, server, logged } = await serve({ go });
    const reply = await slowly(base, '/go/x', async () => {
      (await next()).end(Buffer.alloc(size));
    });
    await logged({ path: '/go/x', status: 200 });
    const order: string[] = [];
    const stop = server.stop().then(() => order.push('stopped'));
    await expect.poll(() => ask(base, '/healthz').catch(String)).toMatch(/ECONNREFUSED/);
    order.push('read');
    expect(await received(reply)).toBe(size);
    await stop;
    expect(order).toEqual(['read', 'stopped']);
  });

  test('who has connected and not asked yet is still answered', async () => {
    const { go, next } = manualPlane();
    const { base, server, port } = await serve({ go });
    const socket = net.connect(port, '127.0.0.1');
    await expect.poll(() => connections(server.http)).toBe(1);
    let stopped = false;
    const stop = server.stop().then(() => {
      stopped = true;
    });
    expect((await ask(base, '/readyz')).status).toBe(503);
    socket.write('GET /go/x HTTP/1.1\r\nHost: x\r\n\r\n');
    const res = await next();
    res.writeHead(200, { 'Content-Length': 10 }).write('12345');
    expect(stopped).toBe(false);
    res.end('67890');
    const text = Buffer.concat(await socket.toArray()).toString();
    expect(text).toMatch(/\r\nConnection: close\r\n[^]*1234567890$/i);
    await stop;
  });

  test('cuts off what does not end in time', async () => {
    const { go, next } = manualPlane();
    const { base, server, logged } = await serve({ go, drainTimeoutMs: 1 });
    const body = ask(base, '/go/x');
    (await next()).writeHead(200, { 'Content-Length': 10 }).write('12345');
    await server.stop();
    expect((await body.catch(() => undefined))?.complete ?? false).toBe(false);
    await logged({ level: 'warn' });
    await logged({ path: '/go/x', aborted: true });
  });

  test('a server that never listened has nothing to stop', async () => {
    const { server } = await serve();
    await server.stop();
    await server.stop();
  });
});

describe('an address that cannot be had is told in a sentence', () => {
  test('a port that is taken', async () => {
    const { port } = await serve();
    const second = serve({ port });
    await expect(second).rejects.toBeInstanceOf(StartError);
    await expect(second).rejects.toThrow(/another program.*LARDER_PORT/);
  });

  test('an address of another machine', async () => {
    await expect(serve({ host: '192.0.2.1' })).rejects.toThrow(/LARDER_HOST/);
  });
});

/** The answer to a request, of which nothing is read yet. `respond` is awaited first. */
async function slowly(base: string, path: string, respond: () => Promise<void>) {
  const reply = new Promise<http.IncomingMessage>((resolve, reject) => {
    http
      .get(new URL(path, base), { agent: false }, (res) => {
        resolve(res.pause());
      })
      .on('error', reject);
  });
  await respond();
  return reply;
}

/** Bytes of a body. Throws where it breaks. */
async function received(reply: http.IncomingMessage): Promise<number> {
  let size = 0;
  for await (const chunk of reply) size += (chunk as Buffer).length;
  return size;
}

const connections = (server: Server) =>
  new Promise<number>((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
