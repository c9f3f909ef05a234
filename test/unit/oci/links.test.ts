import { beforeEach, describe, expect, test } from 'vitest';
import { LarderError } from '../../../src/engine/errors.ts';
import { OciContentRequest } from '../../../src/oci/content.ts';
import { digestText, type Digest } from '../../../src/oci/digest.ts';
import type { RegistryFetcher } from '../../../src/oci/fetch-registry.ts';
import { contentKey, linkKey, referencesFolder } from '../../../src/oci/keys.ts';
import type { RepositoryName } from '../../../src/oci/upstreams.ts';
import { never, sha256 } from '../../support/engine.ts';
import {
  allOf,
  HeldImages,
  image,
  repositoryOf,
  settled,
  type Node,
} from '../../support/held-images.ts';

const A = 'a.test/app';
const repository = repositoryOf(A);
const app = image('base', 'tool');
const [config = app, layer = app] = app.children;
/** As an owner. */
const manifest = `manifest-${digestText(app.digest).replace(':', '-')}`;

let held: HeldImages;
beforeEach(() => {
  held = new HeldImages();
});

const writes = () => held.store.calls.filter((call) => /^(stash|writeDocument) /.test(call));
const owners = ({ digest }: Node) =>
  held
    .documents(`${referencesFolder(digest)}/`)
    .map((element) => element.replace(/-[0-9a-f]{32}/, ''));

