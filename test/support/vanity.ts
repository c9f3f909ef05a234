// A host of import paths, as go finds repositories by: HTTPS with an authority of its own, reached through a proxy that leads every
// name to it, as no name of a test can be looked up.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { atEnd, tempDir } from './tmp.ts';

export interface Vanity {
  /** What go needs in its environment to reach it. */
  readonly env: { readonly HTTPS_PROXY: string; readonly SSL_CERT_FILE: string };
  /** Names that were asked for through the proxy. */
  readonly asked: readonly string[];
}

/**
 * `imports`: the content of go-import's meta tag for each path of that host. `repositories`: URL of a server that answers for all
 * other paths. Ends with the test or file.
 */
export async function startVanity(
  host: string,
  imports: Readonly<Record<string, string>>,
  repositories?: string,
): Promise<Vanity> {
  const dir = tempDir();
  const [cert, key] = [join(dir, 'crt'), join(dir, 'key')];
  // prettier-ignore
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
    '-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const files = { cert: readFileSync(cert), key: readFileSync(key) };
  const pages = https.createServer(files, (req, res) => {
    const content = imports[new URL(req.url ?? '/', 'https://localhost').pathname];
    if (content === undefined && repositories !== undefined) {
      const { method, headers } = req;
      const there = http.request(`${repositories}${req.url ?? ''}`, { method, headers });
      there.on('response', (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
      });
      there.on('error', () => res.destroy());
      req.pipe(there);
      return;
    }
    const page = content === undefined ? '' : `<meta name="go-import" content="${content}">`;
    res.writeHead(content === undefined ? 404 : 200, { 'content-type': 'text/html' });
    res.end(`<html><head>${page}</head></html>`);
  });
  const asked: string[] = [];
  const proxy = http.createServer((_req, res) => res.writeHead(405).end());
  proxy.on('connect', (req, socket) => {
    asked.push(req.url ?? '');
    const { port } = pages.address() as AddressInfo;
    const there = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      there.pipe(socket).pipe(there);
    });
    for (const one of [there, socket]) one.on('error', () => undefined);
  });
  for (const server of [pages, proxy]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(() => {
      server.close();
      server.closeAllConnections();
    });
  }
  const { port } = proxy.address() as AddressInfo;
  return {
    env: { HTTPS_PROXY: `http://127.0.0.1:${String(port)}`, SSL_CERT_FILE: cert },
    asked,
  };
}
