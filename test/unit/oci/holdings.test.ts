import { describe, expect, test } from 'vitest';
import { LocalAnnouncements } from '../../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { within } from '../../../src/engine/purge-plan.ts';
import { digestText } from '../../../src/oci/digest.ts';
import { OciHoldings } from '../../../src/oci/holdings.ts';
import { contentKey } from '../../../src/oci/keys.ts';
import { Purger } from '../../../src/references/purge.ts';
import { recordOf } from '../../support/records.ts';
import {
  allOf,
  HeldImages,
  image,
  imageNode,
  index,
  sizeOf,
  type Node,
} from '../../support/held-images.ts';
import { imageManifest } from '../../support/images.ts';

const holdingsOf = ({ store }: HeldImages) =>
  new OciHoldings({ store, upstreams: { has: () => false } });

const digestName = (repository: string, { digest }: Node) =>
  `oci:${repository}@${digestText(digest)}`;

const namesOf = async (held: HeldImages) =>
  (await Array.fromAsync(holdingsOf(held).units())).map(({ name }) => name);

/** Evicts these units, one after another, as they are. */
async function evict(held: HeldImages, names: readonly string[]): Promise<number[]> {
  const announcements = new LocalAnnouncements();
  announcements.subscribe((scope) => held.links.forget(within(scope)));
  const purger = new Purger({ store: held.store, lock: new LocalLock(), announcements });
  const units = await Array.fromAsync(holdingsOf(held).units());
  const freed: number[] = [];
  const wanted = names.map((name) => units.find((unit) => unit.name === name));
  const evictable = wanted.map((unit) => {
    if (unit === undefined) throw new Error('there is no such unit');
    const gone = (bytes: number) => void freed.push(bytes);
    return { purgeable: unit.purgeable(), isSpared: () => false, gone };
  });
  await purger.evict(evictable, () => true);
  return freed;
}

test('units are tags, and digests that nothing in their repository owns', async () => {
  const held = new HeldImages();
  const multi = index({ 'linux/amd64': ['amd'], 'linux/arm64': ['arm'] });
  const [tagged, untagged, blob] = [image('one'), image('two'), image('three').children[1]];
  await held.pull('a.test/team/app', 'v1', multi);
  await held.pull('a.test/team/app', 'v2', tagged);
  await held.pull('a.test/team/app', undefined, untagged);
  if (blob) await held.get('a.test/team/app', blob);
  await held.pull('a.test/other', undefined, tagged);
  const names = await namesOf(held);
  expect(names).toEqual([
    digestName('a.test/other', tagged),
    'oci:a.test/team/app:v1',
    'oci:a.test/team/app:v2',
    ...[untagged, blob]
      .flatMap((node) => (node ? [digestName('a.test/team/app', node)] : []))
      .sort(),
  ]);
});

test('an image of Docker Hub is kept by either of its names', async () => {
  const held = new HeldImages();
  await held.pull('docker.io/nginx', '1', image('one'));
  const [unit] = await Array.fromAsync(holdingsOf(held).units());
  expect(unit?.pins).toEqual([
    'oci:docker.io/nginx:1',
    'oci:docker.io/nginx',
    'oci:docker.io/library/nginx:1',
    'oci:docker.io/library/nginx',
  ]);
});

describe('an eviction', () => {
  test('takes what a tag alone holds, and of two tags what they share with the second', async () => {
    const held = new HeldImages();
    const [one, two] = [image('shared', 'one'), image('shared', 'two')];
    await held.pull('a.test/app', 'v1', one);
    await held.pull('a.test/app', 'v2', two);
    await held.store.writeDocument('answers/oci/repos/a.test/app/_tags_list/all', Buffer.from('x'));
    const all = sizeOf(
      ...new Map([...allOf(one), ...allOf(two)].map((n) => [digestText(n.digest), n])).values(),
    );
    const freed = await evict(held, ['oci:a.test/app:v1', 'oci:a.test/app:v2']);
    expect(freed.reduce((sum, bytes) => sum + bytes, 0)).toBe(all);
    expect(held.store.content.size).toBe(0);
    expect(held.documents('oci/')).toEqual([]);
    // nothing of a list is wrong because of it
    expect(held.documents('answers/')).toHaveLength(1);
  });

  test('leaves what another repository holds', async () => {
    const held = new HeldImages();
    const one = image('one');
    await held.pull('a.test/app', 'v1', one);
    await held.pull('b.test/app', 'v1', one);
    expect(await evict(held, ['oci:a.test/app:v1'])).toEqual([0]);
    expect(held.stored(...allOf(one))).toHaveLength(allOf(one).length);
    await held.get('b.test/app', one);
    expect(await namesOf(held)).toEqual(['oci:b.test/app:v1']);
  });
});

