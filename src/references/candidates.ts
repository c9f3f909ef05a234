// The units that were used longest ago, as a walk finds them: so many that they last for a while, and no more than memory
// takes. Whatever is not among them was used later than all that are.

import type { Holdings, Unit } from '../engine/holdings.ts';
import type { Clock } from '../engine/ports.ts';
import type { LastUse } from './last-use.ts';

const MOST = 8192;

export interface Candidate {
  readonly unit: Unit;
  /** Or stored, where it was never used: milliseconds since the epoch. */
  readonly usedAt: number;
}

export interface CandidatesParts {
  readonly holdings: readonly Holdings[];
  readonly lastUse: LastUse;
  readonly clock: Clock;
}

export class Candidates {
  readonly #parts: CandidatesParts;
  /** The oldest last. */
  #found: Candidate[] = [];
  /** Whether there were more than it took. */
  wasFull = false;
  /** What was used last before this time is among them, milliseconds since the epoch. */
  #known = 0;

  constructor(parts: CandidatesParts) {
    this.#parts = parts;
  }

  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  /** The one used longest ago. */
  first(): Candidate | undefined {
    return this.#found.at(-1);
  }

  take(): void {
    this.#found.pop();
  }

  /** Where it belongs. Not one that was used later than something may have been that is not among them: false. */
  putBack(candidate: Candidate): boolean {
    if (candidate.usedAt > this.#known) return false;
    const at = this.#found.findIndex(({ usedAt }) => usedAt <= candidate.usedAt);
    this.#found.splice(at < 0 ? this.#found.length : at, 0, candidate);
    return true;
  }

  clear(): void {
    this.#found = [];
  }

  /** Looks for them; `strays`: for content that no unit owns, too. Throws LarderError `store_failed`, and the signal's reason. */
  async find(strays: boolean, signal: AbortSignal): Promise<void> {
    const { holdings, lastUse, clock } = this.#parts;
    const began = clock.now();
    let found: Candidate[] = [];
    let met = 0;
    const keepOldest = () => {
      found.sort((one, other) => other.usedAt - one.usedAt);
      found = found.slice(-MOST);
    };
    for (const one of holdings) {
      for await (const unit of all(one, strays)) {
        signal.throwIfAborted();
        met++;
        found.push({ unit, usedAt: Math.max(lastUse.of(unit.keys) ?? 0, unit.storedAt) });
        if (found.length >= 2 * MOST) keepOldest();
      }
    }
    keepOldest();
    this.#found = found;
    this.wasFull = met > found.length;
    this.#known = this.wasFull ? Math.min(began, found[0]?.usedAt ?? 0) : began;
  }
}

async function* all(holdings: Holdings, strays: boolean): AsyncGenerator<Unit> {
  yield* holdings.units();
  if (strays) yield* holdings.strays();
}
