import type { Redirectable } from '../engine/pull-through.ts';
import { OciContentRequest, type OciContentParts } from './content.ts';
import { digestText, type Digest } from './digest.ts';
import type { Repository } from './upstreams.ts';

/** A blob, which clients may get from where its registry sends them for it. */
export class OciBlobRequest extends OciContentRequest implements Redirectable {
  readonly #locate: (signal: AbortSignal) => Promise<string | undefined>;

  constructor(parts: OciContentParts, repository: Repository, digest: Digest) {
    super('blob', parts, repository, digest);
    this.#locate = (signal) =>
      parts.fetcherOf(repository).blobLocation(repository.path, digestText(digest), signal);
  }

  /** Asks the registry, in the name of this repository. */
  location(signal: AbortSignal): Promise<string | undefined> {
    this.asked = true;
    return this.#locate(signal);
  }
}
