import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { parsePurgeName } from '../../../src/oci/purge-name.ts';
import { OciUpstreams, parseOciUpstreams } from '../../../src/oci/upstreams.ts';

const upstreams = new OciUpstreams(
  parseOciUpstreams('docker.io=https://registry-1.docker.io registry=http://registry'),
);
const parse = (text: string) => parsePurgeName(text, upstreams);
const SHA256 = `sha256:${'ab'.repeat(32)}`;

describe('a name', () => {
  test.each([
    ['docker.io/library/nginx', 'oci:docker.io/library/nginx', ['library/nginx']],
    ['docker.io/nginx:1.27', 'oci:docker.io/library/nginx:1.27', ['library/nginx', 'nginx']],
    ['index.docker.io/nginx', 'oci:docker.io/library/nginx', ['library/nginx', 'nginx']],
    ['Registry-1.docker.io/a/b', 'oci:docker.io/a/b', ['a/b']],
    [`ghcr.io/a/b@${SHA256}`, `oci:ghcr.io/a/b@${SHA256}`, ['a/b']],
    ['localhost/a', 'oci:localhost/a', ['a']],
    ['localhost:5000/a:5000', 'oci:localhost:5000/a:5000', ['a']],
    // a configured one needs no dot
    ['registry/a', 'oci:registry/a', ['a']],
    // and others may have been configured once
    ['gone.example/a/b/c:v1.record', 'oci:gone.example/a/b/c:v1.record', ['a/b/c']],
  ])('%j', (text, name, paths) => {
    const parsed = parse(text);
    expect(parsed.name).toBe(name);
    expect(parsed.repositories.map(({ path }) => path)).toEqual(paths);
  });

  test.each([
    ['', 'host'],
    ['nginx', 'host'],
    ['nginx:1.27', 'host'],
    ['library/nginx', 'host'],
    ['oci:docker.io/library/nginx', 'host of a registry'],
    ['https://docker.io/library/nginx', 'host of a registry'],
    ['/docker.io/a', 'host'],
    ['../a', 'host'],
    ['docker.io', 'host'],
    ['docker.io/', 'repository name'],
    ['docker.io/../a', 'repository name'],
    ['docker.io/a/', 'repository name'],
    ['docker.io//a', 'repository name'],
    ['docker.io/A', 'repository name'],
    ['docker.io/a/_tags', 'repository name'],
    [`docker.io/${'a'.repeat(256)}`, 'repository name'],
    ['docker.io/a b', 'repository name'],
    ['docker.io/a:', 'a tag has'],
    ['docker.io/a:-x', 'a tag has'],
    ['docker.io/a:x/y', 'a tag has'],
    [`docker.io/a:${'x'.repeat(129)}`, 'a tag has'],
    ['docker.io/a:x:y', 'one tag or one digest'],
    ['docker.io/a@', 'a digest is'],
    ['docker.io/a@sha256:ab', 'a digest is'],
    [`docker.io/a@${SHA256.toUpperCase()}`, 'a digest is'],
    [`docker.io/a@${SHA256}@${SHA256}`, 'one tag or one digest'],
    [`docker.io/a:x@${SHA256}`, 'tag and digest'],
  ])('%j is none', (text, sentence) => {
    expect(() => parse(text)).toThrow(sentence);
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'invalid' }) as Error);
  });

  test('is its own one spelling, and whatever is no name is refused as such', () => {
    const piece = fc.constantFrom(
      'a',
      'docker.io',
      'localhost',
      '/',
      ':',
      '@',
      '..',
      '-',
      '_',
      'A',
      SHA256,
      '5000',
      '\n',
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 9 }).map((all) => all.join('')),
      fc.string(),
    );
    fc.assert(
      fc.property(text, (one) => {
        let parsed: ReturnType<typeof parse>;
        try {
          parsed = parse(one);
        } catch (error) {
          expect(error).toBeInstanceOf(LarderError);
          return;
        }
        expect(parse(parsed.name.slice('oci:'.length)).name).toBe(parsed.name);
        for (const { upstream, path } of parsed.repositories) {
          for (const element of [upstream.name, ...path.split('/')])
            expect(element).toMatch(/^[a-z0-9]/);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
