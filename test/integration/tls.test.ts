import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { describe, expect, test } from 'vitest';

import { StartError } from '../../src/app/start-error.ts';
import { makeCertificate, type CertificateFiles } from '../support/certificate.ts';
import { ask, keepAliveAgent, raw, serve } from '../support/server.ts';
import { atEnd, eventually, tempDir } from '../support/tmp.ts';

describe('TLS', () => {
  const folder = tempDir();
  const one = makeCertificate(folder, 'one');
  const other = makeCertificate(folder, 'other');

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

  describe('files that are replaced', () => {
    /** The certificate that a new connection gets, as it stands in its file. */
    const served = (port: number) =>
      new Promise<string>((resolve, reject) => {
        const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate().raw.toString('base64'));
          socket.end();
        });
        socket.on('error', reject);
      });
    const inFile = (file: string) => readFileSync(file, 'utf8').replace(/-----[^-]+-----|\s/g, '');
    const copy = (from: CertificateFiles, part: keyof CertificateFiles, to: CertificateFiles) => {
      writeFileSync(to[part], readFileSync(from[part]));
    };
    const copied = () => {
      const dir = tempDir();
      const files = { certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key') };
      copy(one, 'certFile', files);
      copy(one, 'keyFile', files);
      return files;
    };
    const start = async (files: CertificateFiles) => {
      const started = await serve({ tls: files });
      atEnd(() => started.server.stop());
      return started;
    };
    const become = (port: number, { certFile }: CertificateFiles) =>
      eventually(`${certFile} is served`, async () => (await served(port)) === inFile(certFile));

    test('one after the other are taken over when they fit, and connections go on', async () => {
      const files = copied();
      const { base, port, logged } = await start(files);
      const agent = keepAliveAgent(base);
      await ask(base, '/go/x', { agent });
      copy(other, 'certFile', files);
      await logged({
        level: 'warn',
        reason: expect.stringMatching(/its own private key/) as string,
      });
      expect(await served(port)).toBe(inFile(one.certFile));
      copy(other, 'keyFile', files);
      await become(port, other);
      expect((await ask(base, '/go/x', { agent })).text).toBe('answer');
      await logged({ level: 'info', msg: expect.stringMatching(/was read again/) as string });
    });

    test('by a link, as Kubernetes swaps secrets, are taken over', async () => {
      const dir = tempDir();
      for (const [name, source] of Object.entries({ one, other })) {
        mkdirSync(join(dir, name));
        const into = { certFile: join(dir, name, 'tls.crt'), keyFile: join(dir, name, 'tls.key') };
        copy(source, 'certFile', into);
        copy(source, 'keyFile', into);
      }
      symlinkSync('one', join(dir, '..data'));
      const files = { certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key') };
      symlinkSync('..data/tls.crt', files.certFile);
      symlinkSync('..data/tls.key', files.keyFile);
      const { port } = await start(files);
      expect(await served(port)).toBe(inFile(one.certFile));
      symlinkSync('other', join(dir, 'next'));
      renameSync(join(dir, 'next'), join(dir, '..data'));
      await become(port, other);
    });

    test('that are gone, or nonsense, leave what was there, until there are good ones', async () => {
      const files = copied();
      const { port, logged } = await start(files);
      rmSync(files.keyFile);
      await logged({ level: 'warn', reason: expect.stringMatching(/no such file/) as string });
      writeFileSync(files.certFile, 'nonsense');
      copy(other, 'keyFile', files);
      await logged({ level: 'warn', reason: expect.stringMatching(/both as PEM/) as string });
      expect(await served(port)).toBe(inFile(one.certFile));
      copy(other, 'certFile', files);
      await become(port, other);
    });
  });
});
