import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { keyOf, parseGoPath, pathOf, type GoName } from '../../../src/go/names.ts';
import { escapeVersion, isCanonicalFor } from '../../../src/go/version.ts';
import { modulePaths, semanticVersions } from '../../support/go-names.ts';

const file = (module: string, version: string, ext: 'info' | 'mod' | 'zip'): GoName => ({
  kind: 'file',
  module,
  version,
  ext,
});
const query = (module: string, text: string): GoName => ({ kind: 'query', module, query: text });
const M = 'example.com/m';

function refusal(path: string): LarderError {
  try {
    parseGoPath(path);
  } catch (error) {
    if (error instanceof LarderError) return error;
    throw error;
  }
  throw new Error(`${path} was not refused`);
}

describe('paths of the GOPROXY protocol', () => {
  it.each<[string, GoName]>([
    ['/example.com/m/@v/list', { kind: 'list', module: M }],
    ['/example.com/m/@latest', { kind: 'latest', module: M }],
    ['/example.com/list/@v/list', { kind: 'list', module: 'example.com/list' }],
    ['/example.com/latest/@latest', { kind: 'latest', module: 'example.com/latest' }],
    ['/sumdb.io/x/@latest', { kind: 'latest', module: 'sumdb.io/x' }],
    ['/example.com/m/@v/v1.2.3.info', file(M, 'v1.2.3', 'info')],
    ['/example.com/m/@v/v1.2.3.mod', file(M, 'v1.2.3', 'mod')],
    ['/example.com/m/@v/v1.2.3.zip', file(M, 'v1.2.3', 'zip')],
    ['/example.com/m/@v/v1.0.0-!r!c1.zip', file(M, 'v1.0.0-RC1', 'zip')],
    ['/example.com/m/@v/v1.0.0-a.zip.zip', file(M, 'v1.0.0-a.zip', 'zip')],
    ['/example.com/m/@v/v2.0.0+incompatible.zip', file(M, 'v2.0.0+incompatible', 'zip')],
    ['/example.com/k/v2/@v/v2.0.0.mod', file('example.com/k/v2', 'v2.0.0', 'mod')],
    ['/github.com/!azure/x/@v/v1.0.0.mod', file('github.com/Azure/x', 'v1.0.0', 'mod')],
    ['/example.com/m/@v/main.info', query(M, 'main')],
    ['/example.com/m/@v/!release-1.info', query(M, 'Release-1')],
    ['/example.com/m/@v/0123456789ab.info', query(M, '0123456789ab')],
    ['/example.com/m/@v/v1.info', query(M, 'v1')],
    ['/example.com/m/@v/v1.2.info', query(M, 'v1.2')],
    ['/example.com/m/@v/v1.0.0+meta.info', query(M, 'v1.0.0+meta')],
    ['/example.com/m/@v/v2.0.0.info', query(M, 'v2.0.0')],
    ['/example.com/k/v2/@v/v1.0.0.info', query('example.com/k/v2', 'v1.0.0')],
    ['/example.com/m/@v/list.info', query(M, 'list')],
    ['/example.com/m/@v/.info.info', query(M, '.info')],
    ['/example.com/m/@v/@x.info', query(M, '@x')],
  ])('%s', (path, name) => {
    expect(parseGoPath(path)).toEqual(name);
    expect(pathOf(name)).toBe(path);
  });

  it.each([
    ['/github.com/%21azure/x/@v/v1.0.0.zip', '/github.com/!azure/x/@v/v1.0.0.zip'],
    ['/github.com/%21%61zure/x/@v/list', '/github.com/!azure/x/@v/list'],
    ['/example.com/%6d/@v/v1.1.0.mod', '/example.com/m/@v/v1.1.0.mod'],
    ['/example.com/m/@v/v1%2E1%2e0.mod', '/example.com/m/@v/v1.1.0.mod'],
    ['/example.com/m/%40v/list', '/example.com/m/@v/list'],
    ['/example.com%2Fm/%40latest', '/example.com/m/@latest'],
    ['/example.com/m/@v/v2.0.0%2Bincompatible.zip', '/example.com/m/@v/v2.0.0+incompatible.zip'],
    ['/example.com/m/@v/a b.info', '/example.com/m/@v/a%20b.info'],
    ['/example.com/m/@v/%2531.info', '/example.com/m/@v/%2531.info'],
    ['/example.com/m/@v/a%23b%5bc%5D.info', '/example.com/m/@v/a%23b%5Bc%5D.info'],
  ])('%s and %s are one', (spelling, path) => {
    const name = parseGoPath(spelling);
    expect(name).toBeDefined();
    expect(name && pathOf(name)).toBe(path);
    expect(parseGoPath(path)).toEqual(name);
  });

  it.each([
    ...[
      '',
      '/',
      '*',
      'example.com/m/@v/list',
      '/example.com/m',
      '/healthz',
      '/favicon.ico',
      '/v2/',
    ],
    ...['/example.com/m/@', '/example.com/m/@v', '/example.com/m/@x', '/example.com/m/@v/'],
    ...[
      '/example.com/m/@v/v1.0.0',
      '/example.com/m/@v/v1.0.0.tar',
      '/example.com/m/@v/v1.0.0.INFO',
    ],
    ...['/example.com/m/@v/.info', '/example.com/m/@v/.zip', '/example.com/m/@v/list/'],
    ...['/example.com/m/@latest/', '/example.com/m/@latest/x', '/example.com/m/@latestx'],
    ...['/example.com/m/@v/v1.0.0.zip/', '/example.com/m/@v/@v/list', '/example.com/m/@v/list%0a'],
    ...[
      '/example.com/m@v/list',
      '/example.com/m/@V/list',
      '/example.com/m/@v/info',
      '/@x/example.com/@v/list',
    ],
  ])('%s is none', (path) => {
    expect(parseGoPath(path)).toBeUndefined();
  });

  it.each([
    ...['/@v/list', '/@latest', '//@v/list', '//example.com/m/@v/list', '/example.com//m/@v/list'],
    ...['/example.com/m//@v/list', '/example.com/./m/@v/list', '/example.com/x/../m/@v/list'],
    ...[
      '/example.com/%2e%2e/m/@v/list',
      '/%2e%2e/example.com/m/@v/list',
      '/example.com/m%00/@v/list',
    ],
    ...[
      '/example.com/a\\b/@v/list',
      '/example.com/a%5cb/@v/list',
      '/example.com/%252e%252e/m/@v/list',
    ],
    ...[
      '/github.com/Azure/x/@v/list',
      '/github.com/Azure/x/@latest',
      '/github.com/Azure/x/@v/v1.0.0.zip',
    ],
    ...[
      '/github.com/!Azure/x/@v/list',
      '/github.com/azure!/x/@v/list',
      '/github.com/!1x/x/@v/list',
    ],
    ...['/github.com/a!!b/x/@v/list', '/example.com/%C3%A9/@v/list', '/example.com/é/@v/list'],
    ...[
      '/example.com/m/@v/v1.0.0-RC1.info',
      '/example.com/m/@v/v1.0.0-!R.info',
      '/example.com/m/@v/!.info',
    ],
    ...[
      '/example.com/m/@v/v1.0.0-!.mod',
      '/example.com/m/@v/%C3%A9.info',
      '/example.com/m/@v/CON.info',
    ],
    ...['/example.com/m/@v/con.info', '/example.com/m/@v/..info', '/example.com/m/@v/...info'],
    ...[
      '/example.com/m/@v/v1.0.0..mod',
      '/example.com/m/@v/a%2fb.info',
      '/example.com/m/@v/..%2fv1.0.0.zip',
    ],
    ...['/example.com/m/@v/%2e%2e/@v/v1.0.0.zip', '/example.com/m/@v/v1.0.0%00.zip'],
    ...['/example.com/m/@v/v1.0.0%0a.info', '/example.com/m/@v/v1.0.0%0d%0aX-Evil:1.zip'],
    ...[
      '/example.com/m/@v/v1.0.0%22.mod',
      '/example.com/m/@v/v1.0.0:.zip',
      '/example.com/m/@v/v1.0.0%3c.zip',
    ],
    ...[
      '/example.com/m/@v/v1.mod',
      '/example.com/m/@v/v1.0.zip',
      '/example.com/m/@v/v1.0.0+meta.mod',
    ],
    ...['/example.com/m/@v/1.0.0.zip'],
    ...['/example.com/m/@v/v1.0.0.0.zip', '/example.com/m/@v/main.mod'],
    ...['latest', 'upgrade', 'patch'].flatMap((word) =>
      ['info', 'mod', 'zip'].map((ext) => `/example.com/m/@v/${word}.${ext}`),
    ),
    ...[
      '/-x.com/m/@v/list',
      '/example.com/m/v1/@v/list',
      '/gopkg.in/yaml/@v/list',
      '/localhost/x/@v/list',
    ],
    ...[
      '/std/@v/v1.0.0.zip',
      '/sumdb/@v/list',
      '/example.com/a%20b/@v/list',
      '/example.com/a~1/@v/list',
    ],
    ...[
      '/%',
      '/%zz/@v/list',
      '/example.com/%ff/@v/list',
      '/example.com/m/@v/%c3.info',
      '/%ed%a0%80',
    ],
    ...[`/example.com/${'a/'.repeat(2000)}m/@v/list`, `/example.com/${'a'.repeat(4000)}/@v/list`],
    ...[
      `/example.com/${'a/'.repeat(300)}m/@v/list`,
      `/example.com/${'a'.repeat(201)}/@v/v1.0.0.zip`,
    ],
    ...[`/example.com/m/@v/v1.0.0-${'a'.repeat(200)}.info`, `/${'a'.repeat(70_000)}`],
  ])('%s is refused', (path) => {
    const error = refusal(path);
    expect(error.code).toBe('invalid');
    expect(error.message).toMatch(/^.{10,}$/);
    expect(error.message).not.toMatch(/\p{C}/u);
    expect(Buffer.byteLength(error.message)).toBeLessThanOrEqual(500);
  });

  it.each([
    ['/github.com/Azure/x/@v/list', /^"github\.com\/Azure\/x" is not escaped .* written as !/],
    ['/example.com/a..b./@v/list', /its element "a\.\.b\." ends with a dot/],
    ['/example.com/m/@v/V1.0.0.mod', /^"V1\.0\.0" is not escaped/],
    [
      '/example.com/m/@v/con.info',
      /not a version, a branch or a commit: "con" is a name that Windows/,
    ],
    ['/example.com/m/@v/v1.mod', /no \.mod for it: "v1" .* that is "v1\.0\.0"/],
    ['/example.com/m/@v/v2.0.0.zip', /no \.zip for it: "v2\.0\.0" does not fit the module path/],
    ['/example.com/m/@v/latest.info', /"latest" is not a revision; ask for \/@latest/],
    ['/example.com/%zz/@v/list', /percent-encoding is broken/],
    [`/example.com/${'a'.repeat(300)}/@v/list`, /too long: a module path may have 600 characters/],
  ])('%s: the reason is said', (path, reason) => {
    expect(refusal(path).message).toMatch(reason);
  });
});

