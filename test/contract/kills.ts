// A kill at every write of pulling, of moving a tag, of a purge, of a collection: what tags lead to is there afterwards, and
// nothing else is once its grace is over, without anybody's help.

import { expect, test } from 'vitest';
import { decodeAnswer } from '../../src/engine/answers.ts';
import { digestText } from '../../src/oci/digest.ts';
import { repositoryHash } from '../../src/oci/edges.ts';
import { contentKey, linkKey, referencesFolder } from '../../src/oci/keys.ts';
import { targetOf } from '../../src/oci/tags.ts';
import { ociVerifiable } from '../../src/oci/verify.ts';
import { restoreEdges } from '../../src/references/verify.ts';
import { MemoryStore, never } from '../support/engine.ts';
import {
  allOf,
  HeldImages,
  HOUR,
  image,
  index,
  repositoryOf,
  type Node,
} from '../support/held-images.ts';
import type { MortalStore } from '../support/mortal-store.ts';

export const A = 'a.test/app';
export const B = 'b.test/team/app';
export const old = index({ amd64: ['base', 'old amd64'], arm64: ['base', 'old arm64'] });
export const fresh = index({ amd64: ['base', 'new amd64'], arm64: ['base', 'new arm64'] });
export const single = image('base', 'single');
const nodes = new Map([old, fresh, single].map((node) => [digestText(node.digest), node]));

interface Scenario {
  readonly before: (held: HeldImages) => Promise<void>;
  readonly run: (held: HeldImages) => Promise<unknown>;
}

export const nothing = () => Promise.resolve();
const retagged = async (held: HeldImages) => {
  await held.pull(A, 'latest', old);
  await held.pull(B, '1', single);
  await held.pull(A, 'latest', fresh);
  held.ahead += 2 * HOUR;
};

const scenarios: Readonly<Record<string, Scenario>> = {
  'an image is stored': { before: nothing, run: (held) => held.pull(A, 'latest', old) },
  'an image is stored by its digest': {
    before: nothing,
    run: (held) => held.pull(A, undefined, old),
  },
  'an image that another repository brought is stored': {
    before: (held) => held.pull(B, '1', old),
    run: (held) => held.pull(A, 'latest', old),
  },
  'a tag moves': {
    before: (held) => held.pull(A, 'latest', old),
    run: (held) => held.pull(A, 'latest', fresh),
  },
  'a tag is purged': {
    before: async (held) => {
      await held.pull(A, '1', old);
      await held.pull(A, '2', fresh);
      await held.pull(B, '1', old);
    },
    run: async (held) => {
      await held.purge(`${A}:1`);
      await held.purge(`${B}:1`);
    },
  },
  'a digest is purged': {
    before: (held) => held.pull(A, '1', old),
    run: (held) => held.purge(`${A}@${digestText(old.digest)}`),
  },
  'a repository is purged': {
    before: async (held) => {
      await held.pull(A, '1', old);
      await held.pull(A, '2', single);
      await held.pull(B, '1', single);
    },
    run: (held) => held.purge(A),
  },
  'what a tag has left is collected': { before: retagged, run: (held) => held.collect() },
  'what tags have left in two repositories is collected': {
    before: async (held) => {
      await held.pull(B, '2', old);
      await held.pull(B, '2', single);
      await retagged(held);
    },
    run: (held) => held.collect(),
  },
};

/** What is stored of a node and below it; what a manifest names that is not here cannot be known. */
function storedBelow(held: HeldImages, node: Node): string[] {
  if (!held.isStored(node.digest)) return [];
  return [contentKey(node.digest), ...node.children.flatMap((child) => storedBelow(held, child))];
}

/** All that tags lead to and is stored, by the keys of content. */
export function reachable(held: HeldImages): Set<string> {
  const keys = new Set<string>();
  const { store } = held;
  for (const [key, document] of store.documents) {
    const answer = key.includes('/_tags/') ? decodeAnswer(document) : undefined;
    const node = answer && nodes.get(digestText(targetOf(answer.bytes).digest));
    for (const one of node ? storedBelow(held, node) : []) keys.add(one);
  }
  return keys;
}

/** What somebody has asked for by its digest, with all that it names; a link without edges may be such a use. */
function used(held: HeldImages, ...asked: Node[]): Set<string> {
  const keys = asked.flatMap(allOf).map(({ digest }) => contentKey(digest));
  return new Set(keys.filter((key) => held.store.content.has(key)));
}

