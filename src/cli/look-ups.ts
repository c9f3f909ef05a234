import { LRUCache } from 'lru-cache';
import type { Asking } from '../app/compose-asking.ts';
import { LarderError } from '../engine/errors.ts';
import type { Found, Place } from '../oci/look-up.ts';
import type { ImageName } from '../oci/reference.ts';
import { inTime } from './items.ts';

/** What came of a look-up. */
export type Answer<T> =
  | { readonly kind: 'found'; readonly found: T }
  | { readonly kind: 'missing' }
  /** A sentence for a person. */
  | { readonly kind: 'failed'; readonly why: string };

export interface LookUpsOptions<T> {
  readonly asking: Pick<Asking, 'fetcherOf' | 'policy'>;
  /** Throws LarderError for what is no name, or none that is asked for. */
  readonly parse: (text: string) => ImageName;
  /** What there is; undefined for nothing. Throws LarderError, and the signal's reason. */
  readonly ask: (place: Place, reference: string, signal: AbortSignal) => Promise<T | undefined>;
  /** For one name, milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Characters of answers that are remembered, and about what one takes besides: some ten thousand, or fewer indexes. */
const REMEMBERED = 16 * 1024 * 1024;
const OVERHEAD = 1024;

/** Look-ups by name: one question a name, however often it comes and however it is written; its failure is shared too. */
export class LookUps<T extends string | Found> {
  readonly #options: LookUpsOptions<T>;
  /** Also those under way. */
  readonly #known = new LRUCache<string, Promise<Answer<T>>>({ maxSize: REMEMBERED });

  constructor(options: LookUpsOptions<T>) {
    this.#options = options;
  }

  /** Throws the signal's reason when it aborts, and what is no LarderError. */
  async of(text: string): Promise<Answer<T>> {
    let name: ImageName;
    try {
      name = this.#options.parse(text);
    } catch (error) {
      return this.#failed(error);
    }
    const key = name.name;
    const known = this.#known.get(key);
    if (known) return known;
    const asked = this.#ask(name);
    this.#known.set(key, asked, { size: OVERHEAD });
    const answer = await asked;
    if (answer.kind === 'found' && typeof answer.found === 'string')
      this.#known.set(key, asked, { size: OVERHEAD + answer.found.length });
    return answer;
  }

  async #ask({ repositories, tag, reference }: ImageName): Promise<Answer<T>> {
    const { asking, ask, timeoutMs, signal } = this.#options;
    try {
      return await inTime(timeoutMs, signal, async (bounded) => {
        for (const repository of repositories) {
          const { upstream, path } = repository;
          const { rule } = asking.policy.admit({ host: upstream.name, path, tag });
          const fetcher = asking.fetcherOf({ ...repository, from: rule?.upstream });
          const found = await ask({ fetcher, path }, reference, bounded);
          if (found !== undefined) return { kind: 'found', found };
        }
        return { kind: 'missing' };
      });
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): Answer<never> {
    if (this.#options.signal.aborted) throw this.#options.signal.reason as Error;
    if (error instanceof LarderError) return { kind: 'failed', why: error.message };
    throw error;
  }
}
