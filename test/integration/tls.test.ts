import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { StartError } from '../../src/app/start-error.ts';
import { ask, keepAliveAgent, raw, serve } from '../support/server.ts';
import { tempDir } from '../support/tmp.ts';

describe('TLS', () => {
  const folder = tempDir();
  const make = (name: string) => {
    const files = { certFile: join(folder, `${name}.crt`), keyFile: join(folder, `${name}.key`) };
    // prettier-ignore
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
      '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', files.keyFile, '-out', files.certFile], { stdio: 'ignore' });
    return files;
  };
  const one = make('one');
  const other = make('other');

  test('serves with the certificate given', async () => {
    const { base } = await serve({ tls: one });
    expect(base).toMatch(/^https:/);
    expect((await ask(base, '/go/x')).text).toBe('answer');
    expect((await ask(base, '/')).text).toContain(`GOPROXY=${base}\n`);
  });

  test('drains as without', async () => {
    const { base, server } = await serve({ tls: one });
    const agent = keepAliveAgent(base);
    await ask(base, '/go/x', { agent });
    await server.stop();
    await expect(ask(base, '/go/x')).rejects.toThrow();
  });

  test('a client that speaks no TLS does no harm', async () => {
    const { base, port } = await serve({ tls: one });
    await raw(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    expect((await ask(base, '/go/x')).status).toBe(200);
  });

  test.each([
    [
      'a missing file',
      { ...one, certFile: '/nowhere/x.crt' },
      /LARDER_TLS_CERT_FILE="\/nowhere.*no such file/,
    ],
    ['a folder', { ...one, keyFile: folder }, /LARDER_TLS_KEY_FILE=.*folder/],
    ['the key of another', { ...one, keyFile: other.keyFile }, /its own private key/],
    ['files swapped', { certFile: one.keyFile, keyFile: one.certFile }, /both as PEM/],
  ])('%s stops the start with a sentence', async (_, tls, sentence) => {
    const start = serve({ tls });
    await expect(start).rejects.toBeInstanceOf(StartError);
    await expect(start).rejects.toThrow(sentence);
  });
});
