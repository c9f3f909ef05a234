// Where a module comes from: the steps of the upstream list, private names apart.

import { LarderError } from '../engine/errors.ts';
import type { UpstreamClient } from '../http/client.ts';
import { ProxyFetcher, type ProxyTimeouts } from './fetch-proxy.ts';
import type { UpstreamStep } from './upstream-list.ts';

type Step =
  | { readonly fetcher: ProxyFetcher; readonly onAnyError: boolean }
  | { readonly fetcher: 'direct' | 'off'; readonly onAnyError: boolean };

export class Sources {
  /** The first proxy, whose cap of fills counts. */
  readonly first: string;
  readonly #steps: readonly Step[];
  readonly #isPrivate: (module: string) => boolean;

  constructor(
    steps: readonly UpstreamStep[],
    isPrivate: (module: string) => boolean,
    client: UpstreamClient,
    timeouts: ProxyTimeouts,
  ) {
    this.#isPrivate = isPrivate;
    this.#steps = steps.map((step) => ({
      onAnyError: step.onAnyError,
      fetcher: step.kind === 'proxy' ? new ProxyFetcher(step.url, client, timeouts) : step.kind,
    }));
    this.first = this.proxies()[0]?.source ?? 'none';
  }

  /** Whether there is more than one to ask. */
  get hasChoice(): boolean {
    return this.proxies().length > 1;
  }

  proxies(): ProxyFetcher[] {
    return this.#steps.flatMap(({ fetcher }) => (typeof fetcher === 'string' ? [] : [fetcher]));
  }

  /**
   * Runs through the list until one step answers: past `,` on 404 and 410 alone, past `|` on any error. `preferred`
   * is asked first, as a version's files come from one source. Throws the last step's LarderError.
   */
  async firstAnswer<T>(
    module: string,
    preferred: string | undefined,
    ask: (fetcher: ProxyFetcher) => Promise<T>,
  ): Promise<T> {
    if (this.#isPrivate(module)) throw notBuilt();
    let last: LarderError | undefined;
    for (const { fetcher, onAnyError } of this.#order(preferred)) {
      if (fetcher === 'off')
        throw (
          last ??
          new LarderError('not_cached', 'module look-ups are off (LARDER_GO_UPSTREAM has off)')
        );
      if (fetcher === 'direct') throw last ? withHint(last) : notBuilt();
      try {
        return await ask(fetcher);
      } catch (error) {
        if (!(error instanceof LarderError)) throw error;
        last = error;
        if (!onAnyError && error.code !== 'not_found') throw error;
      }
    }
    throw last ?? notBuilt();
  }

  #order(preferred: string | undefined): readonly Step[] {
    if (preferred === undefined || preferred === this.first) return this.#steps;
    const found = this.#steps.find(
      ({ fetcher }) => typeof fetcher !== 'string' && fetcher.source === preferred,
    );
    return found ? [found, ...this.#steps.filter((step) => step !== found)] : this.#steps;
  }
}

const notBuilt = () =>
  new LarderError(
    'unsupported',
    'fetching from version control (direct) is not yet built: give LARDER_GO_UPSTREAM a Go proxy that has this module',
  );

/** What the proxies said stays the answer; that the list goes on is told beside it. */
const withHint = (error: LarderError) =>
  new LarderError(
    error.code,
    `${error.message}\n(direct, the next step of the upstream list, is not yet built)`,
  );
