import type { Mode } from '../engine/policy.ts';
import type { Ask } from '../engine/pull-through.ts';
import type { ClientSignal } from './serve.ts';

/** A client's request. A class, as an object literal with a getter costs a hidden class of its own on every request. */
export class ClientAsk implements Ask {
  readonly mode: Mode;
  readonly why: string | undefined;
  readonly #client: ClientSignal;

  constructor(mode: Mode, client: ClientSignal, why?: string) {
    this.mode = mode;
    this.why = why;
    this.#client = client;
  }

  get signal(): AbortSignal {
    return this.#client.signal;
  }
}
