import { describe, expect, test } from 'vitest';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { LarderError } from '../../../src/engine/errors.ts';
import { within } from '../../../src/engine/purge-plan.ts';
import { Completion } from '../../../src/go/completion.ts';
import { VersionIndex } from '../../../src/go/index-feed.ts';
import { keyOf, parseGoPath } from '../../../src/go/names.ts';
import { goPurgeable } from '../../../src/go/purge.ts';
import { TreeList } from '../../../src/go/tree-list.ts';
import { FileStore } from '../../../src/storage/file.ts';
import { Purger } from '../../../src/references/purge.ts';
import { sha256 } from '../../support/engine.ts';
import { filesBelow, tempDir } from '../../support/tmp.ts';

const EXTENSIONS = ['info', 'mod', 'zip'] as const;

/** A real store, with what follows when something is stored in it. */
async function setUp() {
  const dir = tempDir();
  const store = new FileStore(dir, () => undefined);
  await store.sweep();
  const treeList = new TreeList(store);
  let now = Date.parse('2026-01-02T03:04:05.000Z');
  const index = new VersionIndex(store, () => now);
  const pull = { expire: () => Promise.resolve() };
  const completion = new Completion({ store, pull, index, treeList });
  const announcements = { announce: () => Promise.resolve(), subscribe: () => undefined };
  const purger = new Purger({ store, lock: new LocalLock(), announcements });
  const of = (text: string) => goPurgeable({ store, treeList }, text);
  return {
    store,
    of,
    purge: (text: string) => purger.run(of(text)),
    keep: async (module: string, version: string, extensions: readonly string[] = EXTENSIONS) => {
      for (const ext of EXTENSIONS.filter((one) => extensions.includes(one))) {
        now += 1;
        const name = { kind: 'file', module, version, ext } as const;
        const bytes = Buffer.from(`${module} ${version} ${ext}`);
        await store.stash(
          keyOf(name),
          { bytes },
          {
            size: bytes.length,
            sha256: sha256(bytes),
            time: new Date(now).toISOString(),
            source: 'http://upstream.test',
            extra: {},
          },
        );
        await completion.stored(name);
      }
    },
    /** Keys of all that is stored, but the feed. */
    keys: () =>
      filesBelow(dir)
        .map((file) => file.slice(dir.length + 1))
        .filter((key) => !key.endsWith('.record') && !key.startsWith('answers/index/')),
    feed: () => filesBelow(dir).filter((file) => file.includes('/answers/index/')),
    treeList: async (module: string) => {
      const document = await store.readDocument(`go/${module}/@v/list`);
      return document && Buffer.from(document).toString();
    },
  };
}

describe('a version', () => {
  test('goes with its three files and what was said of its module, and nothing else', async () => {
    const { store, keep, keys, purge, treeList } = await setUp();
    for (const version of ['v1.0.0', 'v1.2.0-RC.1', 'v1.2.0'])
      await keep('example.com/A/b', version);
    const before = keys();
    const answers = 'answers/go/example.com/!a/b';
    for (const name of ['@latest', '@v/list', '@v/main.info'])
      await store.writeDocument(`${answers}/${name}`, Buffer.from('x'));
    await store.writeDocument(`${answers}/c/@latest`, Buffer.from('of another'));
    const done = await purge('example.com/A/b@v1.2.0-RC.1');
    const bytes = EXTENSIONS.map((ext) => `example.com/A/b v1.2.0-RC.1 ${ext}`.length);
    expect(done).toEqual({
      purged: ['go:example.com/A/b@v1.2.0-RC.1'],
      freedBytes: bytes.reduce((a, b) => a + b),
    });
    expect(keys()).toEqual([
      'answers/go/example.com/!a/b/c/@latest',
      ...before.filter((key) => !key.includes('-!r!c.1')),
    ]);
    expect(await treeList('example.com/!a/b')).toBe('v1.0.0\nv1.2.0\n');
  });

  test('of which only one file is there goes too', async () => {
    const { keep, keys, purge } = await setUp();
    await keep('example.com/m', 'v1.0.0', ['mod']);
    expect(await purge('example.com/m@v1.0.0')).toMatchObject({
      purged: ['go:example.com/m@v1.0.0'],
    });
    expect(keys()).toEqual([]);
    expect(await purge('example.com/m@v1.0.0')).toEqual({ purged: [], freedBytes: 0 });
  });

  test('that is the last one takes the list of the tree along', async () => {
    const { keep, keys, purge } = await setUp();
    await keep('example.com/m', 'v1.0.0');
    expect(keys()).toContain('go/example.com/m/@v/list');
    await purge('example.com/m@v1.0.0');
    expect(keys()).toEqual([]);
  });

  test('comes back into the feed when it is complete again, behind its first entry', async () => {
    const { keep, purge, feed, treeList } = await setUp();
    await keep('example.com/m', 'v1.0.0');
    const first = feed();
    expect(first).toHaveLength(1);
    await purge('example.com/m@v1.0.0');
    expect(feed()).toEqual(first);
    await keep('example.com/m', 'v1.0.0');
    expect(feed()).toEqual([...first, expect.any(String)]);
    expect(await treeList('example.com/m')).toBe('v1.0.0\n');
  });
});

