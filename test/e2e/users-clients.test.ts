// Go and clients of images log in, over HTTPS (issue 6).

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { go, goModDownload } from '../support/go.ts';
import { containersEnvironment, output, pulledDir } from '../support/image-clients.ts';
import { startLarderProcess } from '../support/larder.ts';
import { pushMultiArch, thisArchitecture } from '../support/real-images.ts';
import { debianRegistry, startRealRegistry } from '../support/real-registry.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';
import { writeUsers } from '../support/users.ts';

const dir = tempDir();
const { certFile, keyFile } = makeCertificate(dir, 'tls');
const users = join(dir, 'users');
writeUsers(users, { alice: 'sesame' });
const upstream = await startUpstream();
const sumdb = await startSumdb({ sums: upstream.sumsTemplate });
atEnd(() => sumdb.close());
const registry = await startRealRegistry(debianRegistry, tempDir());
atEnd(() => registry.stop());
const image = await pushMultiArch(registry.base, 'library/alpine', '3.20');
const larder = await startLarderProcess({
  env: {
    LARDER_AUTH_HTPASSWD: users,
    LARDER_TLS_CERT_FILE: certFile,
    LARDER_TLS_KEY_FILE: keyFile,
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_SUMDB: sumdb.setting,
    LARDER_OCI_UPSTREAMS: `docker.io=${registry.base}`,
  },
});
const { host, hostname } = new URL(larder.base);

describe('go', () => {
  const name = 'example.com/members';
  upstream.add(name, 'v1.0.0');
  const withNetrc = (password: string) => {
    const gopath = tempDir();
    // go 1.24 and newer look for the port too, older ones for none
    const lines = [host, hostname].map(
      (machine) => `machine ${machine} login alice password ${password}\n`,
    );
    writeFileSync(join(gopath, '.netrc'), lines.join(''), { mode: 0o600 });
    return gopath;
  };

  test('downloads with .netrc, the checksum database included', async () => {
    const options = {
      proxy: larder.base,
      sumdb: sumdb.vkey,
      certFile,
      gopath: withNetrc('sesame'),
    };
    expect(await goModDownload([`${name}@v1.0.0`], options)).toMatchObject([
      { Path: name, Version: 'v1.0.0' },
    ]);
  });

  test('downloads with user and password in GOPROXY', async () => {
    const proxy = larder.base.replace('//', '//alice:sesame@');
    const [download] = await goModDownload([`${name}@v1.0.0`], { proxy, certFile });
    expect(download).toMatchObject({ Path: name, Version: 'v1.0.0' });
    expect(download).not.toHaveProperty('Error');
  });

  test.each([
    ['none', tempDir, /unauthorized: Larder wants a user and a password/],
    ['wrong ones', () => withNetrc('guess'), /unauthorized: user or password is wrong/],
  ])('with %s shows what to do, and goes to no other proxy', async (_, gopath, sentence) => {
    upstream.clearLog();
    const proxy = `${larder.base},${upstream.url}`;
    const { code, stderr } = await go(['mod', 'download', `${name}@v1.0.0`], {
      proxy,
      certFile,
      gopath: gopath(),
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(sentence);
    expect(stderr).toContain('.netrc');
    expect(upstream.log).toEqual([]);
  });
});

describe('clients of images', () => {
  const reference = `docker://${host}/library/alpine:3.20`;
  const expected = {
    config: image[thisArchitecture].config.digest,
    payloadSha256: image[thisArchitecture].payloadSha256,
  };
  const environment = () => {
    const env = containersEnvironment(host);
    const trusted = join(env['HOME'] ?? '', 'certs');
    mkdirSync(trusted);
    writeFileSync(join(trusted, 'ca.crt'), readFileSync(certFile));
    return { env, trusted, to: join(env['HOME'] ?? '', 'image') };
  };

  test('skopeo logs in, and pulls then', async () => {
    const { env, trusted, to } = environment();
    const copy = ['skopeo', 'copy', '--src-cert-dir', trusted, reference, `dir:${to}`];
    await expect(output(copy, env)).rejects.toThrow(/unauthorized|authentication required/i);
    const login = ['skopeo', 'login', '--cert-dir', trusted, '-u', 'alice', '-p'];
    await expect(output([...login, 'guess', host], env)).rejects.toThrow(
      /invalid username\/password/,
    );
    await output([...login, 'sesame', host], env);
    await output(copy, env);
    expect(pulledDir(to)).toEqual(expected);
  });

  test('skopeo pulls with --src-creds', async () => {
    const { env, trusted, to } = environment();
    const copy = ['skopeo', 'copy', '--src-cert-dir', trusted, '--src-creds', 'alice:sesame'];
    await output([...copy, reference, `dir:${to}`], env);
    expect(pulledDir(to)).toEqual(expected);
  });

  test('podman logs in, and pulls then, also through its mirror', async () => {
    const { env, trusted } = environment();
    await output(
      ['podman', 'login', '--cert-dir', trusted, '-u', 'alice', '-p', 'sesame', host],
      env,
    );
    const id = await output(
      ['podman', 'pull', '-q', '--cert-dir', trusted, `${host}/library/alpine:3.20`],
      env,
    );
    expect(`sha256:${id}`).toBe(expected.config);
    // the mirror of README.md is insecure, so that it needs no certificate
    const mirrored = await output(['podman', 'pull', '-q', 'docker.io/library/alpine:3.20'], env);
    expect(`sha256:${mirrored}`).toBe(expected.config);
  });
});
