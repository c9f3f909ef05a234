// A kill at every write, with a store in memory; and whatever else may come, in any order.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  A,
  B,
  collectAll,
  expectTrueEdges,
  fresh,
  killContract,
  nothing,
  old,
  reachable,
  single,
} from '../../contract/kills.ts';
import { HeldImages, HOUR } from '../../support/held-images.ts';
import { MortalStore } from '../../support/mortal-store.ts';

killContract(() => new MortalStore());

test('whatever is pulled, moved, purged, killed and collected: what tags lead to is there, and nothing else', async () => {
  const step = fc.record({
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
      const owned = reachable(held);
      for (const key of store.content.keys()) expect(owned).toContain(key);
      await expectTrueEdges(held, 'at the end');
    }),
    { numRuns: 30 },
  );
});
