import type { Redirectable } from '../engine/pull-through.ts';
import type { BlobLocations } from './blob-locations.ts';
import { OciContentRequest, type OciContentParts } from './content.ts';
import { digestText, type Digest } from './digest.ts';
import type { BegunBlob, RegistryFetcher } from './fetch-registry.ts';
import type { Repository } from './upstreams.ts';

/** A blob, which clients may get from where its registry sends them for it. */
export class OciBlobRequest extends OciContentRequest implements Redirectable {
  readonly #locations: BlobLocations;
  /** What the registry is asked for, and whom of. */
  readonly #question: () => [RegistryFetcher, string, string];

  constructor(
    parts: OciContentParts,
    locations: BlobLocations,
    repository: Repository,
    digest: Digest,
  ) {
    super('blob', parts, repository, digest);
    this.#locations = locations;
    this.#question = () => [parts.fetcherOf(repository), repository.path, digestText(digest)];
  }

  /** Asks the registry, in the name of this repository. */
  async location(signal: AbortSignal): Promise<string | undefined> {
    if (this.#locations.isServed(...this.#question())) return undefined;
    this.asked = true;
    return this.#locations.find(...this.#question(), signal);
  }

  protected override begun(): BegunBlob | undefined {
    return this.#locations.take(...this.#question());
  }
}
