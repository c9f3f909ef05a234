// For any rules, every endpoint decides as `larder rules check` does.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rulesVerb } from '../../src/cli/rules-check.ts';
import { startApp } from '../support/app.ts';
import { request } from '../support/http.ts';
import { startRegistry } from '../support/registry.ts';
import { encodeAll, escape, rulesFile } from '../support/rules.ts';
import { startSumdb } from '../support/sumdb.ts';
import { atEnd } from '../support/tmp.ts';
import { startUpstream } from '../support/upstream.ts';

const PSEUDO = 'v1.4.1-0.20240102030405-0123456789ab';

test('for any rules and names, every endpoint decides as larder rules check does', async () => {
  const upstream = await startUpstream();
  const registry = await startRegistry();
  const database = await startSumdb({ sums: upstream.sumsTemplate });
  atEnd(() => database.close());
  const modules = ['example.com/a', 'example.com/a/sub', 'example.com/Up', 'other.test/c'];
  const versions = ['v1.0.0', 'v1.4.0-rc.1', 'v1.4.0', 'v1.20.0'];
  for (const module of modules) {
    for (const version of [...versions, PSEUDO]) upstream.add(module, version);
    upstream.name(module, 'main', 'v1.4.0');
  }
  const repositories = ['team/app', 'team/app/sub', 'other'];
  const tags = ['1', '1.2', 'latest'];
  const digests = new Map<string, string>();
  for (const repository of repositories)
    for (const tag of tags)
      digests.set(
        `${repository}:${tag}`,
        registry.addImage(repository, tag, { layers: [repository, tag] }).digest,
      );
  const { file, write } = rulesFile();
  const app = await startApp({
    LARDER_GO_UPSTREAM: upstream.url,
    LARDER_GO_SUMDB: database.setting,
    LARDER_OCI_UPSTREAMS: `main.test=${registry.url}`,
    LARDER_RULES_FILE: file,
    LARDER_LIST_TTL: '1h',
    LARDER_TAG_TTL: '1h',
  });
  const status = async (path: string, method = 'GET') =>
    (await request(app.base, path, { method })).status;

  const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
  const goRule = fc.record({
    match: fc.constantFrom('*', 'example.com', 'example.com/a', '*/Up', '*/*/sub', 'other.test/?'),
    versions: maybe(fc.constantFrom('<v1.4.0', 'v1.4', '>=v1.4.0', 'v1', '=v1.20.0', '^v1.4.0')),
    deny: maybe(fc.constantFrom('no', 'never')),
  });
  const ociRule = fc.record({
    match: fc.constantFrom(
      '*',
      'main.test',
      'main.test/team',
      'main.test/team/app:1*',
      '*:latest',
      'main.test/o*:1',
    ),
    deny: maybe(fc.constantFrom('no', 'never')),
  });
  const rules = fc.record({
    go: fc.array(goRule, { maxLength: 4 }),
    oci: fc.array(ociRule, { maxLength: 4 }),
  });

  await fc.assert(
    fc.asyncProperty(rules, async (content) => {
      write(JSON.stringify(content));
      app.reload();
      const isAllowed = (name: string) => {
        const { code, text } = rulesVerb(['check', file, '--json', name]);
        expect(code).toBe(0);
        return (JSON.parse(text) as { decision: string }).decision === 'allow';
      };
      for (const module of modules) {
        upstream.clearLog();
        const path = `/${escape(module)}`;
        const whole = isAllowed(`go:${module}`);
        const allowed = versions.filter((version) => isAllowed(`go:${module}@${version}`));
        for (const version of [...versions, PSEUDO]) {
          const expected = isAllowed(`go:${module}@${version}`) ? 200 : 403;
          const file = `${path}/@v/${version}`;
          for (const ext of ['.info', '.mod', '.zip'])
            expect(await status(file + ext)).toBe(expected);
          expect(await status(`${file}.mod`, 'HEAD')).toBe(expected);
          expect(await status(encodeAll(`${file}.info`))).toBe(expected);
          if (expected === 403) expect(await status(`/cached-only${file}.zip`)).toBe(403);
          if (version !== PSEUDO)
            expect(await status(`/sumdb/${database.name}/lookup${path}@${version}`)).toBe(expected);
          if (expected === 403) expect(upstream.requests(`${path}/@v/${version}.mod`)).toEqual([]);
        }
        const list = await request(app.base, `${path}/@v/list`);
        expect(list.status).toBe(whole ? 200 : 403);
        if (whole) expect(list.text).toBe(allowed.map((version) => `${version}\n`).join(''));
        const latest = await request(app.base, `${path}/@latest`);
        const newest = allowed.filter((version) => !version.includes('-')).at(-1) ?? allowed.at(-1);
        expect(latest.status).toBe(whole && newest !== undefined ? 200 : 403);
        if (latest.status === 200) expect(latest.text).toContain(`"${String(newest)}"`);
        expect(await status(`${path}/@v/main.info`)).toBe(
          whole && allowed.includes('v1.4.0') ? 200 : 403,
        );
        if (!whole) expect(upstream.log).toEqual([]);
        for (const what of ['@v/list', '@latest', '@v/main.info'])
          if (!whole) expect(await status(`/cached-only${path}/${what}`)).toBe(403);
      }
      const feed = (await request(app.base, '/index')).text
        .split('\n')
        .filter((line) => line !== '');
      for (const line of feed) {
        const { Path, Version } = JSON.parse(line) as Record<'Path' | 'Version', string>;
        expect([line, isAllowed(`go:${Path}@${Version}`)]).toEqual([line, true]);
      }
      for (const repository of repositories) {
        registry.clearLog();
        const path = `/v2/${repository}`;
        const whole = isAllowed(`oci:main.test/${repository}`) ? 200 : 403;
        for (const tag of tags) {
          const expected = isAllowed(`oci:main.test/${repository}:${tag}`) ? 200 : 403;
          for (const method of ['GET', 'HEAD'])
            expect(await status(`${path}/manifests/${tag}`, method)).toBe(expected);
          expect(await status(`/v2/main.test/${repository}/manifests/${tag}?ns=MAIN.test`)).toBe(
            expected,
          );
          if (expected === 403) expect(registry.requests(`${path}/manifests/${tag}`)).toEqual([]);
          const digest = digests.get(`${repository}:${tag}`) ?? '';
          expect(await status(`${path}/manifests/${digest}`)).toBe(whole);
          expect(await status(`${path}/referrers/${digest}`)).toBe(whole);
        }
        expect(await status(`${path}/tags/list`)).toBe(whole);
      }
    }),
    { numRuns: 20 },
  );
}, 120_000);
