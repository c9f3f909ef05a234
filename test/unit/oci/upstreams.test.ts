import { describe, expect, test } from 'vitest';
import type { LarderError } from '../../../src/engine/errors.ts';
import { OciUpstreams, parseOciUpstreams, parseRealms } from '../../../src/oci/upstreams.ts';

const LIST =
  'docker.io=https://registry-1.docker.io,ghcr.io=https://ghcr.io localhost:5000=http://127.0.0.1:5000';

describe('the setting', () => {
  test('has names and URLs', () => {
    expect(parseOciUpstreams(LIST).map(({ name, url }) => [name, url.href])).toEqual([
      ['docker.io', 'https://registry-1.docker.io/'],
      ['ghcr.io', 'https://ghcr.io/'],
      ['localhost:5000', 'http://127.0.0.1:5000/'],
    ]);
  });

  test.each([
    ['', 'names no registry'],
    [' , ', 'names no registry'],
    ['docker.io', 'name=url'],
    ['=https://a.example', 'name=url'],
    ['a/b=https://a.example', 'name=url'],
    ['a.example=ftp://a.example', 'http or https'],
    ['a.example=', 'http or https'],
    ['a.example=https://a.example/?x=1', 'query'],
    ['a.example=https://u:p@a.example', 'password'],
    ['a.example=https://a.example A.example=https://b.example', 'twice'],
    ['docker.io=https://a.example index.docker.io=https://b.example', 'twice'],
  ])('%j is refused', (text, sentence) => {
    expect(() => parseOciUpstreams(text)).toThrow(sentence);
    expect(() => parseOciUpstreams(text)).not.toThrow(/u:p/);
  });
});

describe('which registry a request means', () => {
  const upstreams = new OciUpstreams(parseOciUpstreams(LIST));
  const choose = (name: string, ...namespaces: string[]) => {
    const found = upstreams.choose({ name, namespaces });
    return found.map(({ upstream, path }) => `${upstream.name} ${path}`).join(', ');
  };

  test.each([
    [['alpine'], 'docker.io library/alpine, docker.io alpine'],
    [['library/alpine'], 'docker.io library/alpine'],
    [['grafana/loki'], 'docker.io grafana/loki'],
    [['docker.io/alpine'], 'docker.io library/alpine, docker.io alpine'],
    [['index.docker.io/alpine'], 'docker.io library/alpine, docker.io alpine'],
    [['ghcr.io/a/b'], 'ghcr.io a/b'],
    [['localhost:5000/a'], 'localhost:5000 a'],
    [['alpine', 'docker.io'], 'docker.io library/alpine, docker.io alpine'],
    [['alpine', 'registry-1.docker.io'], 'docker.io library/alpine, docker.io alpine'],
    [['a/b', 'ghcr.io'], 'ghcr.io a/b'],
    [['a', 'GHCR.io'], 'ghcr.io a'],
    [['ghcr.io/a/b', 'ghcr.io'], 'ghcr.io a/b'],
    [['docker.io/alpine', 'index.docker.io'], 'docker.io library/alpine, docker.io alpine'],
    // with ns the path is the upstream's own
    [['docker.io/a', 'ghcr.io'], 'ghcr.io docker.io/a'],
  ])('%j', ([name = '', ...namespaces], wanted) => {
    expect(choose(name, ...namespaces)).toBe(wanted);
  });

  test.each([
    ['quay.io/a/b'],
    ['localhost/a'],
    ['registry:5000/a'],
    ['quay.io'],
    ['ghcr.io'],
    ['a', 'quay.io'],
    ['a', ''],
    ['ghcr.io', 'ghcr.io'],
  ])('%j is asked of nobody', (name, ...namespaces) => {
    expect(() => choose(name, ...namespaces)).toThrow(
      expect.objectContaining({ code: 'not_found', outcome: 'bypass' }) as LarderError,
    );
  });

  test('two namespaces are a mistake', () => {
    expect(() => choose('a', 'ghcr.io', 'ghcr.io')).toThrow(/more than once/);
  });
});

describe('realms', () => {
  test('are hosts by name', () => {
    const realms = parseRealms(
      'ghcr.io=auth.example index.docker.io=a.example:8443,ghcr.io=b.example',
    );
    expect([...(realms.get('ghcr.io') ?? [])]).toEqual(['auth.example', 'b.example']);
    expect([...(realms.get('docker.io') ?? [])]).toEqual(['a.example:8443']);
    expect(parseRealms('').size).toBe(0);
  });

  test.each(['ghcr.io', 'ghcr.io=', '=a.example', 'ghcr.io=https://a.example', 'a=b=c'])(
    '%s is refused',
    (text) => {
      expect(() => parseRealms(text)).toThrow(/name=host/);
    },
  );
});
