// Where a module comes from: the steps of the upstream list; what is private, from version control alone.

import { LarderError } from '../engine/errors.ts';
import type { GoFetcher } from './fetcher.ts';
import type { UpstreamStep } from './upstream-list.ts';

interface Step {
  readonly fetcher: GoFetcher | 'off';
  readonly onAnyError: boolean;
}

export interface SourcesParts {
  readonly steps: readonly UpstreamStep[];
  readonly isPrivate: (module: string) => boolean;
  /** What an address of the list stands for. */
  readonly fetcherOf: (url: URL) => GoFetcher;
  /** Version control: `direct` in the list. */
  readonly direct: GoFetcher;
}

export class Sources {
  readonly #steps: readonly Step[];
  readonly #proxies: readonly GoFetcher[];
  readonly #isPrivate: (module: string) => boolean;
  readonly #private: readonly Step[];

  constructor({ steps, isPrivate, fetcherOf, direct }: SourcesParts) {
    this.#isPrivate = isPrivate;
    this.#private = [{ fetcher: direct, onAnyError: false }];
    const named = { direct, off: 'off' } as const;
    this.#steps = steps.map((step) => ({
      onAnyError: step.onAnyError,
      fetcher: step.kind === 'proxy' ? fetcherOf(step.url) : named[step.kind],
    }));
    this.#proxies = this.#steps.flatMap(({ fetcher }) =>
      fetcher === 'off' || fetcher === direct ? [] : [fetcher],
    );
  }

  /** Everything from one place, private names too. */
  static of(fetcher: GoFetcher): Sources {
    const steps: UpstreamStep[] = [{ kind: 'direct', onAnyError: false }];
    const parts = { isPrivate: () => false, fetcherOf: () => fetcher };
    return new Sources({ ...parts, steps, direct: fetcher });
  }

  /** Those of the list that have an address. */
  proxies(): readonly GoFetcher[] {
    return this.#proxies;
  }

  /** The first that is asked for a module, whose cap of fills counts. */
  first(module: string): string {
    const fetcher = this.#stepsOf(module)[0]?.fetcher ?? 'off';
    return fetcher === 'off' ? 'none' : fetcher.source;
  }

  /** Whether there is more than one to ask for a module. */
  hasChoice(module: string): boolean {
    return this.#stepsOf(module).length > 1;
  }

  /** Where a client finds a path of a module by itself: at the first that is asked, where that is open to all. */
  location(module: string, path: string): string | undefined {
    const fetcher = this.#stepsOf(module)[0]?.fetcher ?? 'off';
    return fetcher === 'off' ? undefined : fetcher.location?.(path);
  }

  /**
   * Runs through the list until one step answers: past `,` on 404 and 410 alone, past `|` on any error. `preferred`
   * is asked first, as a version's files come from one source. Throws the last step's LarderError.
   */
  async firstAnswer<T>(
    module: string,
    preferred: string | undefined,
    ask: (fetcher: GoFetcher) => Promise<T>,
  ): Promise<T> {
    let last = new LarderError(
      'not_cached',
      'module look-ups are off (LARDER_GO_UPSTREAM has off)',
    );
    for (const { fetcher, onAnyError } of order(this.#stepsOf(module), preferred)) {
      if (fetcher === 'off') break;
      try {
        return await ask(fetcher);
      } catch (error) {
        if (!(error instanceof LarderError)) throw error;
        last = error;
        if (!onAnyError && error.code !== 'not_found') throw error;
      }
    }
    throw last;
  }

  /** The one place that decides who may see a module's name. */
  #stepsOf(module: string): readonly Step[] {
    return this.#isPrivate(module) ? this.#private : this.#steps;
  }
}

function order(steps: readonly Step[], preferred: string | undefined): readonly Step[] {
  const found = steps.find(({ fetcher }) => fetcher !== 'off' && fetcher.source === preferred);
  return found ? [found, ...steps.filter((step) => step !== found)] : steps;
}
