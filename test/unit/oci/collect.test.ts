import { beforeEach, describe, expect, test } from 'vitest';
import { digestText } from '../../../src/oci/digest.ts';
import type { Orphans } from '../../../src/engine/collection.ts';
import { edgeDocument, edgeKey, repositoryHash, type Owner } from '../../../src/oci/edges.ts';
import { contentKey, linkKey, referencesFolder, tagKey } from '../../../src/oci/keys.ts';
import { LocalLock } from '../../../src/coordination/local-lock.ts';
import { expectLease } from '../../support/leases.ts';
import {
  allOf,
  HeldImages,
  HOUR,
  image,
  index,
  repositoryOf,
  settled,
  sizeOf,
  type Node,
} from '../../support/held-images.ts';

const A = 'a.test/app';
const B = 'b.test/team/app';
const named = (repository: string, ...nodes: Node[]) =>
  nodes.map(({ digest }) => `oci:${repository}@${digestText(digest)}`).sort();
const nothing = { count: 0, freedBytes: 0, collected: [] };

let held: HeldImages;
beforeEach(() => {
  held = new HeldImages();
});

const old = index({ amd64: ['base', 'old amd64'], arm64: ['base', 'old arm64'] });
const fresh = index({ amd64: ['base', 'new amd64'], arm64: ['base', 'new arm64'] });
const alone = (node: Node, other: Node): Node[] =>
  allOf(node).filter(({ digest }) => !allOf(other).some((one) => one.digest.hex === digest.hex));

/** A dry run, then the same for good. */
async function collect() {
  const found = await held.collect({ dryRun: true });
  const before = [...held.store.content.keys(), ...held.store.documents.keys()];
  const writes = held.store.calls.filter((call) => /^(writeDocument|delete|stash)/.test(call));
  await held.collect({ dryRun: true });
  expect([...held.store.content.keys(), ...held.store.documents.keys()]).toEqual(before);
  expect(held.store.calls.filter((call) => /^(writeDocument|delete|stash)/.test(call))).toEqual(
    writes,
  );
  const gone = await held.collect();
  expect(gone).toEqual(found);
  return gone;
}

describe('a tag that moved', () => {
  beforeEach(async () => {
    await held.pull(A, 'latest', old);
    held.ahead = 10 * HOUR;
    await held.pull(A, 'latest', fresh);
  });

  test('leaves what it alone led to for the grace, then not', async () => {
    held.ahead += HOUR / 2;
    expect(await collect()).toEqual(nothing);
    held.ahead += HOUR;
    const gone = alone(old, fresh);
    const { collected, ...counts } = await collect();
    expect([...collected].sort()).toEqual(named(A, ...gone));
    expect(counts).toEqual({ count: gone.length, freedBytes: sizeOf(...gone) });
    expect(held.stored(...gone)).toEqual([]);
    expect(held.stored(...allOf(fresh))).toHaveLength(allOf(fresh).length);
    for (const { digest } of gone) {
      expect(held.documents(`${referencesFolder(digest)}/`)).toEqual([]);
      expect(held.documents(linkKey(repositoryOf(A), digest))).toEqual([]);
      expect(held.documents('oci/references/').join()).not.toContain(digest.hex);
    }
    expect(await collect()).toEqual(nothing);
  });

  test('and came back takes nothing', async () => {
    held.ahead += 2 * HOUR;
    await held.pull(A, 'latest', old);
    held.ahead += 2 * HOUR;
    await collect();
    expect(held.stored(...allOf(old))).toHaveLength(allOf(old).length);
    expect(held.stored(...alone(fresh, old))).toEqual([]);
  });

  test('takes no bytes that another repository holds', async () => {
    await held.pull(B, '1', old);
    held.ahead += 2 * HOUR;
    const { collected, freedBytes } = await collect();
    expect([...collected].sort()).toEqual(named(A, ...alone(old, fresh)));
    expect(freedBytes).toBe(0);
    expect(held.stored(...allOf(old))).toHaveLength(allOf(old).length);
  });

  test('in two repositories: bytes are counted once', async () => {
    await held.pull(B, 'latest', old);
    await held.pull(B, 'latest', fresh);
    held.ahead += 2 * HOUR;
    const gone = alone(old, fresh);
    const { collected, freedBytes } = await collect();
    expect([...collected].sort()).toEqual([...named(A, ...gone), ...named(B, ...gone)].sort());
    expect(freedBytes).toBe(sizeOf(...gone));
    expect(held.stored(...gone)).toEqual([]);
  });

  test('takes what was used by its digest before it came there, and not what was since', async () => {
    const [first, second] = alone(old, fresh).filter(({ mediaType }) => mediaType === undefined);
    if (!first || !second) throw new Error('there are two');
    const write = (one: Node, at: number) =>
      held.store.writeDocument(
        edgeKey(one.digest, repositoryHash(repositoryOf(A)), { kind: 'use' }),
        Buffer.from(
          JSON.stringify({ upstream: 'a.test', path: 'app', time: new Date(at).toISOString() }),
        ),
      );
    await write(first, held.now() - HOUR);
    await write(second, held.now() + HOUR);
    held.ahead += 2 * HOUR;
    await collect();
    expect(held.stored(first, second)).toEqual([second]);
  });

  test('that came back while it was collected keeps its link', async () => {
    held.ahead += 2 * HOUR;
    const gate = held.store.hold('delete');
    const collecting = held.collect();
    await gate.reached;
    await held.tag(A, 'latest', old);
    held.store.holdNoMore('delete');
    gate.open();
    await collecting;
    await settled();
    const expectAll = () => {
      expect(held.stored(...allOf(old))).toHaveLength(allOf(old).length);
      for (const { digest } of allOf(old))
        expect(held.documents(linkKey(repositoryOf(A), digest))).toEqual(['']);
    };
    expectAll();
    held.restart();
    held.ahead += 2 * HOUR;
    await collect();
    expectAll();
  });
});

