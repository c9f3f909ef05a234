import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkVersion,
  cleanList,
  escapeVersion,
  isCanonicalFor,
  isPseudoVersion,
  latestOf,
  pseudoVersionTime,
  unescapeVersion,
} from '../../../src/go/version.ts';
import { compareVersions } from '../../../src/go/semver.ts';
import { modulePaths, semanticVersions } from '../../support/go-names.ts';

describe('escaping of versions', () => {
  it.each([
    ['v1.2.3', 'v1.2.3'],
    ['v1.0.0-RC1', 'v1.0.0-!r!c1'],
    ['v2.0.0+incompatible', 'v2.0.0+incompatible'],
    ['Main', '!main'],
    ['a b', 'a b'],
    ['50%', '50%'],
    ['.hidden', '.hidden'],
    ['-x', '-x'],
    ['a@#$%&()+,-.=[]^_{}~', 'a@#$%&()+,-.=[]^_{}~'],
  ])('%j is %j', (version, escaped) => {
    expect(escapeVersion(version)).toBe(escaped);
    expect(unescapeVersion(escaped)).toBe(version);
  });

  it.each([
    '',
    '.',
    '..',
    'a/b',
    'a\\b',
    'a!b',
    '!',
    'é',
    'con',
    'Nul.x',
    'a.',
    'a:b',
    'a\0',
    'a\nb',
    'a"',
  ])('%j cannot be escaped', (version) => {
    expect(escapeVersion(version)).toBeUndefined();
  });

  it.each([
    ...[
      '',
      '.',
      '..',
      'a/b',
      'A',
      'v1.0.0-RC1',
      '!',
      'a!',
      '!A',
      '!!a',
      '!1',
      'é',
      '!é',
      'con',
      '!c!o!n',
    ],
    ...['a.', 'a:b', 'a\0', 'a<b', 'a|b', 'a\\b', "a'b", 'v1.0.0\n'],
  ])('%j unescapes to nothing', (escaped) => {
    expect(unescapeVersion(escaped)).toBeUndefined();
  });

  it('is undone by unescaping, and no two versions collide where case does not count', () => {
    fc.assert(
      fc.property(semanticVersions, semanticVersions, (a, b) => {
        const [one, two] = [escapeVersion(a), escapeVersion(b)];
        expect(unescapeVersion(one ?? '')).toBe(a);
        expect(one).toBe(one?.toLowerCase());
        expect(one === two).toBe(a === b);
      }),
    );
  });

  it('takes back only what it made', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 8 }), (escaped) => {
        const version = unescapeVersion(escaped);
        if (version !== undefined) expect(escapeVersion(version)).toBe(escaped);
      }),
      { numRuns: 500 },
    );
  });
});

describe('pseudo-versions', () => {
  it.each([
    ['v0.0.0-20240102030405-0123456789ab', '2024-01-02T03:04:05.000Z'],
    ['v3.0.0-20240229235959-x', '2024-02-29T23:59:59.000Z'],
    ['v1.2.4-0.20191109021931-daa7c04131f5', '2019-11-09T02:19:31.000Z'],
    ['v2.2.4-0.20191109021931-daa7c04131f5+incompatible', '2019-11-09T02:19:31.000Z'],
    ['v1.2.3-rc.1.0.20191109021931-daa7c04131f5', '2019-11-09T02:19:31.000Z'],
    ['v1.2.3-a-b.0.20191109021931-daa7c04131f5+x.y-z', '2019-11-09T02:19:31.000Z'],
    ['v1.0.0-0.20191109021931-ABC', '2019-11-09T02:19:31.000Z'],
    ['v0.0.0-00010101000000-000000000000', '0001-01-01T00:00:00.000Z'],
  ])('%s is one', (version, time) => {
    expect(isPseudoVersion(version)).toBe(true);
    expect(pseudoVersionTime(version)?.toISOString()).toBe(time);
  });

  it.each([
    '20240230000000',
    '20241301000000',
    '20240101240000',
    '20240101006000',
    '00000000000000',
  ])('there is no time %s, but the form counts', (stamp) => {
    const version = `v0.0.0-${stamp}-0123456789ab`;
    expect(isPseudoVersion(version)).toBe(true);
    expect(pseudoVersionTime(version)).toBeUndefined();
  });

  it.each([
    ...['', 'v1.2.3', 'v1.2.3-pre', '20240102030405-0123456789ab', 'v0.0.0-20240102030405'],
    ...['v0.0.0-2024010203040-0123456789ab', 'v0.0.0-202401020304055-0123456789ab'],
    ...['v0.0.0-20240102030405-', 'v0.0.0-20240102030405-a.b', 'v0.0.0-20240102030405-a-b'],
    ...['v0.0.1-20240102030405-0123456789ab', 'v0.1.0-20240102030405-0123456789ab'],
    ...['v1.2.3-rc.20240102030405-0123456789ab', 'v1.2.3-rc0.20240102030405-0123456789ab'],
    ...['v1.2.3-00.20240102030405-0123456789ab', 'v1.2.3-1.20240102030405-0123456789ab'],
    ...['v1.2.3+x-20240102030405-0123456789ab', 'v1.2-0.20240102030405-0123456789ab'],
    ...['v0.0.0-2024010203040a-0123456789ab', 'v0.0.0-pre20240102030405-0123456789ab'],
    ...['v01.0.0-20240102030405-0123456789ab', 'v0.0.0--20240102030405-0123456789ab'],
  ])('%j is none', (version) => {
    expect(isPseudoVersion(version)).toBe(false);
    expect(pseudoVersionTime(version)).toBeUndefined();
  });
});