describe('a module', () => {
  test('goes with all versions, and leaves those that stand below it or begin alike', async () => {
    const { store, keep, keys, purge } = await setUp();
    const others = ['example.com/m/sub', 'example.com/m/v2', 'example.com/m2'];
    for (const other of others) await keep(other, other.endsWith('v2') ? 'v2.0.0' : 'v1.0.0');
    const before = keys();
    for (const version of ['v1.10.0', 'v1.9.0', 'v0.0.0-20240102030405-0123456789ab'])
      await keep('example.com/m', version);
    await store.writeDocument('answers/go/example.com/m/@v/list', Buffer.from('x'));
    const { purged } = await purge('example.com/m');
    expect(purged).toEqual([
      'go:example.com/m@v0.0.0-20240102030405-0123456789ab',
      'go:example.com/m@v1.9.0',
      'go:example.com/m@v1.10.0',
    ]);
    expect(keys()).toEqual(before);
  });

  test('that nobody ever asked for takes nothing', async () => {
    const { purge, keys } = await setUp();
    expect(await purge('example.com/m')).toEqual({ purged: [], freedBytes: 0 });
    expect(keys()).toEqual([]);
  });
});

describe('the scope', async () => {
  const { of } = await setUp();
  const key = (path: string) => {
    const name = parseGoPath(path);
    return name ? keyOf(name) : path;
  };
  const ours = ['list', 'v1.0.0.info', 'v1.0.0.zip', 'main.info'].map(
    (one) => `/x.test/m/@v/${one}`,
  );
  const others = [
    '/x.test/m/n/@v/list',
    '/x.test/m2/@latest',
    '/x.test/@v/list',
    '/x.test/m/n/@latest',
  ];

  test('of a module is all of it, and no other', () => {
    const matches = within(of('x.test/m').scope);
    for (const path of [...ours, '/x.test/m/@latest', '/x.test/m/@v/v1.9.9.mod'])
      expect([path, matches(key(path))]).toEqual([path, true]);
    for (const path of others) expect([path, matches(key(path))]).toEqual([path, false]);
  });

  test('of a version has no file of another one', () => {
    const matches = within(of('x.test/m@v1.0.0').scope);
    for (const path of [...ours, '/x.test/m/@latest'])
      expect([path, matches(key(path))]).toEqual([path, true]);
    for (const path of [...others, '/x.test/m/@v/v1.0.1.mod', '/x.test/m/@v/v1.0.0-a.zip'])
      expect([path, matches(key(path))]).toEqual([path, false]);
  });
});

describe('a name', async () => {
  const { of } = await setUp();

  test.each([
    ['example.com/M', 'go:example.com/M'],
    ['example.com/m@v1.2.3', 'go:example.com/m@v1.2.3'],
    ['example.com/m@v2.0.0+incompatible', 'go:example.com/m@v2.0.0+incompatible'],
    ['gopkg.in/yaml.v3@v3.0.1', 'go:gopkg.in/yaml.v3@v3.0.1'],
  ])('%s', (text, name) => {
    expect(of(text).name).toBe(name);
  });

  test.each([
    ['', /is empty/],
    ['example', /no dot/],
    ['example.com/!m', /character "!"/],
    ['example.com//m', /empty element/],
    ['../../etc', /./],
    ['example.com/m@', /semantic version/],
    ['example.com/m@main', /semantic version/],
    ['example.com/m@v1', /full name of a version: that is "v1\.0\.0"/],
    ['example.com/m@v2.0.0', /does not fit/],
    ['example.com/m@v1.0.0@v1.0.1', /semantic version/],
    ['@v1.0.0', /is empty/],
    [`example.com/${'m'.repeat(300)}`, /too long/],
    [`example.com/m@v1.0.0-${'a'.repeat(300)}`, /too long/],
  ])('%s is none', (text, sentence) => {
    expect(() => of(text)).toThrow(LarderError);
    expect(() => of(text)).toThrow(sentence);
  });
});
