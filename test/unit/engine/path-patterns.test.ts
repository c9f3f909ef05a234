import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePrefixPatterns, matchPrefixPatterns } from '../../../src/engine/path-patterns.ts';
import { modulePaths } from '../../support/go-names.ts';

describe('GOPRIVATE patterns', () => {
  it.each([
    ['example.com', 'example.com/m'],
    ['example.com/', 'example.com/m'],
    ['example.com/m', 'example.com/m'],
    ['*.example.com', 'git.example.com/a/b'],
    ['*', 'example.com/a'],
    ['*/a', 'example.com/a/b'],
    ['example.com/*', 'example.com/a/b/c'],
    ['example.com/*/c', 'example.com/b/c/d'],
    [',,x.y,,example.com,', 'example.com'],
    ['[bad,example.com', 'example.com/m'],
    ['ex?mple.com', 'example.com'],
    ['ex[a-c]mple.com', 'example.com'],
    ['ex[^b]mple.com', 'example.com'],
    ['ex[xya]mple.com', 'example.com'],
    ['[]x],ex[\\]a]mple.com', 'example.com'],
    ['\\e\\xample.com', 'example.com'],
    ['a*b*c', 'axbxbyc'],
    ['a*', 'a'],
    ['**', 'abc/d'],
    ['*a*a*', 'banana/x'],
    ['x[*]y', 'x*y/z'],
    ['é?', 'éé/x'],
  ])('%j matches %j', (globs, target) => {
    expect(matchPrefixPatterns(globs, target)).toBe(true);
  });

  it.each([
    ['', 'example.com'],
    [',', 'example.com'],
    ['/', 'example.com'],
    ['example.com//', 'example.com/m'],
    [' example.com', 'example.com'],
    ['example.co', 'example.com'],
    ['example.com', 'xexample.com'],
    ['example.com/m', 'example.com'],
    ['example.com/m', 'example.com/mm'],
    ['example.com/*', 'example.com'],
    ['*.example.com', 'example.com'],
    ['*.example.com', 'a/b.example.com'],
    ['a?b', 'a/b'],
    ['[', '['],
    ['[]', ']'],
    ['[^]', 'a'],
    ['[a', 'a'],
    ['[a-', 'a'],
    ['[a-]', 'a'],
    ['[-a]', 'a'],
    ['[a\\', 'a'],
    ['a\\', 'a'],
    ['a*[', 'abc'],
    ['[^a]', 'a'],
    ['[b-a]', 'a'],
    ['a*b', 'abc'],
    ['*x', ''],
  ])('%j does not match %j', (globs, target) => {
    expect(matchPrefixPatterns(globs, target)).toBe(false);
  });

  it('can be read once for many targets', () => {
    const isPrivate = compilePrefixPatterns('*.corp.example,github.com/acme/*');
    const targets = [
      'git.corp.example/x',
      'github.com/acme/y/z',
      'github.com/acme',
      'corp.example/x',
    ];
    expect(targets.map(isPrivate)).toEqual([true, true, false, false]);
  });

  it('matches every path by its own elements, and takes no long time over many stars', () => {
    fc.assert(
      fc.property(modulePaths, (path) => {
        expect(matchPrefixPatterns(path.split('/').slice(0, 2).join('/'), path)).toBe(true);
      }),
    );
    expect(matchPrefixPatterns(`${'*a'.repeat(60)}b`, 'a'.repeat(5000))).toBe(false);
  });
});