describe('what nothing leads to', () => {
  test('stays where it was used by its digest: a blob before its manifest, an image pinned', async () => {
    const pinned = image('pinned');
    const [blob] = image('alone').children;
    if (!blob) throw new Error('an image has a config');
    await held.get(A, blob);
    await held.pull(A, undefined, pinned);
    held.ahead = 100 * HOUR;
    expect(await collect()).toEqual(nothing);
    expect(held.stored(blob, ...allOf(pinned))).toHaveLength(1 + allOf(pinned).length);
  });

  test('and has no link goes: bytes before a kill, after their grace', async () => {
    const [blob] = image('alone').children;
    if (!blob) throw new Error('an image has a config');
    const { digest, bytes } = blob;
    const time = new Date().toISOString();
    const record = { size: bytes.length, sha256: digest.hex, time, source: 'test', extra: {} };
    await held.store.stash(contentKey(digest), { bytes }, record);
    expect(await collect()).toEqual(nothing);
    held.ahead = 2 * HOUR;
    expect(await collect()).toEqual({
      count: 1,
      freedBytes: bytes.length,
      collected: [`oci:@${digestText(digest)}`],
    });
    expect(held.isStored(digest)).toBe(false);
  });

  test('and is on its way stays: whoever has its lease', async () => {
    const [blob] = image('alone').children;
    if (!blob) throw new Error('an image has a config');
    const { digest, bytes } = blob;
    const record = {
      size: bytes.length,
      sha256: digest.hex,
      time: new Date(0).toISOString(),
      source: 'test',
      extra: {},
    };
    await held.store.stash(contentKey(digest), { bytes }, record);
    const lock = new LocalLock();
    const { signal } = new AbortController();
    const key = contentKey(digest);
    const lease = expectLease(await lock.acquire({ key, scope: key, signal }));
    expect(await held.collect({ lock })).toEqual(nothing);
    await lease.release();
    expect((await held.collect({ lock })).freedBytes).toBe(bytes.length);
  });
});

