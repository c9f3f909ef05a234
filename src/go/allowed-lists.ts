// Which versions of a list may be told: found out once for each list, for all who ask, and remembered as long as it holds.

import { LarderError } from '../engine/errors.ts';
import type { Ask } from '../engine/pull-through.ts';
import { orAborted, withDeadline } from '../http/deadline.ts';
import { whole, type GoGate } from './gate.ts';

export interface AllowedList {
  /** In the order of the list. */
  readonly versions: readonly string[];
  /** As a list is written. */
  readonly bytes: Uint8Array;
}

interface Found extends AllowedList {
  readonly rules: object;
  /** Since the epoch, milliseconds. */
  readonly until: number;
}

interface Search {
  readonly rules: object;
  readonly mode: Ask['mode'];
  readonly found: Promise<Found>;
}

export interface AllowedListsParts {
  readonly gate: GoGate;
  /** How long one who asks waits for what is to be found out about the versions, milliseconds. */
  readonly patienceMs: number;
}

export class AllowedLists {
  readonly #parts: AllowedListsParts;
  /** By the list's own bytes: they are the same as long as the list is in memory. */
  #found = new WeakMap<Uint8Array, Found>();
  readonly #searches = new WeakMap<Uint8Array, Search>();

  constructor(parts: AllowedListsParts) {
    this.#parts = parts;
  }

  /**
   * Those versions of a list that may enter, without those of which the age cannot be found out. Throws LarderError
   * `upstream_timeout` where that takes too long for one request, though it goes on; `overloaded`, `store_failed`.
   */
  async of(module: string, list: Uint8Array, ask: Ask): Promise<AllowedList> {
    const { gate, patienceMs } = this.#parts;
    const known = this.#found.get(list);
    if (known?.rules === gate.rules && gate.now() < known.until) return known;
    const found = this.#joinOrSearch(module, list, ask);
    const late = () =>
      new LarderError(
        'upstream_timeout',
        `fetch timed out: a rule asks how old the versions of ${module} are, and that is not known of all of them yet; try again in a moment`,
      );
    return withDeadline(patienceMs, late, ask.signal, (signal) => orAborted(found, signal));
  }

  /** What was purged may come again as something else. */
  forget(): void {
    this.#found = new WeakMap();
  }

  #joinOrSearch(module: string, list: Uint8Array, ask: Ask): Promise<AllowedList> {
    const { rules } = this.#parts.gate;
    const { mode } = whole(ask);
    const running = this.#searches.get(list);
    if (running?.rules === rules && running.mode === mode) return running.found;
    const search = { rules, mode, found: this.#search(module, list, { ...ask, mode }) };
    this.#searches.set(list, search);
    const end = () => {
      if (this.#searches.get(list) === search) this.#searches.delete(list);
    };
    search.found.then(end, end);
    return search.found;
  }

  async #search(module: string, list: Uint8Array, { mode, why }: Ask): Promise<Found> {
    const { gate } = this.#parts;
    const { rules } = gate;
    const remembered = this.#found;
    const listed = Buffer.from(list).toString().split('\n');
    // it belongs to nobody who asks
    const { signal } = new AbortController();
    const { versions, until } = await gate.allowed(
      module,
      listed.filter((version) => version !== ''),
      { mode, why, signal },
    );
    const bytes = Buffer.from(versions.map((version) => `${version}\n`).join(''));
    const found = { versions, bytes, rules, until };
    remembered.set(list, found);
    return found;
  }
}
