import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkFileName,
  checkModulePath,
  checkPathMajor,
  escapePath,
  pathMajor,
  quote,
  unescapePath,
} from '../../../src/go/module-path.ts';
import { modulePaths } from '../../support/go-names.ts';

const allowed = [
  ...['example.com', 'a.b', 'a.b/c', 'x.y/z/w', '1.2/3', 'a-b.c-d/e', 'example.com/A/B_c~d-e.f'],
  ...['example.com/a..b', 'example.com/-x', 'example.com/~x', 'example.com/a~', 'example.com/a~1b'],
  ...[
    'example.com/a.b~1',
    'example.com/a~1~',
    'example.com/_',
    'example.com/v2x',
    'example.com/xv1',
  ],
  ...['example.com/v2', 'example.com/v10', 'example.com/m/v3', 'example.com/v', 'example.com/1.2'],
  ...['example.com/V1', 'example.com/v1/x', 'example.com/v0/x', 'example.com/console'],
  ...['example.com/xcon', 'example.com/com', 'example.com/com0', 'example.com/lpt10', 'x.con'],
  ...['gopkg.in/yaml.v2', 'gopkg.in/u/yaml.v0', 'gopkg.in/yaml.v1', 'gopkg.in/yaml.v3-unstable'],
  ...['gopkg.in/yaml.v10', 'gopkg.in/v2.v2', 'gopkg.in', 'xgopkg.in/yaml', 'v2.example.com/m'],
];

const refused = [
  ...['', '.', '/', 'example', 'example/x.y', 'localhost/x', '/example.com/m', 'example.com/m/'],
  ...[
    'example.com//m',
    '-x.com/m',
    '.com/m',
    'com./m',
    'Example.com/m',
    'exa_mple.com/m',
    'a~b.com/m',
  ],
  ...['example.com/.', 'example.com/..', 'example.com/...', 'example.com/../m', 'example.com/./m'],
  ...['example.com/.hid', 'example.com/hid.', 'example.com/a/.b/c', 'example.com/a./b'],
  ...[
    'example.com/con',
    'example.com/CON/x',
    'example.com/Aux.txt',
    'example.com/x/nUl',
    'prn.com/x',
  ],
  ...['example.com/com1', 'example.com/COM9.x', 'example.com/lpt5', 'nul.com1'],
  ...[
    'example.com/a~1',
    'example.com/a~0/b',
    'example.com/a~12.x',
    'example.com/~9',
    'example.com/a~b~3',
  ],
  ...[
    'example.com/m/v0',
    'example.com/m/v1',
    'example.com/m/v02',
    'example.com/m/v1.2',
    'a.b/v2.0',
  ],
  ...[
    'gopkg.in/yaml',
    'gopkg.in/yaml.v',
    'gopkg.in/yaml.v01',
    'gopkg.in/yaml.v00',
    'gopkg.in/x/v2',
  ],
  ...[
    'gopkg.in/yaml.v0-unstable',
    'gopkg.in/yaml.v2-unstabl',
    'gopkg.in/yamlv2',
    'gopkg.in/yaml-unstable',
  ],
  ...Array.from('!"#$%&\'()*+,:;<=>?@[\\]^`{|} \0\t\n\x7fé日', (c) => `example.com/a${c}b`),
  ...['exämple.com/m', 'example.com/m\ud800', 'example.com/\u212aelvin'],
];