describe('what cannot be known holds', () => {
  const moved = async () => {
    await held.pull(A, 'latest', old);
    await held.pull(A, 'latest', fresh);
    held.ahead = 2 * HOUR;
  };

  test('a link without any edge', async () => {
    await moved();
    for (const key of held.documents('')) {
      if (key.startsWith('oci/references/')) await held.store.delete(key);
    }
    expect(await collect()).toEqual(nothing);
  });

  test.each(['', '{"ti', '{"time":7}'])('a link of %j', async (text) => {
    await moved();
    await held.store.writeDocument(linkKey(repositoryOf(A), old.digest), Buffer.from(text));
    expect(await collect()).toEqual(nothing);
  });

  test('an edge of a newer version', async () => {
    await moved();
    await held.store.writeDocument(`${referencesFolder(old.digest)}/pin-7`, Buffer.from('?'));
    expect(await collect()).toEqual(nothing);
  });

  test('a tag that cannot be read', async () => {
    await moved();
    await held.store.writeDocument(tagKey(repositoryOf(A), 'latest'), Buffer.from('{"conf'));
    expect(await collect()).toEqual(nothing);
  });

  test('a manifest that is gone: what edges say that it names', async () => {
    await held.pull(A, 'latest', old);
    held.ahead = 2 * HOUR;
    for (const { digest, mediaType } of allOf(old))
      if (mediaType !== undefined) await held.store.delete(contentKey(digest));
    expect(await collect()).toEqual(nothing);
  });

  test('an edge that is unreadable, to bytes without a link', async () => {
    await held.pull(A, 'latest', old);
    held.ahead = 2 * HOUR;
    await held.purge(`${A}:latest`);
    const [blob] = alone(old, fresh);
    if (!blob) throw new Error('there is one');
    const { digest, bytes } = blob;
    const record = {
      size: bytes.length,
      sha256: digest.hex,
      time: new Date(0).toISOString(),
      source: 'test',
      extra: {},
    };
    await held.store.stash(contentKey(digest), { bytes }, record);
    const edge = edgeKey(digest, repositoryHash(repositoryOf(A)), { kind: 'use' });
    await held.store.writeDocument(edge, Buffer.from('{'));
    expect(await collect()).toEqual(nothing);
  });
});

describe('a tag that is gone', () => {
  beforeEach(async () => {
    await held.pull(A, '1', old);
    await held.pull(A, '2', fresh);
    held.ahead = 10 * HOUR;
    // as its upstream says that it is not there
    await held.store.delete(tagKey(repositoryOf(A), '1'));
  });

  test('gives what it led to the grace, from when that was first seen', async () => {
    expect(await collect()).toEqual(nothing);
    held.ahead += HOUR / 2;
    expect(await collect()).toEqual(nothing);
    held.ahead += HOUR;
    const { collected } = await collect();
    expect([...collected].sort()).toEqual(named(A, ...alone(old, fresh)));
    expect(held.documents('oci/orphans')).toEqual([]);
  });

  test('and came back begins it anew', async () => {
    await held.collect();
    await held.pull(A, '1', old);
    held.ahead += 2 * HOUR;
    expect(await collect()).toEqual(nothing);
    await held.store.delete(tagKey(repositoryOf(A), '1'));
    expect(await collect()).toEqual(nothing);
  });
});

test('while edges are rebuilt nothing is collected, and a sentence says so', async () => {
  await held.pull(A, 'latest', old);
  await held.pull(A, 'latest', fresh);
  held.ahead = 2 * HOUR;
  await held.store.writeDocument('references/rebuilding', Buffer.from('{}'));
  const { skipped, ...counts } = await held.collect();
  expect([counts, skipped]).toEqual([nothing, expect.stringContaining('rebuilt')]);
  await held.store.delete('references/rebuilding');
  expect((await held.collect()).count).toBeGreaterThan(0);
});

describe('a pin', () => {
  beforeEach(async () => {
    await held.pull(A, 'latest', old);
    await held.pull(A, 'latest', fresh);
    held.ahead = 2 * HOUR;
  });

  test.each([[`oci:${A}`], [named(A, old)[0] ?? '']])('of %s keeps all below it', async (name) => {
    held.pinned.add(name);
    expect(await collect()).toEqual(nothing);
    held.pinned.delete(name);
    expect((await collect()).count).toBe(alone(old, fresh).length);
  });
});

test('an edge of a tag that moved away goes, where another tag leads still, once its grace is over', async () => {
  const edge = (tag: string, node: Node) =>
    edgeKey(node.digest, repositoryHash(repositoryOf(A)), { kind: 'tag', tag });
  const isThere = (tag: string, node: Node) => held.store.documents.has(edge(tag, node));
  await held.pull(A, 'one', old);
  await held.pull(A, 'two', old);
  await held.pull(A, 'one', fresh);
  expect([isThere('one', old), isThere('two', old)]).toEqual([true, true]);
  await held.collect();
  expect(isThere('one', old)).toBe(true);
  held.ahead += 2 * HOUR;
  await collect();
  expect([isThere('one', old), isThere('two', old)]).toEqual([false, true]);
  expect(isThere('one', fresh)).toBe(true);
  expect(held.stored(...allOf(old)).length).toBe(allOf(old).length);
});

