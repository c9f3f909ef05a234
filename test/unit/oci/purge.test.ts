import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { digestText } from '../../../src/oci/digest.ts';
import { edgeKey, repositoryHash } from '../../../src/oci/edges.ts';
import { contentKey, linkKey, referencesFolder } from '../../../src/oci/keys.ts';
import { ociPurgeable } from '../../../src/oci/purge.ts';
import { within } from '../../../src/engine/purge-plan.ts';
import {
  allOf,
  HeldImages,
  image,
  index,
  repositoryOf,
  sizeOf,
  type Node,
} from '../../support/held-images.ts';

const A = 'a.test/app';
const B = 'b.test/team/app';
const named = (repository: string, ...nodes: Node[]) =>
  nodes.map(({ digest }) => `oci:${repository}@${digestText(digest)}`).sort();
const at = (repository: string, { digest }: Node) => `${repository}@${digestText(digest)}`;

let held: HeldImages;
beforeEach(() => {
  held = new HeldImages();
});

/** Nothing is left of what was purged. */
const expectEmpty = () => {
  expect(held.store.content.size).toBe(0);
  expect(held.documents('oci/')).toEqual([]);
};

describe('a tag', () => {
  const app = index({ amd64: ['base', 'amd64 tool'], arm64: ['base', 'arm64 tool'] });

  test('in two repositories: bytes go with the last of them', async () => {
    await held.pull(A, '1', app);
    await held.pull(B, '2', app);
    expect(await held.purge(`${A}:1`)).toEqual({
      purged: [`oci:${A}:1`, ...named(A, ...allOf(app))],
      freedBytes: 0,
    });
    expect(held.stored(...allOf(app))).toHaveLength(allOf(app).length);
    expect(held.documents('oci/repos/a.test')).toEqual([]);
    expect(await held.purge(`${B}:2`)).toEqual({
      purged: [`oci:${B}:2`, ...named(B, ...allOf(app))],
      freedBytes: sizeOf(...allOf(app)),
    });
    expectEmpty();
  });

  test('of two that lead there goes by itself', async () => {
    await held.pull(A, '1', app);
    await held.pull(A, '2', app);
    expect(await held.purge(`${A}:1`)).toEqual({ purged: [`oci:${A}:1`], freedBytes: 0 });
    // the next one to lead there is written again
    await held.tag(A, '1', app);
    expect(held.documents(`${referencesFolder(app.digest)}/`)).toHaveLength(2);
    await held.purge(`${A}:2`);
    const last = await held.purge(`${A}:1`);
    expect(last.freedBytes).toBe(sizeOf(...allOf(app)));
    expectEmpty();
  });

  test('takes what it alone has, and what is shared stays', async () => {
    const other = index({ amd64: ['base', 'other'] });
    await held.pull(A, '1', app);
    await held.pull(A, '2', other);
    const mine = allOf(app).filter((one) => !allOf(other).some(isSame(one)));
    expect(await held.purge(`${A}:1`)).toEqual({
      purged: [`oci:${A}:1`, ...named(A, ...mine)],
      freedBytes: sizeOf(...mine),
    });
    expect(held.stored(...allOf(other))).toHaveLength(allOf(other).length);
    // no edge is left of a manifest that is gone
    for (const { digest } of mine)
      expect(held.documents('oci/references/').join()).not.toContain(digest.hex);
    await held.purge(`${A}:2`);
    expectEmpty();
  });

  test('whose manifest an index names, or another one by digest, leaves it', async () => {
    const [child = app] = app.children;
    await held.pull(A, 'multi', app);
    await held.pull(A, 'amd64', child);
    expect(await held.purge(`${A}:amd64`)).toEqual({ purged: [`oci:${A}:amd64`], freedBytes: 0 });
    await held.pull(A, 'amd64', child);
    await held.purge(`${A}:multi`);
    expect(held.stored(...allOf(app))).toHaveLength(allOf(child).length);
    await held.purge(`${A}:amd64`);
    expectEmpty();
  });

  test('that has moved takes the new image; the old one is owned by nobody', async () => {
    const old = image('old');
    const fresh = image('fresh');
    await held.pull(A, '1', old);
    await held.pull(A, '1', fresh);
    // its edge is stale: the tag says otherwise
    expect((await held.plan(at(A, old))).names).toEqual(named(A, ...allOf(old)).filter(unshared));
    await held.purge(`${A}:1`);
    expect(held.stored(...allOf(fresh))).toHaveLength(1);
    await held.purge(at(A, old));
    expectEmpty();

    function unshared(name: string): boolean {
      return !allOf(fresh).some(({ digest }) => name.endsWith(digestText(digest)));
    }
  });

  test('of which only the manifest was asked, or not even that', async () => {
    await held.tag(A, 'head', app);
    await held.tag(A, 'one', app);
    await held.get(A, app);
    expect(await held.purge(`${A}:head`)).toEqual({ purged: [`oci:${A}:head`], freedBytes: 0 });
    // what is linked and not stored is not named
    expect(await held.purge(`${A}:one`)).toEqual({
      purged: [`oci:${A}:one`, ...named(A, app)],
      freedBytes: app.bytes.length,
    });
    await held.tag(A, 'head', app);
    const { names, contents } = await held.plan(`${A}:head`);
    expect(names).toEqual([`oci:${A}:head`]);
    // so that a fill in the making is not kept
    expect(contents.map(({ key }) => key)).toEqual([contentKey(app.digest)]);
    await held.purge(`${A}:head`);
    expectEmpty();
  });

  test('that is not there, or cannot be read', async () => {
    expect(await held.purge(`${A}:none`)).toEqual({ purged: [], freedBytes: 0 });
    await held.store.writeDocument('oci/repos/a.test/app/_tags/bad', Buffer.from('{'));
    expect((await held.purge(`${A}:bad`)).purged).toEqual([`oci:${A}:bad`]);
    expectEmpty();
  });

  test('twice: the second finds nothing', async () => {
    await held.pull(A, '1', app);
    await held.purge(`${A}:1`);
    expect(await held.purge(`${A}:1`)).toEqual({ purged: [], freedBytes: 0 });
  });
});

