// Warming: brings what is named into the store ahead of need, so many names at once. What each name means is for its protocol.

import { mapBounded } from '../engine/bounded.ts';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Progress } from './jobs.ts';

/** Told of every piece that is found, and of every one that is done with. */
export interface Pieces {
  readonly found: () => void;
  readonly done: () => void;
}

/** A name, with all that it stands for. */
export interface Warmable {
  /** As a purge has it: `go:M@V`, `oci:HOST/REPO:TAG`. */
  readonly name: string;
  /** Resolves when all of it is held: true when any of it was fetched just now. Throws LarderError, and the signal's reason. */
  warm(signal: AbortSignal, pieces: Pieces): Promise<boolean>;
}

export interface WarmResult {
  /** Names of which something was fetched just now. */
  stored: number;
  /** Names of which all was there. */
  present: number;
  failed: { readonly name: string; readonly error: string }[];
}

export const nothingWarmed = (): WarmResult => ({ stored: 0, present: 0, failed: [] });

/** What became of one name. */
export type Warmed =
  { readonly kind: 'stored' | 'present' } | { readonly kind: 'failed'; readonly error: string };

/** Warms one name; it failing is a result. Throws the signal's reason, and mistakes. */
export async function warmOne(
  item: Warmable,
  signal: AbortSignal,
  pieces: Pieces,
): Promise<Warmed> {
  try {
    return { kind: (await item.warm(signal, pieces)) ? 'stored' : 'present' };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!(error instanceof LarderError)) throw error;
    return { kind: 'failed', error: messageOf(error) };
  }
}

/** Adds what became of a name to a result. */
export function tell(result: WarmResult, { name }: Warmable, warmed: Warmed): void {
  if (warmed.kind === 'failed') result.failed.push({ name, error: warmed.error });
  else result[warmed.kind]++;
}

/** Names that one job warms side by side. */
const NAMES_AT_ONCE = 16;

/** Warms them all; `progress` counts pieces. Those that failed are in their order. Throws the signal's reason, and mistakes. */
export async function warmAll(
  items: readonly Warmable[],
  signal: AbortSignal,
  progress: (now: Progress) => void,
): Promise<WarmResult> {
  const steps = { done: 0, total: 0 };
  const pieces: Pieces = {
    found() {
      steps.total++;
      progress({ ...steps });
    },
    done() {
      steps.done++;
      progress({ ...steps });
    },
  };
  const result = nothingWarmed();
  const ends = await mapBounded(items, NAMES_AT_ONCE, async (item) => {
    signal.throwIfAborted();
    return { item, warmed: await warmOne(item, signal, pieces) };
  });
  for (const { item, warmed } of ends) tell(result, item, warmed);
  return result;
}