test('strays are bytes that no repository has', async () => {
  const held = new HeldImages();
  const [one, two] = [image('one'), image('two')];
  await held.pull('a.test/app', 'v1', one);
  await held.store.stash(contentKey(two.digest), { bytes: two.bytes }, recordOf(two.bytes));
  const strays = await Array.fromAsync(holdingsOf(held).strays());
  expect(strays.map(({ name }) => name)).toEqual([`oci:@${digestText(two.digest)}`]);
  const plan = await strays[0]?.purgeable().plan();
  expect(plan?.contents.map(({ key }) => key)).toEqual([contentKey(two.digest)]);
});

describe('a list', async () => {
  const held = new HeldImages();
  const [one, two] = [image('one'), image('two')];
  for (const repository of [
    'a.test/app',
    'a.test/app/1',
    'a.test/app/sub',
    'a.test/apple',
    'b.test:5000/x',
  ]) {
    await held.pull(repository, 'v1', one);
    await held.pull(repository, 'v2', one);
    await held.pull(repository, undefined, two);
  }
  const list = async (prefix: string, after = '') =>
    (await Array.fromAsync(holdingsOf(held).list({ prefix, after }))).map(({ name }) =>
      name.replace(/^oci:/, ''),
    );
  const every = await list('');

  test('has them all, each with its bytes', async () => {
    expect(every).toHaveLength(15);
    const [first] = await Array.fromAsync(
      holdingsOf(held).list({ prefix: 'a.test/app:', after: '' }),
    );
    expect(first).toMatchObject({
      name: 'oci:a.test/app:v1',
      bytes: sizeOf(...allOf(one)),
      details: { repository: 'a.test/app', tag: 'v1', digest: digestText(one.digest) },
    });
  });

  test('goes on behind any of them', async () => {
    for (const [i, name] of every.entries())
      expect(await list('', name), name).toEqual(every.slice(i + 1));
  });

  test.each([
    'a',
    'a.test/app',
    'a.test/app:',
    'a.test/app:v2',
    'a.test/app@',
    'a.test/app/',
    'b.test:50',
    'c',
  ])('has those alone that begin with %s', async (prefix) => {
    expect(await list(prefix)).toEqual(every.filter((name) => name.startsWith(prefix)));
  });

  test('does not begin behind what is no name', async () => {
    await expect(list('', 'nonsense')).rejects.toThrow(/registry's host/);
  });
});

test('a manifest and its subject refer to each other, and neither owns the other', async () => {
  const held = new HeldImages();
  const [signed, signature] = [
    imageManifest({ layers: ['signed'] }),
    imageManifest({ layers: ['signature'], subject: imageManifest({ layers: ['signed'] }) }),
  ].map((one) => imageNode(one));
  if (!signed || !signature) throw new Error('there are two');
  await held.pull('a.test/app', 'v1', signed);
  await held.pull('a.test/app', undefined, signature);
  await held.pull('b.test/app', undefined, signature);
  const holdings = holdingsOf(held);
  const own = { name: digestName('a.test/app', signature), by: 'subject' };
  const detailsOf = async (name: string) => (await holdings.inspect(name))?.details ?? {};
  const { referredBy } = await detailsOf('a.test/app:v1');
  expect(referredBy).toEqual([{ name: 'oci:a.test/app:v1', by: 'tag' }, own]);
  const { refersTo } = await detailsOf(`b.test/app@${digestText(signature.digest)}`);
  expect((refersTo as unknown[]).at(-1)).toEqual({
    digest: digestText(signed.digest),
    by: 'subject',
    stored: true,
    bytes: signed.bytes.length,
  });
  // what it is of goes alone
  await held.purge('a.test/app:v1');
  expect([held.isStored(signed.digest), held.isStored(signature.digest)]).toEqual([false, true]);
});

test('what is known of one says who refers to it and to whom it refers', async () => {
  const held = new HeldImages();
  const one = image('one');
  await held.pull('a.test/app', 'v1', one);
  await held.pull('b.test/app', 'x', one);
  const holdings = holdingsOf(held);
  const tag = await holdings.inspect('a.test/app:v1');
  expect(tag?.unit.name).toBe('oci:a.test/app:v1');
  expect(tag?.details).toMatchObject({
    digest: digestText(one.digest),
    stored: true,
    bytes: one.bytes.length,
    mediaType: one.mediaType,
    refersTo: one.children.map(({ digest, bytes }) => ({
      digest: digestText(digest),
      by: 'manifest',
      stored: true,
      bytes: bytes.length,
    })),
  });
  expect(tag?.details['referredBy']).toEqual(
    expect.arrayContaining([
      { name: 'oci:a.test/app:v1', by: 'tag' },
      { name: 'oci:b.test/app:x', by: 'tag' },
    ]),
  );
  const layer = await holdings.inspect(
    `a.test/app@${digestText(one.children[1]?.digest ?? one.digest)}`,
  );
  expect(layer?.details['referredBy']).toContainEqual({
    name: digestName('a.test/app', one),
    by: 'manifest',
  });
  expect(await holdings.inspect('a.test/app:none')).toBeUndefined();
  expect(await holdings.inspect(`c.test/app@${digestText(one.digest)}`)).toBeUndefined();
});
