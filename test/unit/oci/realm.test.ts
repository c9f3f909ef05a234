import { describe, expect, test } from 'vitest';
import { mayGetCredentials, parseRealm, refuseInnerRealm } from '../../../src/oci/realm.ts';

const upstream = (url: string, name = 'r') => ({ name, url: new URL(url) });
const none = new Map<string, ReadonlySet<string>>();

describe('who may get credentials', () => {
  test.each([
    ['https://registry-1.docker.io', 'https://auth.docker.io/token', true],
    ['https://registry.example.co.uk', 'https://auth.example.co.uk/', true],
    ['https://registry.example.co.uk', 'https://auth.other.co.uk/', false],
    ['https://registry.example.com', 'https://registry.example.com:5001/', true],
    ['https://registry.example.com', 'https://example.com.evil.net/', false],
    ['https://registry.example.com', 'https://evilexample.com/', false],
    // whoever has a page at a shared suffix
    ['https://one.github.io', 'https://two.github.io/', false],
    ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/', true],
    ['http://127.0.0.1:5000', 'http://127.0.0.2:5000/', false],
    ['http://10.1.2.3', 'http://10.1.2.4/', false],
    ['http://[::1]:5000', 'http://[::1]:5001/', true],
    ['http://[::1]:5000', 'http://[::2]:5000/', false],
    ['http://localhost:5000', 'http://localhost:5001/', true],
    ['http://localhost:5000', 'http://127.0.0.1:5000/', false],
    ['http://registry:5000', 'http://auth:5000/', false],
    ['https://registry.corp', 'https://auth.corp/', false],
  ])('%s sends to %s: %s', (from, realm, may) => {
    expect(mayGetCredentials(upstream(from), new URL(realm), none)).toBe(may);
  });

  test.each([
    ['r', 'auth.other.net', true],
    ['r', 'auth.other.net:8443', true],
    ['r', 'auth.other.net:9', false],
    ['r', 'other.net', false],
    ['another', 'auth.other.net', false],
  ])('listed as %s=%s: %s', (name, host, may) => {
    const realms = new Map([[name, new Set([host])]]);
    const realm = new URL('https://auth.other.net:8443/token');
    expect(mayGetCredentials(upstream('https://r.example.com'), realm, realms)).toBe(may);
  });
});

describe('what is no realm', () => {
  test.each([undefined, '', 'auth.example.com', 'ftp://auth.example.com/', 'file:///etc/passwd'])(
    '%s',
    (realm) => {
      expect(() => parseRealm(upstream('https://r.example.com'), realm)).toThrow(
        /no http or https/,
      );
    },
  );

  test('http, from an upstream on https', () => {
    const from = upstream('https://r.example.com');
    expect(() => parseRealm(from, 'http://r.example.com/token')).toThrow(/https to http/);
  });

  test('a user in it is left out', () => {
    const from = upstream('https://r.example.com');
    const realm = parseRealm(from, 'https://u:p@r.example.com/token?a=b');
    expect(realm.href).toBe('https://r.example.com/token?a=b');
  });
});

describe('inner addresses', () => {
  test.each([
    ['http://203.0.113.1', 'http://169.254.169.254/'],
    ['http://127.0.0.1', 'http://169.254.169.254/'],
    ['http://169.254.1.1', 'http://169.254.169.254/'],
    ['http://[::1]', 'http://[fe80::1]/'],
    ['http://203.0.113.1', 'http://127.0.0.1/'],
    ['http://203.0.113.1', 'http://10.0.0.1/'],
  ])('%s may not send to %s', async (from, realm) => {
    await expect(refuseInnerRealm(upstream(from), new URL(realm))).rejects.toMatchObject({
      code: 'upstream_failed',
      message: expect.stringMatching(
        /sends for a token to a (link-local|private) address/,
      ) as unknown,
    });
  });

  test.each([
    ['http://203.0.113.1', 'http://203.0.113.2/'],
    ['http://127.0.0.1', 'http://10.0.0.1/'],
  ])('%s may send to %s', async (from, realm) => {
    await expect(refuseInnerRealm(upstream(from), new URL(realm))).resolves.toBeUndefined();
  });
});
