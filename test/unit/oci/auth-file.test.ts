import { describe, expect, test } from 'vitest';
import { credentialFor, parseAuthFile } from '../../../src/oci/auth-file.ts';

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
const file = (auths: unknown) => parseAuthFile(JSON.stringify({ auths }));
const upstream = (name: string, url: string) => ({ name, url: new URL(url) });
const ada = { kind: 'password', user: 'ada', password: 'p:w' };

describe('Docker’s config.json', () => {
  test.each([
    ['https://index.docker.io/v1/', 'docker.io'],
    ['index.docker.io', 'docker.io'],
    ['docker.io', 'docker.io'],
    ['registry-1.docker.io', 'docker.io'],
    ['GHCR.io', 'ghcr.io'],
    ['https://registry.example.com:5000/v2/', 'registry.example.com:5000'],
  ])('%s is the entry of %s', (key, name) => {
    const credentials = file({ [key]: auth('ada:p:w') });
    expect(credentialFor(credentials, upstream(name, 'https://elsewhere.example'))).toEqual(ada);
  });

  test('an entry by the name counts before one by the host of the URL', () => {
    const hub = upstream('docker.io', 'http://127.0.0.1:5000');
    const byHost = file({ '127.0.0.1:5000': auth('host:x') });
    expect(credentialFor(byHost, hub)).toMatchObject({ user: 'host' });
    const both = file({ '127.0.0.1:5000': auth('host:x'), 'docker.io': auth('ada:p:w') });
    expect(credentialFor(both, hub)).toEqual(ada);
    expect(credentialFor(both, upstream('ghcr.io', 'https://ghcr.io'))).toBeUndefined();
  });

  test('user and password, and identity tokens', () => {
    expect(file({ a: { username: 'ada', password: 'p:w' } }).get('a')).toEqual(ada);
    expect(file({ a: { ...auth('ada:p'), identitytoken: 'secret' } }).get('a')).toEqual({
      kind: 'identity',
      token: 'secret',
    });
    expect(file({ a: {} }).size).toBe(0);
  });

  test.each([
    ['{', 'no JSON'],
    ['[]', 'no "auths"'],
    ['{"auths":[]}', 'no "auths"'],
    ['{"auths":{"a":"secret"}}', 'entry of a'],
    [JSON.stringify({ auths: { a: auth('secret') } }), 'not user:password'],
  ])('%s is refused, without what is in it', (text, sentence) => {
    expect(() => parseAuthFile(text)).toThrow(sentence);
    expect(() => parseAuthFile(text)).not.toThrow(/secret/);
  });
});
