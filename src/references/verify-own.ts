// What must hold of the documents that Larder keeps for itself, beside what it stores: what is pinned, what was used, how far
// work has come.

import type { Store } from '../engine/ports.ts';
import type { Verifiable, VerifyPart } from '../engine/verify-plan.ts';
import { collectedDocument } from './collect.ts';
import { pinDocuments } from './pins.ts';
import { usageDocuments } from './tally.ts';

/** `more`: documents of other rooms. */
export function ownVerifiable(
  store: Store,
  now: () => number,
  more: readonly VerifyPart[],
): Verifiable {
  return {
    contents: { items: nothing },
    documents: [
      { items: () => pinDocuments(store, now) },
      { items: () => collectedDocument(store) },
      { items: () => usageDocuments(store) },
      ...more,
    ],
    owners: [],
  };
}

// eslint-disable-next-line @typescript-eslint/require-await
async function* nothing(): AsyncGenerator<never> {
  yield* [];
}