describe('module paths', () => {
  it.each(allowed.map((path) => [path]))('%j is one', (path) => {
    expect(checkModulePath(path)).toBeUndefined();
    expect(unescapePath(escapePath(path) ?? '')).toBe(path);
  });

  it.each(refused.map((path) => [path]))('%j is none', (path) => {
    expect(checkModulePath(path)).toMatch(/ is not a module path: \S/);
    expect(escapePath(path)).toBeUndefined();
    if (!path.includes('!')) expect(unescapePath(path)).toBeUndefined();
  });

  it.each([
    ['', /it is empty/],
    ['-a.b', /begins with a dash/],
    ['a.b//c', /an empty element/],
    ['a.b/.c', /element "\.c" begins with a dot/],
    ['a.b/c.', /element "c\." ends with a dot/],
    ['a.b/c d', /the character " " is not allowed/],
    ['a.b/Con.x', /"Con" is a name that Windows reserves/],
    ['a.b/c~1', /tilde and digits/],
    ['ab/c', /no dot, and must be a domain name/],
    ['aB.c/d', /has "B", and may have only lower-case/],
    ['a.b/v1', /is \/v2 or higher/],
    ['gopkg.in/a', /paths of gopkg\.in end in \.v0/],
  ])('%j: the reason is said', (path, reason) => {
    expect(checkModulePath(path)).toMatch(reason);
  });
});

describe('file names', () => {
  it.each([
    ...[
      'a',
      'a/b',
      'A B/c d.go',
      '.a/.b',
      '-x',
      'a!#$%&()+,-.=@[]^_{}~ b',
      'é/日本語.go',
      '𐐷.txt',
      ' ',
    ],
    ...['go.mod', 'a~1', 'x/a~12.b', 'v1', 'conx/aux1', 'nu', 'nulls.txt', '..a', 'a..b', 'Ünï/ﬀ'],
  ])('%j is one', (name) => {
    expect(checkFileName(name)).toBeUndefined();
  });

  it.each([
    ...[
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      './a',
      'a/.',
      '...',
      'a.',
      'a./b',
      'a/b..',
    ],
    ...['CON', 'a/nul.txt', 'Lpt1/x', 'com3.tar.gz', 'aUx'],
    ...Array.from('"\'*<>?`|:;\\\0\n\r\x7f', (character) => `a${character}b`),
    ...['a\u0301', 'a\u00a0b', '\u{1f600}', 'a\ufffdb', 'a\ud800', 'a\udc00b', '\u200e', '①', '٣'],
  ])('%j is none', (name) => {
    expect(checkFileName(name)).toMatch(/ is not a file name: \S/);
  });
});

describe('major versions of paths', () => {
  it.each([
    ['example.com/m', ''],
    ['example.com/m/v2', '/v2'],
    ['example.com/v2', '/v2'],
    ['example.com/m/v2/x', ''],
    ['example.com/m/v20', '/v20'],
    ['example.com/mv2', ''],
    ['example.com/m/v', ''],
    ['example.com/m/2', ''],
    ['example.com/m/v1', undefined],
    ['example.com/m/v0', undefined],
    ['example.com/m/v03', undefined],
    ['example.com/m/v1.2', undefined],
    ['example.com/m/v2.', undefined],
    ['gopkg.in/yaml.v0', '.v0'],
    ['gopkg.in/yaml.v2', '.v2'],
    ['gopkg.in/yaml.v12-unstable', '.v12-unstable'],
    ['gopkg.in/yaml.v-unstable', '.v-unstable'],
    ['gopkg.in/yaml.v', undefined],
    ['gopkg.in/yaml/v2', undefined],
    ['gopkg.in/yaml.v01', undefined],
    ['gopkg.in/yaml.v0-unstable', undefined],
    ['v2', ''],
    ['', ''],
  ])('%j ends in %j', (path, major) => {
    expect(pathMajor(path)).toBe(major);
  });

  it.each([
    ['v0.1.0', ''],
    ['v1.0.0-rc.1', ''],
    ['v2.0.0+incompatible', ''],
    ['v1.0.0+incompatible', ''],
    ['v2.3.4', '/v2'],
    ['v2.3.4-0.20240102030405-abcdef012345', '/v2'],
    ['v2.0.0+incompatible', '/v2'],
    ['v0.3.0', '.v0'],
    ['v1.3.0', '.v1'],
    ['v3.0.0', '.v3-unstable'],
    ['v0.0.0-20161208181325-20d25e280405', '.v1'],
    ['v0.0.0-20161208181325-20d25e280405', '.v1-unstable'],
  ])('%s fits %j', (version, major) => {
    expect(checkPathMajor(version, major)).toBeUndefined();
  });

  it.each([
    ['v2.0.0', '', /versions v0, v1 or ones that end in \+incompatible/],
    ['v2.0.0+meta', '', /does not fit/],
    ['v1.0.0', '/v2', /begin with v2/],
    ['v20.0.0', '/v2', /begin with v2/],
    ['v1.0.0+incompatible', '/v2', /begin with v2/],
    ['v1.0.0', '.v0', /begin with v0/],
    ['v0.0.1', '.v1', /begin with v1/],
    ['v0.0.0-20161208181325-20d25e280405', '.v2', /begin with v2/],
    ['v1.0.0', '.v3-unstable', /begin with v3/],
    ['nonsense', '', /does not fit/],
    ['nonsense', '/v2', /does not fit/],
  ])('%s does not fit %j', (version, major, reason) => {
    expect(checkPathMajor(version, major)).toMatch(reason);
  });
});