describe('a digest', () => {
  const app = image('base', 'tool');

  test('takes its tags with it, and leaves another repository its own', async () => {
    await held.pull(A, '1', app);
    await held.pull(A, '2', app);
    await held.pull(A, 'other', image('other'));
    await held.pull(B, '1', app);
    const { purged } = await held.purge(at(A, app));
    const [, config, ...layers] = allOf(app);
    // its config is that of the other image
    expect(config).toBeDefined();
    expect(purged).toEqual([`oci:${A}:1`, `oci:${A}:2`, ...named(A, app, ...layers)]);
    expect(held.stored(...allOf(app))).toHaveLength(allOf(app).length);
    expect((await held.purge(at(B, app))).freedBytes).toBe(sizeOf(app, ...layers));
  });

  test('is owned by its use, until it is purged itself', async () => {
    await held.pull(A, undefined, app);
    expect(held.documents(`${referencesFolder(app.digest)}/`)).toHaveLength(1);
    await held.pull(A, '1', app);
    expect(await held.purge(`${A}:1`)).toEqual({ purged: [`oci:${A}:1`], freedBytes: 0 });
    expect((await held.purge(at(A, app))).freedBytes).toBe(sizeOf(...allOf(app)));
    expectEmpty();
  });

  test('of a blob that was asked for by itself stays when an image goes', async () => {
    const [config, layer = app] = app.children;
    await held.get(A, layer);
    await held.pull(A, '1', app);
    await held.purge(`${A}:1`);
    expect(held.stored(...allOf(app))).toEqual([layer]);
    expect(config).toBeDefined();
    await held.purge(at(A, layer));
    expectEmpty();
  });

  test('of a layer goes though its image stays, which owns it when it comes back', async () => {
    const [, layer = app] = app.children;
    await held.pull(A, '1', app);
    expect(await held.purge(at(A, layer))).toEqual({
      purged: named(A, layer),
      freedBytes: layer.bytes.length,
    });
    expect(await held.links.has(repositoryOf(A), layer.digest)).toBe(false);
    await held.get(A, layer);
    await held.purge(`${A}:1`);
    expectEmpty();
  });

  test('that the repository has nothing to do with', async () => {
    await held.pull(B, '1', app);
    const before = held.documents('');
    expect(await held.purge(at(A, app))).toEqual({ purged: [], freedBytes: 0 });
    expect(held.documents('')).toEqual(before);
  });
});

