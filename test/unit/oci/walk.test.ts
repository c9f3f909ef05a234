import { expect, test } from 'vitest';
import { digestText } from '../../../src/oci/digest.ts';
import { repositoryKey } from '../../../src/oci/keys.ts';
import { linkedDigests, repositories, storedDigests, tagsOf } from '../../../src/oci/walk.ts';
import { allOf, HeldImages, image, repositoryOf } from '../../support/held-images.ts';

const named = (nodes: ReturnType<typeof allOf>) =>
  nodes.map(({ digest }) => digestText(digest)).sort();

test('repositories are met whatever lies below them, with their links and tags', async () => {
  const held = new HeldImages();
  const [base, app, other] = [image('base'), image('base', 'app'), image('other')];
  await held.pull('a.test:5000/team', 'v1', base);
  await held.pull('a.test:5000/team/app', 'v1', app);
  await held.pull('a.test:5000/team/app', 'v2', base);
  await held.pull('b.test/tags/list', undefined, other);
  const met = await Array.fromAsync(repositories(held.store));
  expect(met.map((one) => repositoryKey(one).replace('oci/repos/', ''))).toEqual([
    'a.test:5000/team',
    'a.test:5000/team/app',
    'b.test/tags/list',
  ]);
  const team = repositoryOf('a.test:5000/team/app');
  const linked = await Array.fromAsync(linkedDigests(held.store, team));
  expect(linked.map(digestText).sort()).toEqual(
    [...new Set(named([...allOf(base), ...allOf(app)]))].sort(),
  );
  expect(await tagsOf(held.store, team)).toEqual(['v1', 'v2']);
  expect(await tagsOf(held.store, repositoryOf('b.test/tags/list'))).toEqual([]);
  const stored = await Array.fromAsync(storedDigests(held.store));
  expect(stored.map(digestText).sort()).toEqual(
    [...new Set(named([base, app, other].flatMap(allOf)))].sort(),
  );
});

test('an empty store has none', async () => {
  const { store } = new HeldImages();
  expect(await Array.fromAsync(repositories(store))).toEqual([]);
  expect(await Array.fromAsync(storedDigests(store))).toEqual([]);
});
