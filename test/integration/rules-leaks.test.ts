// What rules and LARDER_GO_PRIVATE keep in: nothing of it goes out, whatever is asked for by whatever spelling, in whatever mode, and
// by nothing that runs behind or ahead. For any rules: what was asked of the upstreams is what `larder rules check` lets in.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rulesVerb } from '../../src/cli/rules-check.ts';
import { MODES } from '../../src/engine/policy.ts';
import { parseGoPath } from '../../src/go/names.ts';
import { startApp } from '../support/app.ts';
import { request } from '../support/http.ts';
import { startRegistry } from '../support/registry.ts';
import { escape } from '../support/rules.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd, tempDir } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const PSEUDO = 'v1.4.1-0.20240102030405-0123456789ab';
const VERSIONS = ['v1.0.0', 'v1.4.0-rc.1', 'v1.4.0', 'v1.20.0', PSEUDO];
const MODULES = ['example.com/a', 'example.com/a/sub', 'example.com/Up', 'example.com/repo.git'];
const REPOSITORIES = ['library/plain', 'team/app'];
const TAGS = ['1', 'latest'];

/** As the one who asks may write it. */
const SPELLINGS: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => path.replace(/[a-z!.]/g, (c) => `%${c.charCodeAt(0).toString(16)}`),
  (path) => path.replace(/\/[a-z]/g, (c) => `/%${c.charCodeAt(1).toString(16).toUpperCase()}`),
  (path) => path.replace(/(?!^)\//g, '%2f'),
  (path) => path.replaceAll('@', '%40').replaceAll('!', '%21'),
];

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const goRule = fc.record({
  match: fc.constantFrom('example.com', 'example.com/a', '*/Up', '*/*/sub', '*/repo', '*'),
  versions: maybe(fc.constantFrom('<v1.4.0', 'v1.4', '>=v1.4.0', '=v1.20.0', '^v1.4.0')),
  deny: maybe(fc.constant('no')),
  mode: maybe(fc.constantFrom(...MODES)),
});
const ociRule = fc.record({
  match: fc.constantFrom('docker.io', 'index.docker.io/plain', '*/library', '*/team/app:1', '*:1'),
  deny: maybe(fc.constant('no')),
  mode: maybe(fc.constantFrom(...MODES)),
});
const cases = fc.record({
  rules: fc.record({
    go: fc.array(goRule, { maxLength: 3 }),
    oci: fc.array(ociRule, { maxLength: 3 }),
  }),
  mode: fc.constantFrom(...MODES),
  spell: fc.constantFrom(...SPELLINGS),
});

test('nothing leaves that may not enter', async () => {
  const [upstream, registry] = [await startUpstream(), await startRegistry()];
  const database = await startSumdb({ sums: upstream.sumsTemplate });
  atEnd(() => database.close());
  for (const module of MODULES) {
    for (const version of VERSIONS) upstream.add(module, version);
    upstream.name(module, 'main', 'v1.4.0');
  }
  const imagePaths = REPOSITORIES.flatMap((repository) => {
    const things = TAGS.flatMap((tag) => {
      const { digest, layers } = registry.addImage(repository, tag, { layers: [repository, tag] });
      const layer = layers[0]?.digest ?? '';
      return [`manifests/${tag}`, `manifests/${digest}`, `referrers/${digest}`, `blobs/${layer}`];
    });
    const names = [repository, repository.replace('library/', '')];
    return names.flatMap((name) => [...things, 'tags/list'].map((what) => `${name}/${what}`));
  });
  const file = join(tempDir(), 'rules.yaml');

  const goPaths = MODULES.flatMap((module) => {
    const name = escape(module);
    const own = ['@v/list', '@latest', '@v/main.info', '@v/v1.info', '@v/0123456789ab.info'];
    const files = VERSIONS.flatMap((version) =>
      ['info', 'mod', 'zip'].map((ext) => `@v/${version}.${ext}`),
    );
    return [
      ...[...own, ...files].map((path) => `/${name}/${path}`),
      ...VERSIONS.map((version) => `/sumdb/${database.name}/lookup/${name}@${version}`),
    ];
  });
  const ociPaths = imagePaths.flatMap((path) => [
    `/v2/${path}`,
    `/v2/docker.io/${path}`,
    `/v2/registry-1.docker.io/${path}`,
    `/v2/${path}?ns=index.docker.io`,
    `/v2/docker.io/${path}?ns=DOCKER.io`,
  ]);

  await fc.assert(
    fc.asyncProperty(cases, async ({ rules, mode, spell }) => {
      writeFileSync(file, JSON.stringify(rules));
      const refused = (names: Iterable<string>) => {
        const { text } = rulesVerb(['check', file, '--json', ...new Set(names)]);
        const verdicts = text.split('\n').filter((line) => line !== '');
        return verdicts.filter((line) => !line.includes('"decision":"allow"'));
      };
      for (const server of [upstream, registry]) server.clearLog();
      await database.clearLog();
      const app = await startApp({
        LARDER_GO_UPSTREAM: upstream.url,
        LARDER_GO_SUMDB: database.setting,
        LARDER_OCI_UPSTREAMS: `docker.io=${registry.url}`,
        LARDER_RULES_FILE: file,
        LARDER_GO_READ_AHEAD: 'all',
        LARDER_MODE: mode,
      });
      const spelled = (path: string) => {
        const [before = '', query] = path.split('?');
        const own = path.startsWith('/v2/') ? `/v2/${spell(before.slice(4))}` : spell(before);
        return query === undefined ? own : `${own}?${query}`;
      };
      for (const prefix of ['', '/cached-only'])
        await Promise.all(goPaths.map((path) => request(app.base, prefix + spelled(path))));
      await Promise.all(
        [...ociPaths].map((path, at) =>
          request(app.base, spelled(path), { method: at % 2 === 0 ? 'GET' : 'HEAD' }),
        ),
      );
      // what runs behind has begun by now, and goes out before the end or never
      await app.stop();
      expect(refused(upstream.log.flatMap(({ path }) => goNameIn(path)))).toEqual([]);
      const lookups = (await database.log()).filter((path) => path.startsWith('/lookup/'));
      expect(
        refused(lookups.map((path) => `go:${unescape(path.slice('/lookup/'.length))}`)),
      ).toEqual([]);
      expect(refused(registry.log.flatMap(({ path }) => imageIn(path)))).toEqual([]);
    }),
    { numRuns: 8 },
  );
}, 120_000);

const unescape = (name: string) =>
  name.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Of a path that an upstream was asked for. */
function goNameIn(path: string): string[] {
  const name = parseGoPath(path);
  if (name === undefined) return [];
  return [name.kind === 'file' ? `go:${name.module}@${name.version}` : `go:${name.module}`];
}

function imageIn(path: string): string[] {
  const [, name, tag] =
    /^\/v2\/(.+)\/(?:manifests\/([^:]+$)?|blobs|referrers|tags)/.exec(path) ?? [];
  if (name === undefined) return [];
  return [`oci:docker.io/${name}${tag === undefined ? '' : `:${tag}`}`];
}
