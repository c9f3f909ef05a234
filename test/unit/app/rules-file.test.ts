import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRules } from '../../../src/app/rules-file.ts';
import { ConfigError } from '../../../src/app/start-error.ts';
import { rulesVerb } from '../../../src/cli/rules-check.ts';
import { readmeBlock } from '../../support/readme.ts';
import { tempDir } from '../../support/tmp.ts';

function fileOf(text: string): string {
  const file = join(tempDir(), 'rules.yaml');
  writeFileSync(file, text);
  return file;
}

/** The mistakes in a file, as `line: sentence`. */
function mistakesIn(text: string): string[] {
  const file = fileOf(text);
  try {
    readRules(file);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.replaceAll(`${file}:`, '').split('\n');
  }
  return [];
}

test('README shows a file that is good', () => {
  const { go, oci } = readRules(fileOf(readmeBlock('In `rules.yaml`', '')));
  expect([go.length > 1, oci.length > 1]).toEqual([true, true]);
});

test('README shows limits that are good', () => {
  const { upstreams } = readRules(fileOf(readmeBlock('for others the rules file says it', '')));
  expect([...upstreams.keys()]).toEqual([
    'docker.io',
    'registry.example.com',
    'mirror.example.com:5000',
  ]);
});

test.each(['', '# nothing', 'go:\noci:\n', 'go: []'])('%j has no rules', (text) => {
  expect(readRules(fileOf(text))).toEqual({ go: [], oci: [], upstreams: new Map() });
});

test('off is a word, and what a rule says is read', () => {
  const text = `
go:
  - match: "a.test/*, b.test"
    upstream: off
    sumdb: off
    listTtl: 5m
    minAge: 7d
  - match: c.test
    sumdb: false
    versions: ">=v1, <v2"
    deny: |
      not
      now
oci:
  - match: "*"
    upstream: https://mirror.test/base
    platforms: [linux/amd64, linux/arm/v7]
    allow: true
`;
  const { go, oci } = readRules(fileOf(text));
  expect(go.map(({ rule }) => rule)).toMatchObject([
    { upstream: { text: 'off' }, sumdb: false, listTtlMs: 300_000, minAgeMs: 604_800_000 },
    { deny: 'not now', sumdb: false },
  ]);
  expect(oci.map(({ rule }) => rule)).toMatchObject([
    {
      upstream: new URL('https://mirror.test/base'),
      platforms: [{ os: 'linux', architecture: 'amd64' }, { variant: 'v7' }],
    },
  ]);
});

test('every mistake is told with its line, all at once', () => {
  const text = `go:
  - match: "github.com/[acme"
    upstraem: direct
    mode: of
  - versions: 1.2
    deny:
  - match: "x.test"
    versions: "<1.4.0"
    allow: true
    deny: "no"
  - match: y.test
    allow: true
    deny: "no"
  - nothing
  - match: z.test
    upstream: ftp://z.test
    sumdb: on
oci:
  - match: 3
    minAge: 7
    tagTtl: soon
    platforms: linux/amd64
  - match: ghcr.io/a
    deny: ""
    upstream: https://user:secret@mirror.test
upstreams:
  "a b": {}
  b.test: {rate: 10}
  c.test: {rate: 0/m}
  d.test: {burst: 5}
  e.test: {rate: off, burst: 5}
  f.test: {sockets: 0, burts: 1}
  g.test: 5
mirrors: {}
`;
  const mistakes = mistakesIn(text);
  expect(mistakes.map((one) => Number(one.split(':', 1)[0]))).toEqual([
    2, 3, 4, 5, 5, 6, 8, 11, 14, 16, 17, 19, 20, 21, 22, 24, 25, 27, 28, 29, 30, 31, 32, 32, 33, 34,
  ]);
  expect(mistakes.join('\n')).not.toContain('secret');
  expect(mistakes[1]).toMatch(/there is no "upstraem" here: a rule of go has .*upstream/);
  expect(mistakes[6]).toMatch(/go rule 3, versions: "<1.4.0" is no range of versions/);
  expect(mistakes[7]).toMatch(/go rule 4: has both allow and deny/);
});