describe('store keys', () => {
  it.each<[GoName, string]>([
    [file('example.com/M', 'v1.0.0-RC1', 'zip'), 'go/example.com/!m/@v/v1.0.0-!r!c1.zip'],
    [{ kind: 'list', module: 'example.com/M' }, 'answers/go/example.com/!m/@v/list'],
    [{ kind: 'latest', module: M }, 'answers/go/example.com/m/@latest'],
    [query(M, 'Fix 50%'), 'answers/go/example.com/m/@v/!fix 50%.info'],
    [query(M, 'v2.0.0'), 'answers/go/example.com/m/@v/v2.0.0.info'],
  ])('of %j', (name, key) => {
    expect(keyOf(name)).toBe(key);
  });

  it.each<GoName>([
    file('../../etc', 'v1.0.0', 'mod'),
    file(M, '../v1.0.0', 'mod'),
    query(M, '..'),
    { kind: 'list', module: '' },
  ])('a name made elsewhere leaves no tree: %j', (name) => {
    expect(() => keyOf(name)).toThrow(LarderError);
    expect(() => pathOf(name)).toThrow(LarderError);
  });
});

describe('any path', () => {
  const bits = fc.constantFrom(
    ...[
      '/',
      'example.com',
      'm',
      '@v',
      '@latest',
      '/@v/',
      'list',
      'v1.0.0',
      '.info',
      '.mod',
      '.zip',
      '!a',
    ],
    ...[
      '!',
      'A',
      '%2f',
      '%00',
      '%',
      '%zz',
      '%ff',
      '%c3%a9',
      '%40',
      '..',
      '.',
      '+',
      '%20',
      '~1',
      'con',
      '\\',
    ],
    ...[':', '#', '@', 'v2', '"', '<', 'é', '\u0000', '\ud800', '\u{1f600}', '-', ' '],
  );
  const nearly = fc.array(bits, { maxLength: 12 }).map((parts) => `/${parts.join('')}`);

  it('gives a name, nothing, or a LarderError', () => {
    const any = fc.oneof(nearly, fc.string({ unit: 'binary' }), fc.webUrl());
    fc.assert(
      fc.property(any, (path) => {
        try {
          const name = parseGoPath(path);
          if (name === undefined) return;
          expect(parseGoPath(pathOf(name))).toEqual(name);
          expect(keyOf(name)).toMatch(/^(answers\/)?go\/[^/]+(\/[^/]+)*$/);
          expect(keyOf(name).split('/')).not.toContain('..');
          expect(pathOf(name)).toMatch(/^\/[!-~]+$/);
        } catch (error) {
          if (!(error instanceof LarderError)) throw error;
          expect(error.code).toBe('invalid');
        }
      }),
      { numRuns: 5000 },
    );
  });

  const queries = fc.oneof(
    semanticVersions,
    fc.stringMatching(/^[ -~]{1,12}$/).filter((text) => escapeVersion(text) !== undefined),
  );
  const names: fc.Arbitrary<GoName> = fc.oneof(
    modulePaths.map((module): GoName => ({ kind: 'list', module })),
    modulePaths.map((module): GoName => ({ kind: 'latest', module })),
    fc
      .tuple(modulePaths, queries, fc.constantFrom('info', 'mod', 'zip'))
      .filter(([, version]) => !['latest', 'upgrade', 'patch'].includes(version))
      .map(([module, version, ext]) =>
        isCanonicalFor(module, version) ? file(module, version, ext) : query(module, version),
      ),
  );

  it('of a name gives that name again, however much of it is percent-encoded', () => {
    fc.assert(
      fc.property(names, fc.infiniteStream(fc.boolean()), (name, choices) => {
        const path = pathOf(name);
        expect(parseGoPath(path)).toEqual(name);
        const spelling = path.replace(/(?<!%.?)[^%/]/g, (character) =>
          choices.next().value === true
            ? `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`
            : character,
        );
        expect(parseGoPath(spelling)).toEqual(name);
      }),
      { numRuns: 500 },
    );
  });

  it('has one key for each name, also where case does not count', () => {
    fc.assert(
      fc.property(names, names, (a, b) => {
        const same = JSON.stringify(a) === JSON.stringify(b);
        expect(keyOf(a).toLowerCase() === keyOf(b).toLowerCase()).toBe(same);
      }),
      { numRuns: 500 },
    );
  });
});

it.each(['/example.com/m/@v/v2.0.0.mod', '/example.com/k/v2/@v/v1.0.0.zip'])(
  '%s is of a version that the module cannot have: not there',
  (path) => {
    expect(() => parseGoPath(path)).toThrow(
      expect.objectContaining({ code: 'not_found', outcome: 'bypass' }),
    );
  },
);