/**
 * What links without any edge of their repository lead to: a kill came between the two, and the tag moved before the edge was
 * made anew. That is never read as nobody's.
 */
export function unexplained(held: HeldImages): Set<string> {
  const keys = [A, B].map(repositoryOf).flatMap((repository) =>
    [...nodes.values()].flatMap(allOf).flatMap((node) => {
      const edges = held.documents(`${referencesFolder(node.digest)}/`);
      const hash = repositoryHash(repository);
      const isLinked = held.store.documents.has(linkKey(repository, node.digest));
      return isLinked && !edges.some((edge) => edge.includes(hash)) ? storedBelow(held, node) : [];
    }),
  );
  return new Set(keys);
}

const contentOf = ({ store }: HeldImages) => [...store.content.keys()].sort();

export async function collectAll(held: HeldImages): Promise<void> {
  // a tag that is gone says no time: its grace begins when that is seen
  for (let times = 0; times < 2; times++) {
    held.ahead += 2 * HOUR;
    await held.collect();
  }
}

/** Whether the manifest of an edge is linked and not here: what it names cannot be known then. */
export function isUnknown(held: HeldImages, edge: string): boolean {
  const [, hash, hex = ''] = /\/manifest-([0-9a-f]{32})-sha256-([0-9a-f]{64})$/.exec(edge) ?? [];
  const repository = [A, B].map(repositoryOf).find((one) => repositoryHash(one) === hash);
  const digest = { algorithm: 'sha256', hex } as const;
  return (
    repository !== undefined &&
    held.store.documents.has(linkKey(repository, digest)) &&
    !held.isStored(digest)
  );
}

/**
 * Edges of tags and manifests are those that are made anew from what is stored. A use says what was. `mayStay`: those that
 * cannot be made anew.
 */
export async function expectTrueEdges(
  held: HeldImages,
  why: string,
  mayStay: (edge: string) => boolean = () => false,
): Promise<void> {
  const edges = ({ documents }: MemoryStore) =>
    [...documents.keys()]
      .filter((key) => /^oci\/references\/.*\/(tag|manifest)-/.test(key) && !mayStay(key))
      .sort();
  const anew = new MemoryStore();
  for (const [key, content] of held.store.content) anew.content.set(key, content);
  for (const [key, document] of held.store.documents)
    if (!key.startsWith('oci/references/')) anew.documents.set(key, document);
  await restoreEdges({ store: anew, rooms: [ociVerifiable(anew)] }, never);
  expect(edges(held.store), why).toEqual(edges(anew));
}

async function withKill(make: MakeStore, scenario: Scenario, left: number) {
  const store = make();
  const held = new HeldImages(store);
  await scenario.before(held);
  store.left = left;
  await scenario.run(held).catch(() => undefined);
  await held.links.settled();
  const { isDead } = store;
  store.left = Infinity;
  held.restart();
  return { held, isDead };
}

type MakeStore = () => MortalStore;

/** `make`: an empty store each time. A kill at every write, or at one of so many. */
export function killContract(make: MakeStore, every = 1): void {
  test.each(Object.entries(scenarios))('%s', async (name, scenario) => {
    const { held: whole } = await withKill(make, scenario, Infinity);
    await collectAll(whole);
    const { store } = whole;
    expect(await restoreEdges({ store, rooms: [ociVerifiable(store)] }, never)).toBe(0);
    let kills = 0;
    for (; ; kills += every) {
      const { held, isDead } = await withKill(make, scenario, kills);
      if (!isDead) break;
      const kept = [...reachable(held)];
      await collectAll(held);
      const left = contentOf(held);
      expect(left, `kill at write ${String(kills)}`).toEqual(expect.arrayContaining(kept));
      const owned = new Set([
        ...reachable(held),
        ...(name.endsWith('by its digest') ? used(held, old) : []),
      ]);
      expect(left.filter((key) => !owned.has(key))).toEqual([]);
      await expectTrueEdges(held, `kill at write ${String(kills)}`);
      // whoever begins again ends as if nothing had been
      await scenario.run(held);
      await collectAll(held);
      expect(contentOf(held), `again after write ${String(kills)}`).toEqual(contentOf(whole));
    }
    expect(kills).toBeGreaterThan(5);
  });
}