describe('what is written', () => {
  test('comes in order: bytes, link, edges, tag, each once', async () => {
    await held.pull(A, '1', app);
    const order = writes();
    const tag = order.findIndex((call) => call.includes('_tags'));
    const edgeOfTag = order.findIndex((call) => /\/tag-[0-9a-f]{32}-1$/.test(call));
    expect(edgeOfTag).toBeGreaterThanOrEqual(0);
    expect(tag).toBeGreaterThan(edgeOfTag);
    expect(new Set(order).size).toBe(order.length);
    for (const one of allOf(app)) {
      const link = order.indexOf(`writeDocument ${linkKey(repository, one.digest)}`);
      const edge = order.findIndex((call) => call.includes(referencesFolder(one.digest)));
      expect(link).toBeGreaterThanOrEqual(0);
      expect(edge).toBeGreaterThan(link);
    }
    expect(owners(app)).toEqual(['tag-1']);
    for (const child of app.children) expect(owners(child)).toEqual([manifest]);
  });

  test('says whose it is, and when', async () => {
    await held.tag(A, '1', app);
    const [key = ''] = held.documents('oci/references/');
    const document = held.store.documents.get(`oci/references/${key}`);
    expect(JSON.parse(Buffer.from(document ?? '').toString())).toMatchObject({
      upstream: 'a.test',
      path: 'app',
      time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
  });

  test('of a hit is nothing, and nothing is asked of the store', async () => {
    await held.pull(A, '1', app);
    const before = held.store.calls.length;
    held.links.tagged(repository, app.digest, '1');
    expect(await held.links.has(repository, layer.digest)).toBe(true);
    held.links.filled(repository, layer.digest, undefined);
    await settled();
    expect(held.store.calls.slice(before)).toEqual([]);
  });

  test('is not written again after a restart, but where a killed process left it out', async () => {
    await held.pull(A, '1', app);
    held.restart();
    const before = writes().length;
    held.links.tagged(repository, app.digest, '1');
    await settled();
    expect(writes().slice(before)).toEqual([]);
    const all = held.documents('oci/');
    for (const key of held.documents('oci/references/'))
      await held.store.delete(`oci/references/${key}`);
    held.restart();
    held.links.tagged(repository, app.digest, '1');
    await settled();
    expect(held.documents('oci/')).toEqual(all);
  });

  test.each(['writeDocument', 'readDocument'] as const)(
    'and fails in %s is told, and tried again',
    async (operation) => {
      held.store.refuse(operation);
      held.links.filled(
        repository,
        app.digest,
        new Map([['x', { ...layer.digest, mediaType: 'text/plain', size: 1 }]]),
      );
      held.links.tagged(repository, config.digest, '1');
      await settled();
      expect(held.events.map(({ name, operation: of }) => [name, of])).toContainEqual([
        'storeFailed',
        'link',
      ]);
      held.store.recover();
      held.links.tagged(repository, config.digest, '1');
      await settled();
      expect(owners(config)).toEqual(['tag-1']);
    },
  );
});

describe('a use', () => {
  test('owns what was asked for by digest, and only where nobody else does', async () => {
    await held.get(A, layer);
    expect(owners(layer)).toEqual(['use']);
    await held.tag(A, '1', app);
    await held.get(A, app);
    expect(owners(app)).toEqual(['tag-1']);
    expect(owners(config)).toHaveLength(1);
    await held.get(A, config);
    expect(owners(config)).toHaveLength(1);
  });

  test('is written where a tag has moved on', async () => {
    await held.tag(A, '1', app);
    await held.tag(A, '1', image('other'));
    held.restart();
    await held.get(A, app);
    expect(owners(app)).toEqual(['tag-1', 'use']);
  });

  test('waits for a manifest that is about to own it', async () => {
    await held.pull('b.test/app', '1', app);
    // as they are when the other repository is purged meanwhile
    for (const element of held.documents(`${referencesFolder(layer.digest)}/`))
      await held.store.delete(`${referencesFolder(layer.digest)}/${element}`);
    held.links.granted(repository, app.digest);
    held.links.granted(repository, layer.digest);
    await settled();
    expect(owners(layer)).toEqual([manifest]);
  });

  test('is none where the repository holds a manifest that names it elsewhere', async () => {
    await held.pull('b.test/app', '1', app);
    held.links.granted(repository, config.digest);
    await settled();
    expect(owners(config)).toEqual([manifest, 'use']);
    const link = linkKey(repository, app.digest);
    await held.store.writeDocument(link, Buffer.from('{}'));
    held.links.granted(repository, layer.digest);
    await settled();
    expect(owners(layer)).toEqual([manifest, manifest]);
  });
});

describe('a purge', () => {
  test('makes it forget what matches, and nothing else', async () => {
    await held.pull(A, '1', app);
    await held.pull(A, '2', app);
    const key = linkKey(repository, layer.digest);
    await held.store.delete(key);
    await held.links.forget((one) => one === key);
    expect(await held.links.has(repository, layer.digest)).toBe(false);
    const before = held.store.calls.length;
    expect(await held.links.has(repository, config.digest)).toBe(true);
    expect(held.store.calls.length).toBe(before);
    // one edge of two
    const [edge = ''] = held.documents(`${referencesFolder(app.digest)}/`);
    const edgeKey = `${referencesFolder(app.digest)}/${edge}`;
    await held.store.delete(edgeKey);
    await held.links.forget((one) => one === edgeKey);
    held.links.tagged(repository, app.digest, '1');
    held.links.tagged(repository, app.digest, '2');
    await settled();
    expect(owners(app)).toEqual(['tag-1', 'tag-2']);
  });

  test('brings back nothing that was being read', async () => {
    await held.pull(A, '1', app);
    held.restart();
    const gate = held.store.hold('readDocument');
    const reading = held.links.has(repository, layer.digest);
    await gate.reached;
    held.store.holdNoMore('readDocument');
    const key = linkKey(repository, layer.digest);
    await held.links.forget((one) => one === key);
    await held.store.delete(key);
    gate.open();
    expect(await reading).toBe(true);
    expect(await held.links.has(repository, layer.digest)).toBe(false);
  });

  test.each([
    ['a link', linkKey],
    // another repository's, perhaps
    ['bytes', (_repository: RepositoryName, digest: Digest) => contentKey(digest)],
  ])('of %s waits for what was being written, so that it is found', async (_what, keyOf) => {
    const gate = held.store.hold('writeDocument');
    held.links.filled(repository, layer.digest, undefined);
    await gate.reached;
    let isOver = false;
    const forgotten = held.links.forget((one) => one === keyOf(repository, layer.digest));
    void Promise.race([forgotten, held.links.settled()]).then(() => (isOver = true));
    await settled();
    expect(isOver).toBe(false);
    gate.open();
    await forgotten;
    expect(owners(layer)).toEqual(['use']);
  });

  test('of a link forgets it also where it was written meanwhile', async () => {
    const gate = held.store.hold('writeDocument');
    held.links.filled(repository, layer.digest, undefined);
    await gate.reached;
    const forgotten = held.links.forget((one) => one === linkKey(repository, layer.digest));
    held.store.holdNoMore('writeDocument');
    gate.open();
    await forgotten;
    const before = held.store.calls.length;
    await held.links.has(repository, layer.digest);
    expect(held.store.calls.length).toBe(before + 1);
  });
});

describe('while a manifest is filled', () => {
  const fetcher = {
    manifest: () => Promise.reject(new LarderError('upstream_failed', 'not asked in this test')),
  } as Partial<RegistryFetcher> as RegistryFetcher;

  const begin = async () => {
    const parts = { links: held.links, fetcherOf: () => fetcher };
    const request = new OciContentRequest('manifest', parts, repository, app.digest);
    await expect(request.fetch(never)).rejects.toThrow();
    const { bytes } = app;
    await request.beginCheck().verify({ bytes }, bytes.length, sha256(bytes));
    return request;
  };

  test('what it names may be read, and nothing is written yet', async () => {
    const request = await begin();
    for (const { digest } of allOf(app))
      expect(await held.links.has(repository, digest)).toBe(true);
    expect(writes()).toEqual([]);
    request.onEnd(true);
    await settled();
    expect(held.documents('oci/repos/')).toHaveLength(allOf(app).length);
    expect(owners(app)).toEqual(['use']);
  });

  test('the sizes that it tells are known at once, later, and to the next process', async () => {
    const sizes = () =>
      Promise.all([layer, app].map(({ digest }) => held.links.declaredSize(repository, digest)));
    const known = [layer.bytes.length, undefined];
    expect(await sizes()).toEqual([undefined, undefined]);
    const request = await begin();
    expect(await sizes()).toEqual(known);
    request.onEnd(true);
    expect(await sizes()).toEqual(known);
    await settled();
    held.restart();
    expect(await sizes()).toEqual(known);
    held.store.refuse('readDocument');
    held.restart();
    expect(await sizes()).toEqual([undefined, undefined]);
    expect(held.events).toContainEqual(expect.objectContaining({ name: 'storeFailed' }));
  });

  test('nothing is left of one that is not kept', async () => {
    const one = await begin();
    const other = await begin();
    one.onEnd(false);
    expect(await held.links.has(repository, layer.digest)).toBe(true);
    other.onEnd(false);
    await settled();
    for (const { digest } of allOf(app))
      expect(await held.links.has(repository, digest)).toBe(false);
    expect(writes()).toEqual([]);
  });
});