describe('a layer that many repositories share', () => {
  const [shared] = image('shared by all').children.slice(-1);
  if (!shared) throw new Error('an image has a layer');
  const repositories = Array.from({ length: 200 }, (_, at) => `a.test/app${String(at)}`);

  /** Tags have left it in all of them, or in so many. */
  async function moved(count = repositories.length): Promise<void> {
    for (const [at, repository] of repositories.entries()) {
      await held.pull(repository, 'latest', image('shared by all', `old ${String(at)}`));
      if (at < count) await held.tag(repository, 'latest', image('alone'));
    }
    held.ahead = 2 * HOUR;
  }

  test.each([
    ['a few', 5, 12],
    ['all', 200, 60],
  ])('costs no look at all of its edges a repository, when %s lose it', async (_, count, most) => {
    await moved(count);
    held.store.calls.length = 0;
    const { collected } = await held.collect();
    const lost = collected.filter((name) => name.endsWith(digestText(shared.digest)));
    expect(lost.sort()).toEqual(
      repositories
        .slice(0, count)
        .flatMap((repository) => named(repository, shared))
        .sort(),
    );
    expect(held.isStored(shared.digest)).toBe(count < repositories.length);
    expect(held.documents(`${referencesFolder(shared.digest)}/`)).toHaveLength(
      repositories.length - count,
    );
    const list = `list ${referencesFolder(shared.digest)}`;
    // once they are few they are as soon listed as remembered
    expect(held.store.calls.filter((call) => call === list).length).toBeLessThan(most);
  });

  test("is nobody's no more where that is seen just before it would go", async () => {
    await moved(20);
    const found = held.sweeper().orphans({
      now: held.now(),
      graceMs: HOUR,
      dryRun: false,
      signal: new AbortController().signal,
      expect: () => undefined,
      step: () => undefined,
    });
    const first = (await found.next()).value as Orphans;
    const [used, tagged, ...others] = repositories.slice(0, 20);
    if (used === undefined || tagged === undefined) throw new Error('there are twenty');
    const write = (repository: string, owner: Owner) =>
      held.store.writeDocument(
        edgeKey(shared.digest, repositoryHash(repositoryOf(repository)), owner),
        edgeDocument(repositoryOf(repository), new Date(held.now())),
      );
    // the tag itself is still on its way
    await write(tagged, { kind: 'tag', tag: 'coming' });
    await write(used, { kind: 'use' });
    const goes = async () => {
      const { documents } = await first.plan();
      return documents.flat().filter((key) => key.includes('/_links/'));
    };
    const links = (of: readonly string[]) =>
      of.map((repository) => linkKey(repositoryOf(repository), shared.digest)).sort();
    const ofShared = (keys: readonly string[]) =>
      keys.filter((key) => key.endsWith(shared.digest.hex)).sort();
    expect(ofShared(first.scope.keys)).toEqual(links([used, tagged, ...others]));
    expect(ofShared(await goes())).toEqual(links(others));
    await held.store.writeDocument(`${referencesFolder(shared.digest)}/pin-7`, Buffer.from('?'));
    expect(ofShared(await goes())).toEqual([]);
  });

  test('costs no more where edges of tags that moved are all that is left to take', async () => {
    for (const repository of repositories) {
      const one = image('shared by all');
      await held.pull(repository, 'stays', one);
      await held.pull(repository, 'moves', one);
      await held.tag(repository, 'moves', image('alone'));
    }
    held.ahead = 2 * HOUR;
    held.store.calls.length = 0;
    expect((await held.collect()).count).toBe(0);
    const folder = referencesFolder(image('shared by all').digest);
    expect(held.documents(`${folder}/`).filter((edge) => edge.endsWith('-moves'))).toEqual([]);
    const lists = held.store.calls.filter((call) => call === `list ${folder}`);
    expect(lists.length).toBeLessThan(60);
  });
});
