// A kill at every write, with a store in memory; and whatever else may come, in any order.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  A,
  B,
  collectAll,
  expectTrueEdges,
  fresh,
  isUnknown,
  killContract,
  nothing,
  old,
  reachable,
  single,
  unexplained,
} from '../../contract/kills.ts';
import { HeldImages, HOUR, type Node } from '../../support/held-images.ts';
import { MortalStore } from '../../support/mortal-store.ts';

killContract(() => new MortalStore());

interface Step {
  readonly kind: 'pull' | 'purge' | 'restart' | 'collect';
  readonly repository: string;
  readonly tag: string;
  readonly node: Node;
  /** Writes until the kill. */
  readonly left: number;
}

const killed = (
  kind: Step['kind'],
  repository: string,
  tag: string,
  node: Node,
  left: number,
): Step => ({ kind, repository, tag, node, left });

/** What was wrong once. */
const found: [Step[]][] = [
  [
    [
      killed('pull', A, '1', fresh, 4),
      killed('collect', A, '1', old, 1),
      killed('purge', A, '1', old, 2),
      killed('pull', A, '1', fresh, 1),
    ],
  ],
  [
    [
      killed('pull', B, '1', fresh, 2),
      killed('pull', A, '2', fresh, Infinity),
      killed('pull', B, '1', old, 1),
      killed('pull', A, '2', old, 1),
    ],
  ],
  [
    [
      killed('pull', A, '2', old, Infinity),
      killed('pull', A, '1', old, 1),
      killed('purge', A, '2', old, 2),
    ],
  ],
  [
    [
      killed('pull', A, '2', single, 4),
      killed('pull', B, '1', old, 10),
      killed('pull', B, '1', single, 2),
      killed('purge', A, '2', old, 4),
    ],
  ],
];

test('whatever is pulled, moved, purged, killed and collected: what tags lead to is there, and nothing else', async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('pull', 'pull', 'pull', 'purge', 'restart', 'collect'),
    repository: fc.constantFrom(A, B),
    tag: fc.constantFrom('1', '2'),
    node: fc.constantFrom(old, fresh, single),
    left: fc.oneof(fc.constant(Infinity), fc.nat(40)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
      const store = new MortalStore();
      const held = new HeldImages(store);
      for (const { kind, repository, tag, node, left } of steps) {
        held.ahead += HOUR / 3;
        store.left = left;
        const kept = [...reachable(held)];
        const run = {
          pull: () => held.pull(repository, tag, node),
          purge: () => held.purge(`${repository}:${tag}`),
          collect: () => held.collect(),
          restart: nothing,
        }[kind];
        await run().catch(() => undefined);
        await held.links.settled();
        if (store.isDead || kind === 'restart') held.restart();
        store.left = Infinity;
        if (kind === 'collect')
          expect([...store.content.keys()]).toEqual(expect.arrayContaining(kept));
      }
      await collectAll(held);
      const owned = new Set([...reachable(held), ...unexplained(held)]);
      for (const key of store.content.keys()) expect(owned).toContain(key);
      await expectTrueEdges(held, 'at the end', (edge) => isUnknown(held, edge));
    }),
    { numRuns: 30, examples: found },
  );
});
