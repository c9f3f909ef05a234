// What the admin API tells of, around a store in memory.

import { GoHoldings, goUsedAs } from '../../src/go/holdings.ts';
import { TreeList } from '../../src/go/tree-list.ts';
import { OciHoldings } from '../../src/oci/holdings.ts';
import { Jobs } from '../../src/references/jobs.ts';
import { LastUse } from '../../src/references/last-use.ts';
import { Pins } from '../../src/references/pins.ts';
import { StoreSize } from '../../src/references/store-size.ts';
import { ManualClock, type MemoryStore } from './engine.ts';

export function adminParts(store: MemoryStore) {
  const clock = new ManualClock();
  return {
    pins: new Pins(store, clock.now),
    lastUse: new LastUse(clock, goUsedAs),
    holdings: {
      modules: new GoHoldings({ store, treeList: new TreeList(store) }),
      images: new OciHoldings({ store, upstreams: { has: () => false } }),
    },
    jobs: new Jobs(() => undefined),
    kinds: {
      collect: { members: { dryRun: 'boolean' as const }, work: () => () => Promise.resolve({}) },
      verify: {
        members: { repair: 'boolean' as const, sample: 'number' as const },
        work: () => () => Promise.resolve({}),
      },
      warm: {
        members: { go: 'texts' as const, oci: 'texts' as const, platforms: 'texts' as const },
        work: () => () => Promise.resolve({}),
      },
    },
    fills: { progress: () => [] },
    size: new StoreSize(),
    maxBytes: 1000,
    traffic: () => ({ hits: 3, misses: 1, upstreams: [] }),
    now: clock.now,
  };
}
