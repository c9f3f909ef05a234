import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { parsePlatform } from '../../../src/oci/platforms.ts';
import { parseOciPattern, parseOciTarget } from '../../../src/oci/rules.ts';

const matches = (pattern: string, name: string) => parseOciPattern(pattern)(parseOciTarget(name));

test.each([
  ['docker.io/library/*', 'docker.io/library/nginx:1'],
  ['docker.io/library/*', 'docker.io/nginx'],
  ['docker.io/library/nginx', 'index.docker.io/nginx'],
  ['docker.io/nginx', 'docker.io/library/nginx'],
  ['Registry-1.Docker.io/nginx', 'docker.io/library/nginx'],
  ['docker.io/grafana', 'docker.io/grafana/loki'],
  ['docker.io', 'docker.io/library/nginx'],
  ['*', 'ghcr.io/a/b/c:1'],
  ['*:latest', 'ghcr.io/a/b/c:latest'],
  ['ghcr.io/*/b', 'ghcr.io/a/b/c'],
  ['ghcr.io/a/b:1.*', 'ghcr.io/a/b:1.27'],
  ['ghcr.io/a/b:1.*', 'ghcr.io/a/b:1.'],
  ['reg.test:5000', 'reg.test:5000/x:1'],
  ['reg.test:5000/x:1', 'reg.test:5000/x:1'],
  ['localhost:5000/*', 'localhost:5000/x'],
])('%s matches %s', (pattern, name) => {
  expect(matches(pattern, name)).toBe(true);
});

test.each([
  ['docker.io/library/*', 'docker.io/grafana/loki'],
  ['ghcr.io/a/b', 'ghcr.io/a/bc'],
  ['ghcr.io/a/b:1.*', 'ghcr.io/a/b:2.1'],
  ['ghcr.io/a/b:1.*', 'ghcr.io/a/c:1.1'],
  ['ghcr.io/a/b:V1', 'ghcr.io/a/b:v1'],
  ['*/library/nginx', 'quay.io/nginx'],
  ['docker.io/nginx', 'docker.io/nginx/nginx-ingress:1'.replace('nginx/', 'other/')],
])('%s does not match %s', (pattern, name) => {
  expect(matches(pattern, name)).toBe(false);
});

test('a pattern with a tag is about some of a repository', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  expect(matches('ghcr.io/a/b:1.*', 'ghcr.io/a/b')).toBe('partly');
  expect(matches('ghcr.io/a/b:1.*', `ghcr.io/a/b@${digest}`)).toBe('partly');
  expect(matches('ghcr.io/a/c:1.*', 'ghcr.io/a/b')).toBe(false);
});

describe('refused:', () => {
  test.each(['', ':1', 'ghcr.io/[a', 'ghcr.io/a:', 'ghcr.io/a b', 'ghcr.io/a@sha256:0'])(
    'the pattern %j',
    (text) => {
      expect(() => parseOciPattern(text)).toThrow(/is no pattern of images/);
    },
  );
  test.each([
    'nginx',
    'library/nginx',
    'docker.io/',
    'docker.io/A',
    'docker.io/a:',
    'docker.io/a@b',
    'docker.io/a:1@b',
  ])('the name %j', (text) => {
    expect(() => parseOciTarget(text)).toThrow(LarderError);
  });
  test.each(['linux', 'linux/', 'linux/arm/v7/x', 'Linux/amd64'])('the platform %j', (text) => {
    expect(() => parsePlatform(text)).toThrow(/is no platform/);
  });
});
