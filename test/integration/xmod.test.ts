// Larder's names beside the real golang.org/x/mod: the same thousands of questions to both.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { matchPrefixPatterns } from '../../src/engine/path-patterns.ts';
import {
  checkFileName,
  checkModulePath,
  checkPathMajor,
  escapePath,
  pathMajor,
  unescapePath,
} from '../../src/go/module-path.ts';
import * as semver from '../../src/go/semver.ts';
import {
  escapeVersion,
  isCanonicalFor,
  isPseudoVersion,
  pseudoVersionTime,
  unescapeVersion,
} from '../../src/go/version.ts';
import { modulePaths, semanticVersions } from '../support/go-names.ts';
import { buildGoTool } from '../support/go-tool.ts';

/** The same questions as in `test/support/xmod/main.go`, with null where x/mod reports an error. */
const answers: Record<string, (...args: [string, string, ...string[]]) => unknown> = {
  isModulePath: (path) => checkModulePath(path) === undefined,
  isFileName: (name) => checkFileName(name) === undefined,
  pathMajor: (path) => pathMajor(path) ?? null,
  escapePath: (path) => escapePath(path) ?? null,
  unescapePath: (escaped) => unescapePath(escaped) ?? null,
  escapeVersion: (version) => escapeVersion(version) ?? null,
  unescapeVersion: (escaped) => unescapeVersion(escaped) ?? null,
  isPseudoVersion: (version) => isPseudoVersion(version),
  pseudoVersionTime: (version) => pseudoVersionTime(version)?.toISOString() ?? null,
  fitsMajor: (version, major) => checkPathMajor(version, major) === undefined,
  isCanonicalFor: (path, version) => isCanonicalFor(path, version),
  matchPrefixPatterns: (globs, target) => matchPrefixPatterns(globs, target),
  semver: (v) => [
    semver.isValid(v),
    semver.canonical(v),
    semver.major(v),
    semver.prerelease(v),
    semver.build(v),
  ],
  compare: (a, b) => Math.sign(semver.compare(a, b)),
  sort: (...list) => semver.sortVersions(list),
};

const joined = (bits: readonly string[], maxLength: number): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...bits), { maxLength }).map((parts) => parts.join(''));

/** Texts near the edge of each grammar, from pieces that matter to it. */
const pathBits = joined(
  [
    ...[
      '/',
      '/',
      '/',
      '.',
      '-',
      '~',
      '~1',
      '_',
      'a',
      'B',
      'v',
      'v1',
      'v2',
      '/v2',
      '.v1',
      '.v0',
      '0',
      '10',
    ],
    ...[
      '-unstable',
      'con',
      'CON',
      'nul',
      'com1',
      'lpt9',
      'com0',
      '!',
      '!a',
      '!!',
      ' ',
      '@',
      '+',
      'é',
      '\0',
      '\\',
    ],
  ],
  6,
);
const paths = fc.oneof(
  { weight: 2, arbitrary: modulePaths },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.constantFrom('example.com/', 'gopkg.in/', 'gopkg.in/y', 'a.b', '', 'A.b/'),
        pathBits,
      )
      .map((parts) => parts.join('')),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 12 }) },
);
const versionBits = joined(
  [
    ...[
      'v',
      'v1',
      '.',
      '.',
      '.0',
      '.0.0',
      '0',
      '1',
      '01',
      '12',
      '-',
      '-',
      '+',
      '+incompatible',
      'rc',
      'A',
      '-0.',
    ],
    ...[
      '20240102030405',
      '-20240102030405-',
      'abcdef012345',
      '2024',
      '!',
      '!a',
      '/',
      ' ',
      'é',
      '_',
      'con',
    ],
  ],
  7,
);
const versions = fc.oneof(
  { weight: 3, arbitrary: semanticVersions },
  { weight: 3, arbitrary: versionBits },
  { weight: 2, arbitrary: versionBits.map((rest) => `v1.0.0${rest}`) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 10 }) },
);
const fileNames = fc.oneof(
  paths,
  // Of other scripts only what every Unicode of the last twenty years knows.
  joined(
    [
      'a',
      'B',
      '.',
      '..',
      '/',
      '~1',
      ' ',
      'é',
      '日',
      'ß',
      '\u0301',
      '٣',
      '½',
      '😀',
      '𐐷',
      'aux',
      '\ufffd',
      '$',
      '`',
    ],
    6,
  ),
);
const globs = joined(
  [
    '*',
    '*',
    '?',
    '[',
    ']',
    '[^',
    'a',
    'b',
    'a-b',
    '-',
    '\\',
    '/',
    ',',
    'a.b',
    'x',
    'é',
    '^',
    '[a-z]',
    '[*]',
    '[/]',
  ],
  9,
);
const targets = joined(['a', 'b', 'x', '.', '/', 'a.b', 'é', '-', '*', '[', 'ab'], 8);
const majors = fc.constantFrom(
  '',
  '/v2',
  '/v3',
  '/v10',
  '.v0',
  '.v1',
  '.v2',
  '.v1-unstable',
  '.v-unstable',
);