describe('which version fits which path', () => {
  it.each([
    ['example.com/m', 'v0.0.0'],
    ['example.com/m', 'v1.2.3-rc.1'],
    ['example.com/m', 'v2.0.0+incompatible'],
    ['example.com/m', 'v3.1.1-0.20240102030405-0123456789ab+incompatible'],
    ['example.com/m/v2', 'v2.0.0'],
    ['example.com/m/v2', 'v2.0.0-20240102030405-0123456789ab'],
    ['gopkg.in/yaml.v2', 'v2.4.0'],
    ['gopkg.in/check.v1', 'v0.0.0-20161208181325-20d25e280405'],
  ])('%s has %s', (path, version) => {
    expect(isCanonicalFor(path, version)).toBe(true);
  });

  it.each([
    ['example.com/m', 'v1', /full name of a version: that is "v1\.0\.0"/],
    ['example.com/m', 'v1.2', /that is "v1\.2\.0"/],
    ['example.com/m', 'v1.0.0+meta', /that is "v1\.0\.0"/],
    ['example.com/m', 'v1.0.0+incompatible.x', /that is "v1\.0\.0"/],
    ['example.com/m', '1.0.0', /not a semantic version/],
    ['example.com/m', 'v1.0.0.0', /not a semantic version/],
    ['example.com/m', 'main', /not a semantic version/],
    ['example.com/m', '', /not a semantic version/],
    ['example.com/m', 'v2.0.0', /does not fit the module path/],
    ['example.com/m/v2', 'v1.0.0', /begin with v2/],
    ['example.com/m/v2', 'v3.0.0+incompatible', /begin with v2/],
    ['gopkg.in/yaml.v2', 'v3.0.0', /begin with v2/],
    ['example.com/m/v1', 'v1.0.0', /not a module path/],
    ['Example.com/m', 'v1.0.0', /not a module path/],
  ])('%s has no %s', (path, version, reason) => {
    expect(isCanonicalFor(path, version)).toBe(false);
    expect(checkVersion(path, version)).toMatch(reason);
  });
});

describe('the latest of some versions', () => {
  const pseudo = 'v1.9.1-0.20240102030405-0123456789ab';
  it.each([
    [[], undefined],
    [['v1.9.0', 'v1.10.0', 'v1.2.0'], 'v1.10.0'],
    [['v1.0.0', 'v2.0.0-rc.1', pseudo], 'v1.0.0'],
    [['v1.0.0-rc.2', 'v1.0.0-rc.10', pseudo], 'v1.0.0-rc.10'],
    [
      ['v0.0.0-20230102030405-0123456789ab', 'v0.0.0-20240102030405-0123456789ab'],
      'v0.0.0-20240102030405-0123456789ab',
    ],
    [['v1.5.0', 'v2.0.0+incompatible'], 'v2.0.0+incompatible'],
    [[pseudo, 'v0.1.0-alpha'], 'v0.1.0-alpha'],
  ])('of %j is %s', (versions, latest) => {
    expect(latestOf(versions)).toBe(latest);
    expect(latestOf(versions.toReversed())).toBe(latest);
  });
});

describe('the list of a proxy', () => {
  it('is read line by line, without what is no version of the module', () => {
    const text = [
      'v1.10.0',
      'v1.2.0 2024-01-02T03:04:05Z',
      '  v1.2.0-rc.1\tjunk behind ',
      'v1.2.0\r',
      '',
      'v1',
      'v2.0.0',
      'v2.0.0+incompatible',
      'v1.0.0+meta',
      'main v1.3.0',
      '<html>',
      'v0.0.0-20240102030405-0123456789ab',
      'v1.4.0/../x',
      'v1.0.0-RC1',
    ].join('\n');
    const list = cleanList('example.com/m', text);
    expect(list).toEqual([
      'v0.0.0-20240102030405-0123456789ab',
      'v1.0.0-RC1',
      'v1.2.0-rc.1',
      'v1.2.0',
      'v1.10.0',
      'v2.0.0+incompatible',
    ]);
    expect(list.filter((version) => !isPseudoVersion(version))).toHaveLength(5);
  });

  it('is empty for an empty text, junk, and a path that is none', () => {
    expect(cleanList('example.com/m', '')).toEqual([]);
    expect(cleanList('example.com/m', '<!doctype html>\n\n\0\0')).toEqual([]);
    expect(cleanList('example.com/m/v1', 'v1.0.0')).toEqual([]);
  });

  it('holds each version that fits once, ascending, and its own text gives it again', () => {
    fc.assert(
      fc.property(modulePaths, fc.array(fc.oneof(semanticVersions, fc.string())), (path, lines) => {
        const list = cleanList(path, lines.join('\n'));
        expect(list).toEqual(list.toSorted(compareVersions));
        expect(new Set(list).size).toBe(list.length);
        for (const version of list) expect(isCanonicalFor(path, version)).toBe(true);
        for (const line of lines) if (isCanonicalFor(path, line)) expect(list).toContain(line);
        expect(cleanList(path, list.join('\n'))).toEqual(list);
      }),
    );
  });
});
