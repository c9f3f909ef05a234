// The steps from an older store to this one.

import type { Lock, Store } from '../engine/ports.ts';
import { ociVerifiable } from '../oci/verify.ts';
import { upgrade } from '../references/upgrade.ts';
import { restoreEdges } from '../references/verify.ts';
import { FORMAT, readFormat, writeFormat } from '../storage/format.ts';

/** Has a store upgraded, under a lease. The result and what it throws are those of `upgrade`. */
export const upgraderBy =
  (lock: Lock, signal: AbortSignal) =>
  (store: Store): Promise<number[]> =>
    upgrade(
      {
        store,
        lock,
        mark: { read: readFormat, write: writeFormat },
        steps: [
          {
            // format 0 knows no edges
            from: 0,
            run: async (older, stopped) => {
              await restoreEdges({ store: older, rooms: [ociVerifiable(older)] }, stopped);
            },
          },
        ],
      },
      FORMAT,
      signal,
    );
