// Blobs and manifests by digest: content, once for all repositories that hold it.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { LarderError } from '../engine/errors.ts';
import type { Check, ContentRequest } from '../engine/fill.ts';
import type { Entrant, Fetched, StashSource } from '../engine/ports.ts';
import { digestText, type Digest } from './digest.ts';
import type { BegunBlob, ManifestHead, RegistryFetcher } from './fetch-registry.ts';
import { contentKey, failureKey } from './keys.ts';
import type { Told } from './known-links.ts';
import type { Links } from './links.ts';
import { MAX_MANIFEST, parseManifest } from './manifest.ts';
import { childrenOf, type Children } from './repository-view.ts';
import type { Repository } from './upstreams.ts';

/** What a request for content needs from elsewhere. */
export interface OciContentParts {
  readonly links: Links;
  readonly fetcherOf: (repository: Repository) => RegistryFetcher;
}

/** A digest in one repository, as pull-through wants it. */
export class OciContentRequest implements ContentRequest {
  readonly key: string;
  readonly kind: 'manifest' | 'blob';
  /** Whether the upstream was asked for it, in the name of this repository. */
  asked = false;
  /** An answer with this blob that waits to be read, where there may be one. */
  protected begun?(): BegunBlob | undefined;
  readonly #parts: OciContentParts;
  readonly #repository: Repository;
  readonly #digest: Digest;
  #mediaType: string | undefined;
  /** Bytes, as a manifest of the repository says. */
  #declared: number | undefined;
  /** Of a manifest that is checked. */
  #children: Children | undefined;
  /** End what may be read while the fill is under way. */
  readonly #held: (() => void)[] = [];

  constructor(
    kind: 'manifest' | 'blob',
    parts: OciContentParts,
    repository: Repository,
    digest: Digest,
  ) {
    this.kind = kind;
    this.#parts = parts;
    this.#repository = repository;
    this.#digest = digest;
    this.key = contentKey(digest);
  }

  /** Another repository's upstream may have what this one's has not. */
  get failureKey(): string {
    return failureKey(this.#repository, this.#digest);
  }

  get upstream(): string {
    return this.#repository.upstream.name;
  }

  get maxBytes(): number {
    const most = this.kind === 'manifest' ? MAX_MANIFEST : Number.MAX_SAFE_INTEGER;
    return Math.min(most, this.#declared ?? most);
  }

  async fetch(signal: AbortSignal): Promise<Fetched> {
    this.asked = true;
    this.#hold(this.#digest);
    const [fetched, declared] = await Promise.all([
      this.#fetched(signal),
      this.#parts.links.declaredSize(this.#repository, this.#digest),
    ]);
    this.#declared = declared;
    if (fetched.size !== undefined) this.#refuseSize(fetched.size);
    return fetched;
  }

  async #fetched(signal: AbortSignal): Promise<Fetched> {
    const fetcher = this.#parts.fetcherOf(this.#repository);
    const digest = digestText(this.#digest);
    if (this.kind === 'blob')
      return fetcher.blob(this.#repository.path, digest, signal, this.begun?.());
    const fetched = await fetcher.manifest(this.#repository.path, digest, signal);
    this.#mediaType = fetched.contentType;
    return fetched;
  }

  /** What has another length than its manifest says is not to be trusted (image-spec, "Descriptors"). */
  #refuseSize(size: number): void {
    if (size === (this.#declared ?? size)) return;
    throw new LarderError(
      'bad_content',
      `the manifest says ${String(this.#declared)} bytes, and the registry has ${String(size)}`,
    );
  }

  /** What is known in this repository was granted to it. */
  async knownSize(): Promise<number | undefined> {
    const known = await this.#parts.links.describe(this.#repository, this.#digest);
    // a manifest of which nobody has said what kind it is
    if (this.kind === 'manifest' && known?.mediaType === UNKNOWN_TYPE) return undefined;
    if (known?.size !== undefined) this.asked = true;
    return known?.size;
  }

  async fetchSize(signal: AbortSignal): Promise<number | undefined> {
    this.asked = true;
    const { links, fetcherOf } = this.#parts;
    const fetcher = fetcherOf(this.#repository);
    const digest = digestText(this.#digest);
    const { path } = this.#repository;
    const told =
      this.kind === 'blob'
        ? toldOfBlob(await fetcher.headBlob(path, digest, signal))
        : toldBy(await fetcher.headManifest(path, digest, signal));
    links.told(this.#repository, this.#digest, told);
    return told.size;
  }

  beginCheck(): Check {
    return {
      verify: async (source, size, sha256) => {
        this.#refuseSize(size);
        const { algorithm, hex } = this.#digest;
        const found = algorithm === 'sha256' ? sha256 : await hashOf(algorithm, source);
        if (found !== hex) throw wrongBytes();
        if (this.kind === 'blob') return {};
        const manifest = parseManifest(await bytesOf(source), this.#mediaType);
        this.#children = childrenOf(manifest);
        // what a manifest of this repository names may be read through it
        for (const child of this.#children.values()) this.#hold(child, child.size);
        return { mediaType: manifest.mediaType };
      },
    };
  }

  entrant(source: string): Entrant | undefined {
    if (this.kind === 'blob') return undefined;
    const { upstream, path } = this.#repository;
    const digest = digestText(this.#digest);
    return { protocol: 'oci', name: `${upstream.name}/${path}`, digest, upstream: source };
  }

  onEnd(stored: boolean): void {
    if (stored) this.#parts.links.filled(this.#repository, this.#digest, this.#children);
    for (const release of this.#held) release();
  }

  #hold(digest: Digest, size?: number): void {
    this.#held.push(this.#parts.links.hold(this.#repository, digest, size));
  }
}

/** Of what does not say what it is. */
const UNKNOWN_TYPE = 'application/octet-stream';

/** What a manifest's head says of it. */
export const toldBy = ({ contentType, size }: ManifestHead): Told => ({
  mediaType: contentType ?? UNKNOWN_TYPE,
  size,
});

/** What a blob's head says of it. `size`: bytes, where it tells. */
export const toldOfBlob = (size: number | undefined): Told => ({ mediaType: UNKNOWN_TYPE, size });

const wrongBytes = (): LarderError =>
  new LarderError('checksum_mismatch', 'the bytes of the registry are not those of their digest');

async function hashOf(algorithm: string, source: StashSource): Promise<string> {
  const hash = createHash(algorithm);
  if ('bytes' in source) return hash.update(source.bytes).digest('hex');
  await pipeline(createReadStream(source.path), hash);
  return hash.digest('hex');
}

const bytesOf = (source: StashSource): Promise<Uint8Array> =>
  'bytes' in source ? Promise.resolve(source.bytes) : readFile(source.path);