const SEED = 20240102;
const sample = (arbitrary: fc.Arbitrary<string[]>, numRuns: number): string[][] =>
  fc.sample(arbitrary, { seed: SEED, numRuns });

const one = (arbitrary: fc.Arbitrary<string>) => arbitrary.map((value) => [value]);
const questions: [string, string[][]][] = [
  ['isModulePath', sample(one(paths), 3000)],
  ['isFileName', sample(one(fileNames), 3000)],
  ['pathMajor', sample(one(paths), 3000)],
  ['escapePath', sample(one(paths), 1500)],
  ['unescapePath', sample(one(paths), 3000)],
  ['escapeVersion', sample(one(versions), 1500)],
  ['unescapeVersion', sample(one(versions), 3000)],
  ['isPseudoVersion', sample(one(versions), 3000)],
  ['pseudoVersionTime', sample(one(versions), 1500)],
  ['fitsMajor', sample(fc.tuple(versions, majors), 3000)],
  ['isCanonicalFor', sample(fc.tuple(paths, versions), 3000)],
  ['matchPrefixPatterns', sample(fc.tuple(globs, targets), 8000)],
  ['semver', sample(one(versions), 3000)],
  ['compare', sample(fc.tuple(versions, versions), 3000)],
  ['sort', sample(fc.array(versions, { minLength: 2, maxLength: 40 }), 200)],
];

let theirs: unknown[][];

beforeAll(async () => {
  const program = await buildGoTool('xmod');
  const child = execFile(program, { maxBuffer: 64 * 1024 * 1024 });
  if (child.stdin === null || child.stdout === null || child.stderr === null) {
    throw new Error('the program has no streams');
  }
  const lines = questions.flatMap(([question, all]) =>
    all.map((args) => JSON.stringify([question, ...args])),
  );
  child.stdin.end(lines.join('\n'));
  const [out, complaint] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  expect(complaint).toBe('');
  const flat = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(flat).toHaveLength(lines.length);
  theirs = questions.map(([, all]) => flat.splice(0, all.length));
}, 180_000);

describe('golang.org/x/mod gives the same answers', () => {
  it.each(questions.map(([question, all], at) => ({ question, all, at })))(
    '$question',
    ({ question, all, at }) => {
      const mine = answers[question];
      if (mine === undefined) throw new Error(`no question ${question}`);
      const expected = theirs[at] ?? [];
      const differing = all.flatMap((args, i) => {
        const answer = mine(...(args as [string, string]));
        return JSON.stringify(answer) === JSON.stringify(expected[i])
          ? []
          : [{ args, larder: answer, xmod: expected[i] }];
      });
      expect(differing.slice(0, 5)).toEqual([]);
      // Questions that all have one answer would compare nothing.
      expect(new Set(expected.map((answer) => JSON.stringify(answer))).size).toBeGreaterThan(1);
    },
  );
});
