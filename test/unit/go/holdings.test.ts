import { describe, expect, test } from 'vitest';
import { LocalAnnouncements } from '../../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { Answers, confirmed } from '../../../src/engine/answers.ts';
import { GoHoldings, goUsedAs } from '../../../src/go/holdings.ts';
import { keyOf, type GoAnswerName } from '../../../src/go/names.ts';
import { TreeList } from '../../../src/go/tree-list.ts';
import { Purger } from '../../../src/references/purge.ts';
import { MemoryStore } from '../../support/engine.ts';
import { recordOf } from '../../support/records.ts';

const VERSIONS = [
  'example.com/A@v1.0.0',
  'example.com/A@v1.10.0',
  'example.com/A@v1.2.0-RC1',
  'example.com/A/1x@v1.0.0',
  'example.com/A/b/v2@v2.0.0',
  'example.com/Ab@v1.0.0',
  'example.org/m@v0.0.0-20240102030405-0123456789ab',
];

async function filled() {
  const store = new MemoryStore();
  for (const name of VERSIONS) {
    const [module = '', version = ''] = name.split('@');
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const bytes = Buffer.from(`${name}.${ext}`);
      await store.stash(keyOf({ kind: 'file', module, version, ext }), { bytes }, recordOf(bytes));
    }
  }
  const treeList = new TreeList(store);
  return { store, treeList, holdings: new GoHoldings({ store, treeList }) };
}

const { holdings } = await filled();
const list = async (prefix: string, after = '') =>
  (await Array.fromAsync(holdings.list({ prefix, after }))).map(({ name }) =>
    name.replace(/^go:/, ''),
  );

describe('a list', () => {
  test('has every version, with its bytes', async () => {
    expect((await list('')).sort()).toEqual([...VERSIONS].sort());
    const [first] = await Array.fromAsync(holdings.list({ prefix: 'example.com/Ab', after: '' }));
    expect(first).toMatchObject({
      name: 'go:example.com/Ab@v1.0.0',
      pins: ['go:example.com/Ab@v1.0.0', 'go:example.com/Ab'],
      bytes: 3 * 'example.com/Ab@v1.0.0.xxx'.length + 1,
      details: { module: 'example.com/Ab', version: 'v1.0.0' },
    });
  });

  test('goes on behind any of them', async () => {
    const every = await list('');
    for (const [i, name] of every.entries())
      expect(await list('', name), name).toEqual(every.slice(i + 1));
  });

  test.each([
    'example',
    'example.com/A',
    'example.com/A@',
    'example.com/A@v1.1',
    'example.com/A/',
    'x',
  ])('has those alone that begin with %s', async (prefix) => {
    const every = await list('');
    expect(await list(prefix)).toEqual(every.filter((name) => name.startsWith(prefix)));
  });

  test('does not begin behind what is no name', async () => {
    await expect(list('', 'example.com/A@nonsense')).rejects.toThrow(/nonsense/);
  });
});

test('what is known of a version are its files, and where they came from', async () => {
  const found = await holdings.inspect('example.com/A@v1.0.0');
  expect(found?.details).toMatchObject({ version: 'v1.0.0', complete: true });
  expect(found?.details['files']).toHaveLength(3);
  expect((found?.details['files'] as object[])[0]).toMatchObject({
    name: 'info',
    source: 'http://upstream.test',
  });
  expect(await holdings.inspect('example.com/A@v1.0.1')).toBeUndefined();
  await expect(holdings.inspect('example.com/A')).rejects.toThrow(/give a version too/);
});

test('who refers to a version are the queries and the latest that lead to it', async () => {
  const { store, holdings } = await filled();
  const module = 'example.com/A';
  const answers = new Answers(store);
  const say = (name: GoAnswerName, text: string) =>
    answers.keep(
      keyOf(name),
      confirmed({ bytes: Buffer.from(text), source: 'http://upstream.test' }, undefined, 0),
    );
  await say({ kind: 'query', module, query: 'main' }, '{"Version":"v1.10.0"}');
  await say({ kind: 'query', module, query: 'v1' }, '{"Version":"v1.10.0"}');
  await say({ kind: 'query', module, query: 'Old' }, '{"Version":"v1.0.0"}');
  await say({ kind: 'latest', module }, '{"Version":"v1.10.0"}');
  await say({ kind: 'list', module }, 'v1.0.0\nv1.10.0\n');
  await say({ kind: 'latest', module: 'example.com/Ab' }, '{"Version":"v1.0.0"}');
  await store.writeDocument(keyOf({ kind: 'query', module, query: 'torn' }), Buffer.from('{'));
  const referredBy = async (version: string) =>
    (await holdings.inspect(`${module}@${version}`))?.details['referredBy'];
  expect(await referredBy('v1.10.0')).toEqual([
    { name: 'go:example.com/A@main', by: 'query' },
    { name: 'go:example.com/A@v1', by: 'query' },
    { name: 'go:example.com/A@latest', by: 'latest' },
  ]);
  expect(await referredBy('v1.0.0')).toEqual([{ name: 'go:example.com/A@Old', by: 'query' }]);
  expect(await referredBy('v1.2.0-RC1')).toEqual([]);
});

test('an eviction takes the three files, and the version out of the derived list alone', async () => {
  const { store, treeList, holdings } = await filled();
  await treeList.write('example.com/A');
  await store.writeDocument('answers/go/example.com/!a/@v/list', Buffer.from('said'));
  const units = await Array.fromAsync(holdings.units());
  const unit = units.find(({ name }) => name === 'go:example.com/A@v1.0.0');
  if (unit === undefined) throw new Error('it is not there');
  const announcements = new LocalAnnouncements();
  const purger = new Purger({ store, lock: new LocalLock(), announcements });
  let freed = 0;
  const gone = (bytes: number) => void (freed += bytes);
  await purger.evict([{ purgeable: unit.purgeable(), isSpared: () => false, gone }], () => true);
  expect(freed).toBe(3 * 'example.com/A@v1.0.0.xxx'.length + 1);
  const left = await store.list('go/example.com/!a/@v');
  expect(left.filter((name) => name.startsWith('v1.0.0.'))).toEqual([]);
  expect(Buffer.from(store.documents.get('go/example.com/!a/@v/list') ?? []).toString()).toBe(
    'v1.2.0-RC1\nv1.10.0\n',
  );
  expect(store.documents.has('answers/go/example.com/!a/@v/list')).toBe(true);
});

test('any of its files is used as the version', () => {
  const used = ['info', 'mod', 'zip'].map((ext) => goUsedAs(`go/example.com/m/@v/v1.0.0.${ext}`));
  expect(new Set(used)).toEqual(new Set(['go/example.com/m/@v/v1.0.0']));
  expect(goUsedAs('answers/go/example.com/m/@v/list')).toBeUndefined();
});