describe('escaping of paths', () => {
  it.each([
    ['example.com/m', 'example.com/m'],
    ['example.com/Azure', 'example.com/!azure'],
    ['example.com/aBC/D', 'example.com/a!b!c/!d'],
  ])('%s is %s', (path, escaped) => {
    expect(escapePath(path)).toBe(escaped);
    expect(unescapePath(escaped)).toBe(path);
  });

  it.each([
    ...[
      'example.com/Azure',
      'example.com/!Azure',
      'example.com/a!',
      'example.com/!',
      'example.com/!!a',
    ],
    ...['example.com/!1', 'example.com/!-', 'example.com/!é', 'example.com/é', '!example.com/m'],
    ...['example.com/!c!o!n', 'example.com/!/a', 'example.com/!v1/', 'example.com/m/v1', ''],
  ])('%j unescapes to nothing', (escaped) => {
    expect(unescapePath(escaped)).toBeUndefined();
  });

  it('is undone by unescaping, and no two paths collide where case does not count', () => {
    fc.assert(
      fc.property(modulePaths, modulePaths, (a, b) => {
        const [one, two] = [escapePath(a), escapePath(b)];
        expect(unescapePath(one ?? '')).toBe(a);
        expect(one).toBe(one?.toLowerCase());
        expect(one === two).toBe(a === b);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps paths apart that differ in case alone', () => {
    fc.assert(
      fc.property(modulePaths, fc.infiniteStream(fc.boolean()), (path, flips) => {
        const slash = path.indexOf('/');
        const other = Array.from(path, (c, at) =>
          at > slash && slash > 0 && flips.next().value === true ? c.toUpperCase() : c,
        ).join('');
        fc.pre(other !== path && checkModulePath(other) === undefined);
        expect(escapePath(other)?.toLowerCase()).not.toBe(escapePath(path)?.toLowerCase());
      }),
    );
  });

  it('takes back only what it made', () => {
    const near = fc.array(
      fc.constantFrom('a.b', '/', '!', 'a', 'A', 'Z', '!a', 'v2', '1', '~', '.'),
    );
    fc.assert(
      fc.property(
        near.map((a) => `a.b/${a.join('')}`),
        (escaped) => {
          const path = unescapePath(escaped);
          if (path !== undefined) expect(escapePath(path)).toBe(escaped);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('quoting', () => {
  it('makes anything a short, printable line', () => {
    expect(quote('a\n\0\u202eb"\ud800é')).toBe('"a\\u{a}\\u{0}\\u{202e}b"\\u{d800}é"');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
        const quoted = quote(text);
        expect(quoted).not.toMatch(/\p{C}|\u2028|\u2029/u);
        expect(Buffer.byteLength(quoted)).toBeLessThanOrEqual(125);
      }),
    );
  });
});
