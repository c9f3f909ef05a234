// Brings an older store to the format that this version writes. Each step can be cut off and done again; the number of the
// format that a step leads to is written when everything else is in place.

import { LarderError } from '../engine/errors.ts';
import type { Lock, Store } from '../engine/ports.ts';
import { leaseOf } from './leases.ts';

const LEASE = 'references/upgrade';

/** From one format to the next one. */
export interface UpgradeStep {
  readonly from: number;
  /** May be done in part already. Throws LarderError `store_failed`, and the signal's reason. */
  run(store: Store, signal: AbortSignal): Promise<void>;
}

/** The number in a store's format.json, and how it is written. */
export interface FormatMark {
  /** Undefined for a store that has none yet. Throws LarderError `unsupported` for what cannot be read. */
  read(store: Store): Promise<number | undefined>;
  write(store: Store, format: number): Promise<void>;
}

export interface UpgradeParts {
  /** Whose format nobody else checks. */
  readonly store: Store;
  readonly lock: Lock;
  readonly mark: FormatMark;
  readonly steps: readonly UpgradeStep[];
}

/**
 * All steps that the store needs; of several replicas one does them and the others wait. The result: the formats that it
 * went through, the first one included; none where nothing was to be done. Throws LarderError `store_failed`, and
 * `unsupported` for a format from which no step leads; and the signal's reason.
 */
export async function upgrade(
  parts: UpgradeParts,
  to: number,
  signal: AbortSignal,
): Promise<number[]> {
  const { store, lock, mark, steps } = parts;
  const lease = await leaseOf(lock, { key: LEASE, scope: 'upgrade' }, signal);
  const both = AbortSignal.any([signal, lease.lost]);
  try {
    const passed: number[] = [];
    for (;;) {
      const format = await mark.read(store);
      if (format === undefined || format === to) return passed.length > 0 ? [...passed, to] : [];
      const step = steps.find(({ from }) => from === format);
      if (step === undefined)
        throw new LarderError(
          'unsupported',
          `The store has format ${String(format)}, from which no step leads to ${String(to)}.`,
        );
      await step.run(store, both);
      both.throwIfAborted();
      await mark.write(store, format + 1);
      passed.push(format);
    }
  } finally {
    await lease.release();
  }
}