describe('a repository', () => {
  test('goes with all that is in it, and no other one of its name', async () => {
    const app = index({ amd64: ['base', 'x'], arm64: ['y'] });
    await held.pull(A, '1', app);
    await held.pull(A, undefined, image('by digest'));
    await held.pull(`${A}/sub`, '1', image('base', 'below'));
    await held.pull('a.test/apple', '1', image('beside'));
    const lists = ['_tags_list/all', '_tags_list/x', `_referrers/sha256/${'ab'.repeat(32)}/all`];
    for (const repository of ['app', 'app/sub']) {
      for (const list of lists) {
        await held.store.writeDocument(
          `answers/oci/repos/a.test/${repository}/${list}`,
          Buffer.from('-'),
        );
      }
    }
    const { purged } = await held.purge(A);
    const mine = [...allOf(app), ...allOf(image('by digest'))];
    expect(purged).toEqual([`oci:${A}:1`, ...new Set(named(A, ...mine))]);
    const rest = [...allOf(image('base', 'below')), ...allOf(image('beside'))];
    expect(held.stored(...rest)).toHaveLength(rest.length);
    expect(held.documents('oci/repos/a.test/app/').every((key) => key.startsWith('sub/'))).toBe(
      true,
    );
    expect(held.documents('answers/').sort()).toEqual(
      lists.map((list) => `oci/repos/a.test/app/sub/${list}`).sort(),
    );
    await held.purge(`${A}/sub`);
    await held.purge('a.test/apple');
    expectEmpty();
  });

  test('on Docker Hub goes under both its names, with bytes that both hold', async () => {
    const app = image('base');
    await held.pull('docker.io/library/nginx', '1', app);
    await held.pull('docker.io/nginx', '1', app);
    const { purged, freedBytes } = await held.purge('docker.io/nginx');
    expect(purged.slice(0, 2)).toEqual(['oci:docker.io/library/nginx:1', 'oci:docker.io/nginx:1']);
    expect(purged).toHaveLength(2 + 2 * allOf(app).length);
    expect(freedBytes).toBe(sizeOf(...allOf(app)));
    expectEmpty();
  });
});

describe('in doubt', () => {
  const app = image('base');

  test('an edge without a link holds no bytes', async () => {
    await held.pull(A, '1', app);
    await held.pull(B, '1', app);
    const link = linkKey(repositoryOf(B), app.digest);
    await held.store.delete(link);
    await held.purge(`${A}:1`);
    expect(held.isStored(app.digest)).toBe(false);
  });

  test.each(['tag-0-x', `use-${'0'.repeat(32)}`, `pin-${'0'.repeat(32)}`])(
    'an edge %j that cannot be read holds them',
    async (element) => {
      await held.pull(A, '1', app);
      await held.store.writeDocument(
        `${referencesFolder(app.digest)}/${element}`,
        Buffer.from('{"newer":true}'),
      );
      await held.purge(`${A}:1`);
      expect(held.stored(...allOf(app))).toEqual([app]);
    },
  );

  test('an edge of a manifest that the repository does not hold is stale', async () => {
    await held.pull(A, '1', app);
    const [config = app] = app.children;
    const owner = { kind: 'manifest', digest: image('gone').digest } as const;
    const key = edgeKey(config.digest, repositoryHash(repositoryOf(A)), owner);
    await held.store.writeDocument(key, Buffer.from('{}'));
    await held.purge(`${A}:1`);
    expectEmpty();
  });

  test('a manifest that another repository brought owns what it names, although an index made it known', async () => {
    const shared = index({ x: ['q', 'r'], y: ['r', 's'] });
    await held.pull(A, '1', image('p', 'q'));
    await held.pull(B, '1', image('q', 'r'));
    await held.pull(A, '3', shared);
    await held.purge(`${A}:1`);
    for (const { digest } of allOf(shared))
      expect(await held.store.readDocument(linkKey(repositoryOf(A), digest))).toBeDefined();
  });

  test('a manifest that is linked and not stored owns what its edges say', async () => {
    await held.pull(A, '1', app);
    const [config = app] = app.children;
    await held.pull(A, '2', image('other'));
    await held.store.delete(contentKey(image('other').digest));
    await held.purge(`${A}:1`);
    expect(held.isStored(config.digest)).toBe(true);
  });

  test.each([A, B])('bytes that %s has linked since the plan was made stay', async (repository) => {
    await held.pull(A, '1', app);
    const { contents, documents } = await held.plan(`${A}:1`);
    await held.links.forget(() => true);
    for (const key of documents.flat()) await held.store.delete(key);
    await held.get(repository, app);
    const stay = await Promise.all(
      contents.map(async (content) => ((await content.mayGo()) ? [] : [content.key])),
    );
    expect(stay.flat()).toEqual([contentKey(app.digest)]);
  });
});

