import { expect, test } from 'vitest';
import { loadConfig } from '../../../src/app/config.ts';
import { grammarChecks } from '../../../src/app/grammar-checks.ts';
import { compileModulePattern } from '../../../src/go/module-patterns.ts';

test.each([
  ['example.com/acme', 'example.com/acme', true],
  ['example.com/acme', 'example.com/acme/x', true],
  ['example.com/acme/secret', 'example.com/acme/secret.git', true],
  ['example.com/acme/secret', 'example.com/acme/secret.git/v2', true],
  ['example.com/acme/secret', 'example.com/acme/secret.hg/sub', true],
  ['example.com/acme/secret', 'example.com/acme/secret.github', false],
  ['example.com/acme/secret', 'example.com/acme/secretgit', false],
  ['example.com/acme/secret/sub', 'example.com/acme/secret.git/sub', true],
  ['example.com/acme/secret.git', 'example.com/acme/secret.git', true],
  ['example.com/acme/secret.git', 'example.com/acme/secret', false],
  ['*/secret', 'example.com/secret.svn', true],
  ['git.example.com', 'git.example.com/x.git', true],
])('%s matches %s: %s', (pattern, module, expected) => {
  expect(compileModulePattern(pattern)(module)).toBe(expected);
});

test.each(['', '[', 'example.com/[a', 'a b', 'example.com/m@v1', 'https://example.com/m', '/m'])(
  '%j is none, and in LARDER_GO_PRIVATE keeps Larder from starting, rather than nothing back',
  (pattern) => {
    expect(() => compileModulePattern(pattern)).toThrow(/is no pattern of module paths/);
    if (pattern === '') return;
    const env = { LARDER_GO_UPSTREAM: 'off', LARDER_GO_PRIVATE: `example.com/good,${pattern}` };
    expect(() => loadConfig(env, grammarChecks)).toThrow(/^LARDER_GO_PRIVATE=.* is no pattern of/);
  },
);