test('what upstreams put up with', () => {
  const text = `
upstreams:
  Reg.Example.com: {rate: 10/s, burst: 3, sockets: 8}
  index.docker.io: {rate: 200/m}
  quiet.test:5000: {rate: off}
  narrow.test: {sockets: 2}
`;
  expect([...readRules(fileOf(text)).upstreams]).toEqual([
    ['reg.example.com', { rate: { intervalMs: 100, burst: 3 }, sockets: 8 }],
    ['docker.io', { rate: { intervalMs: 300, burst: 200 }, sockets: undefined }],
    ['quiet.test:5000', { rate: 'off', sockets: undefined }],
    ['narrow.test', { rate: undefined, sockets: 2 }],
  ]);
});

test.each([
  ['go:\n  - match: *', /^2: no YAML/],
  ['go:\n  - match: *.x', /^1: no YAML: .*in quotes/],
  ['go: {', /no YAML/],
  ['- a', /^1: must have go, oci and upstreams/],
  ['go: a', /^1: go: must be a list of rules/],
  ['go: []\ngo: []', /^2: no YAML: .*unique/],
])('%j is refused', (text, sentence) => {
  expect(mistakesIn(text)[0]).toMatch(sentence);
});

test('a file that is not there is told', () => {
  expect(() => readRules('/nowhere/rules.yaml')).toThrow(
    /^\/nowhere\/rules.yaml: there is no such file/,
  );
});

const rules = `
go:
  - {match: "github.com/acme/*", upstream: "https://user:secret@proxy.test,direct"}
  - {match: example.org/old, versions: "<v1.4.0", deny: use v1.4.0 or later}
  - {match: "*", mode: async_redirect, minAge: 36h}
oci:
  - {match: "docker.io/library/*", tagTtl: 10m}
  - {match: "ghcr.io/untrusted/*", deny: not approved}
`;

test('larder rules check says a line a name, in their order', () => {
  const file = fileOf(rules);
  const names = [
    'oci:ghcr.io/untrusted/a/b:1',
    'go:example.org/old@v1.4.0-rc.1',
    'go:example.org/old@v1.4.0',
    'go:github.com/acme/x@main',
    'oci:nginx.test/a',
  ];
  const { code, text } = rulesVerb(['check', file, '--json', ...names]);
  expect(code).toBe(0);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(lines).toEqual([
    {
      name: names[0],
      decision: 'deny',
      rule: 2,
      mode: 'sync',
      upstream: null,
      reason: 'not approved',
    },
    {
      name: names[1],
      decision: 'deny',
      rule: 2,
      mode: 'sync',
      upstream: null,
      reason: 'use v1.4.0 or later',
    },
    {
      name: names[2],
      decision: 'allow',
      rule: 3,
      mode: 'async_redirect',
      upstream: null,
      reason: 'not before it is 36h old',
    },
    {
      name: names[3],
      decision: 'allow',
      rule: 1,
      mode: 'sync',
      upstream: 'https://***@proxy.test,direct',
      reason: null,
    },
    { name: names[4], decision: 'allow', rule: null, mode: 'sync', upstream: null, reason: null },
  ]);
});

test('larder rules check speaks to people too', () => {
  const file = fileOf(rules);
  expect(rulesVerb(['check', file])).toEqual({
    code: 0,
    text: `${file} is good: 3 rules for Go, 2 for images\n`,
  });
  expect(rulesVerb(['check', file, 'go:example.org/old@v1.0.0']).text).toBe(
    'deny  go:example.org/old@v1.0.0  rule 2  use v1.4.0 or later\n',
  );
  expect(rulesVerb(['--help'])).toMatchObject({
    code: 0,
    text: expect.stringMatching(/^Usage: larder rules check/) as string,
  });
});

test.each([
  [['check', fileOf('go: 3')], /must be a list of rules/],
  [['check', fileOf(rules), 'example.com/m'], /write go: or oci: in front/],
  [['check', fileOf(rules), 'go:Example'], /is not a module path/],
  [['check', fileOf(rules), 'go:example.com/m@'], /is not MODULE@VERSION/],
  [['check', '--yaml'], /Unknown option/],
  [['check'], /^Usage/],
  [['chekc', 'x'], /^Usage/],
])('larder rules %j is used wrongly', (args, sentence) => {
  const { code, text } = rulesVerb(args);
  expect([code, sentence.test(text)]).toEqual([2, true]);
});
