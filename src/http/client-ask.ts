import type { Ask } from '../engine/pull-through.ts';
import type { ClientSignal } from './serve.ts';

/** A client's request. A class, as an object literal with a getter costs a hidden class of its own on every request. */
export class ClientAsk implements Ask {
  readonly fetch: boolean;
  readonly #client: ClientSignal;

  constructor(fetch: boolean, client: ClientSignal) {
    this.fetch = fetch;
    this.#client = client;
  }

  get signal(): AbortSignal {
    return this.#client.signal;
  }
}
