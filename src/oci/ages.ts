// How old images are, for rules that want an age: the younger of a manifest's annotation and its config's own word; of an
// index the youngest of what it names.

import { LRUCache } from 'lru-cache';
import { LarderError } from '../engine/errors.ts';
import { refuseYoung } from '../engine/policy.ts';
import type { Clock } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import { readAll } from '../http/download.ts';
import { OciContentRequest, type OciContentParts } from './content.ts';
import { digestText, type Digest } from './digest.ts';
import type { OciExchange } from './exchange.ts';
import { MAX_MANIFEST, parseManifest, type Descriptor, type Manifest } from './manifest.ts';
import { isFor, platformText, type Platform } from './platforms.ts';

const CREATED = 'org.opencontainers.image.created';
const CONFIG_TYPES = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
/** Bytes of a config. */
const MAX_CONFIG = 4 * 1024 * 1024;
/** Indexes in indexes. */
const MAX_DEPTH = 3;
/** Manifests of one index that are looked at, and how many side by side. */
const MAX_CHILDREN = 256;
const SIDE_BY_SIDE = 8;
/** Manifests in memory. */
const KNOWN = 10_000;

export interface ImageAgesParts {
  readonly pull: PullThrough;
  readonly content: OciContentParts;
  readonly clock: Clock;
}

type Asked = Pick<OciExchange, 'repository' | 'ask' | 'decision'>;

export class ImageAges {
  readonly #parts: ImageAgesParts;
  /** Milliseconds since the epoch; undefined where nothing says it. */
  readonly #known = new LRUCache<string, { readonly at: number | undefined }>({ max: KNOWN });
  /** What an index says for those of its manifests that say nothing, such as attestations. */
  readonly #inherited = new LRUCache<string, number>({ max: KNOWN });

  constructor(parts: ImageAgesParts) {
    this.#parts = parts;
  }

  /** Whether a manifest is as old as its rule wants. Throws LarderError: `denied`, and what it cannot be read for. */
  async check(asked: Asked, digest: Digest): Promise<void> {
    const { minAgeMs } = asked.decision;
    if (minAgeMs === 0) return;
    const { upstream, path } = asked.repository;
    const created =
      (await this.#created(asked, digest, MAX_DEPTH)) ?? this.#inherited.get(digestText(digest));
    const name = `${upstream.name}/${path}@${digestText(digest)}`;
    refuseYoung(name, created, minAgeMs, this.#parts.clock.now());
  }

  async #created(asked: Asked, digest: Digest, depth: number): Promise<number | undefined> {
    const platforms = asked.decision.rule?.platforms;
    const key = `${digestText(digest)} ${(platforms ?? []).map(platformText).join()}`;
    const known = this.#known.get(key);
    if (known) return known.at;
    const bytes = await this.#read('manifest', asked, digest, MAX_MANIFEST);
    const manifest = parseManifest(bytes, undefined);
    const times = [timeOf(manifest.annotations?.[CREATED])];
    if (manifest.manifests.length > 0)
      times.push(...(await this.#ofChildren(asked, manifest, platforms, depth)));
    else times.push(await this.#ofConfig(asked, manifest));
    const at = latest(times);
    this.#known.set(key, { at });
    return at;
  }

  async #ofChildren(
    asked: Asked,
    { manifests }: Manifest,
    platforms: readonly Platform[] | undefined,
    depth: number,
  ): Promise<(number | undefined)[]> {
    const children = manifests.filter((child) => isFor(child, platforms));
    if (depth === 0 || children.length > MAX_CHILDREN)
      throw new LarderError('denied', 'this index names too much to tell how old it is');
    const times = new Map<Descriptor, number | undefined>();
    const left = children.values();
    const next = async () => {
      for (const child of left) {
        const at = await this.#created(asked, child.digest, depth - 1).catch(unlessAbsent);
        times.set(child, at);
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, next));
    const youngest = latest([...times.values()]);
    for (const [{ digest }, at] of times)
      if (at === undefined && youngest !== undefined)
        this.#inherited.set(digestText(digest), youngest);
    return [youngest];
  }

  async #ofConfig(asked: Asked, { blobs: [config] }: Manifest): Promise<number | undefined> {
    if (config === undefined || !CONFIG_TYPES.has(config.mediaType)) return undefined;
    const bytes = await this.#read('blob', asked, config.digest, MAX_CONFIG);
    try {
      const { created } = JSON.parse(bytes.toString()) as { created?: unknown };
      return timeOf(created);
    } catch {
      return undefined; // a config that is none says nothing
    }
  }

  async #read(
    kind: 'manifest' | 'blob',
    { repository, ask }: Asked,
    digest: Digest,
    maxBytes: number,
  ): Promise<Buffer> {
    const { pull, content } = this.#parts;
    const { body } = await pull.content(
      new OciContentRequest(kind, content, repository, digest),
      ask,
    );
    try {
      return await readAll(body.read(0, undefined, ask.signal), maxBytes);
    } finally {
      body.close();
    }
  }
}

function timeOf(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** An index may name what its registry does not have. */
function unlessAbsent(error: unknown): undefined {
  if (error instanceof LarderError && error.code === 'not_found') return undefined;
  throw error;
}