test('the scope holds what is on its way under the name, and nothing of a repository below', () => {
  const scopeOf = (name: string) =>
    within(
      ociPurgeable(
        {
          store: held.store,
          answers: { read: () => Promise.resolve(undefined) },
          upstreams: { has: () => false },
        },
        name,
      ).scope,
    );
  const { digest } = image('x');
  const blob = contentKey(digest);
  const keys = (repository: string) => [
    `oci/repos/${repository}/_tags/1`,
    `oci/repos/${repository}/_links/sha256/${digest.hex}`,
    `oci/repos/${repository}@${blob}`,
    `answers/oci/repos/${repository}/_tags_list/all`,
    `answers/oci/repos/${repository}/_referrers/sha256/x/all`,
  ];
  const all = [...keys('a.test/app'), ...keys('a.test/app/sub'), blob];
  const found = (name: string) => all.filter(scopeOf(name));
  const [tag, link, failure, ...lists] = keys('a.test/app');
  expect(found(A)).toEqual([tag, link, failure, ...lists]);
  expect(found(`${A}:1`)).toEqual([tag, ...lists]);
  expect(found(`${A}@${digestText(digest)}`)).toEqual([link, failure, ...lists, blob]);
});

test('other images cost a purge nothing', async () => {
  const app = index({ amd64: ['base', 'x'], arm64: ['base', 'y'] });
  const callsOf = async (others: number) => {
    held = new HeldImages();
    for (let number = 0; number < others; number++) {
      await held.pull(`c.test/app/${String(number)}`, '1', image(`alone ${String(number)}`));
    }
    await held.pull(A, '1', app);
    // the config is everybody's: whoever is found first is enough
    const before = held.store.calls.length;
    await held.plan(`${A}:1`);
    return held.store.calls.length - before;
  };
  const alone = await callsOf(1);
  expect(await callsOf(100)).toBeLessThanOrEqual(alone + 2);
});

test('whatever is pulled and purged: what a tag leads to is there, and nothing else is', async () => {
  const layers = ['p', 'q', 'r', 's'];
  const nodes = [
    ...layers.map((layer, at) => image(layer, layers[(at + 1) % 4] ?? '')),
    index({ x: ['p', 'q'], y: ['r'] }),
    index({ x: ['q', 'r'], y: ['r', 's'] }),
  ];
  const step = fc.record({
    kind: fc.constantFrom('pull', 'pull', 'tag', 'digest', 'restart'),
    repository: fc.constantFrom(A, B, `${A}/sub`),
    tag: fc.constantFrom('1', '2', '3'),
    node: fc.nat(nodes.length - 1),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      held = new HeldImages();
      const tags = new Map<string, { repository: string; node: Node }>();
      for (const { kind, repository, tag, node: number } of steps) {
        const node = nodes[number] ?? image();
        const key = `${repository}:${tag}`;
        const mine = [...tags].filter(([, one]) => one.repository === repository);
        if (kind === 'restart') held.restart();
        else if (kind === 'tag') {
          await held.purge(key);
          tags.delete(key);
        } else if (kind === 'digest') {
          // an image that stays would lack it
          if (mine.some(([, one]) => one.node.children.some(isSame(node)))) continue;
          await held.purge(at(repository, node));
          for (const [other, one] of mine) if (isSame(one.node)(node)) tags.delete(other);
        } else if (!tags.has(key)) {
          // without retags nothing is ever owned by nobody
          await held.pull(repository, tag, node);
          tags.set(key, { repository, node });
        }
      }
      const expected = new Map<string, string>();
      for (const { repository, node } of tags.values()) {
        for (const { digest } of allOf(node))
          expected.set(linkKey(repositoryOf(repository), digest), contentKey(digest));
      }
      const links = held.documents('').filter((key) => key.includes('/_links/'));
      expect(links).toEqual([...expected.keys()].sort());
      expect([...held.store.content.keys()].sort()).toEqual([...new Set(expected.values())].sort());
      if (tags.size === 0) expectEmpty();
      expect(held.documents('').filter((key) => key.includes('/use-'))).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

function isSame({ digest }: Node): (other: Node) => boolean {
  return (other) => digestText(other.digest) === digestText(digest);
}
