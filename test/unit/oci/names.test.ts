import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { InvalidNameError, parseOciPath } from '../../../src/oci/names.ts';

const HEX = 'a'.repeat(64);
const digest = { algorithm: 'sha256', hex: HEX };

function refusal(path: string): unknown {
  try {
    return parseOciPath(path);
  } catch (error) {
    return error instanceof InvalidNameError ? error.ociCode : error;
  }
}

describe('paths', () => {
  test.each([
    ['alpine/manifests/3.20', 'alpine', { kind: 'manifest', tag: '3.20' }],
    ['a/b/c/manifests/latest', 'a/b/c', { kind: 'manifest', tag: 'latest' }],
    [`a/manifests/sha256:${HEX}`, 'a', { kind: 'manifest', digest }],
    [`a/manifests/sha256%3A${HEX}`, 'a', { kind: 'manifest', digest }],
    [`a/blobs/sha256:${HEX}`, 'a', { kind: 'blob', digest }],
    [`a/referrers/sha256:${HEX}`, 'a', { kind: 'referrers', digest }],
    ['a/tags/list', 'a', { kind: 'tags' }],
    // the last of these words counts
    ['manifests/manifests/manifests', 'manifests', { kind: 'manifest', tag: 'manifests' }],
    ['a/blobs/tags/list', 'a/blobs', { kind: 'tags' }],
    ['a/tags/list/manifests/list', 'a/tags/list', { kind: 'manifest', tag: 'list' }],
    [`a/manifests/b/blobs/sha256:${HEX}`, 'a/manifests/b', { kind: 'blob', digest }],
    ['localhost:5000/a/manifests/x', 'localhost:5000/a', { kind: 'manifest', tag: 'x' }],
    [
      'registry.example.com/a_b/c__d/e-f--g/h.i/tags/list',
      'registry.example.com/a_b/c__d/e-f--g/h.i',
      { kind: 'tags' },
    ],
  ])('%s', (path, name, resource) => {
    expect(parseOciPath(`/v2/${path}`)).toEqual({ name, resource });
  });

  test.each([
    '',
    'a',
    'a/',
    'a/tags',
    'a/tags/',
    'a/tags/lists',
    'tags/list',
    'manifests/latest',
    'a/manifests/',
    'a/blobs/',
    '_catalog',
    'a/uploads/x',
  ])('%j is no path of the API', (path) => {
    expect(parseOciPath(`/v2/${path}`)).toBeUndefined();
  });

  test.each([
    ['A/manifests/x', 'NAME_INVALID'],
    ['a//b/manifests/x', 'NAME_INVALID'],
    ['/a/manifests/x', 'NAME_INVALID'],
    ['../a/manifests/x', 'NAME_INVALID'],
    ['a/../b/manifests/x', 'NAME_INVALID'],
    ['a-/manifests/x', 'NAME_INVALID'],
    ['a___b/manifests/x', 'NAME_INVALID'],
    ['a..b/tags/list', 'NAME_INVALID'],
    ['a/b:5000/manifests/x', 'NAME_INVALID'],
    [`${'a'.repeat(256)}/manifests/x`, 'NAME_INVALID'],
    ['a/manifests/-x', 'TAG_INVALID'],
    ['a/manifests/.x', 'TAG_INVALID'],
    [`a/manifests/${'x'.repeat(129)}`, 'TAG_INVALID'],
    ['a/manifests/x%20y', 'TAG_INVALID'],
    ['a/manifests/sha256:abc', 'DIGEST_INVALID'],
    [`a/manifests/md5:${'a'.repeat(32)}`, 'DIGEST_INVALID'],
    [`a/blobs/sha512:${HEX}`, 'DIGEST_INVALID'],
    ['a/blobs/latest', 'DIGEST_INVALID'],
    ['a/referrers/latest', 'DIGEST_INVALID'],
  ])('%j is refused with %s', (path, code) => {
    expect(refusal(`/v2/${path}`)).toBe(code);
  });

  test('broken percent-encoding is refused', () => {
    expect(refusal('/v2/a/manifests/%zz')).toMatchObject({ code: 'invalid' });
  });

  test('whatever comes: a name that is sound, nothing, or a refusal', () => {
    const word = fc.constantFrom(
      'a',
      'b-c',
      'manifests',
      'blobs',
      'tags',
      'list',
      '..',
      '',
      'A',
      '%2e%2e',
      'x:1',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (words) => {
        try {
          const found = parseOciPath(`/v2/${words.join('/')}`);
          if (found === undefined) return;
          expect(found.name.split('/')).not.toContain('..');
          expect(found.name).not.toMatch(/^\/|\/\/|\/$|^$/);
        } catch (error) {
          expect(error).toBeInstanceOf(LarderError);
        }
      }),
    );
  });
});
