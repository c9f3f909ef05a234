// Images in a store in memory, pulled through the links and edges that the program writes, and purges of them.

import { LocalAnnouncements } from '../../src/coordination/local-announcements.ts';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { confirmed } from '../../src/engine/answers.ts';
import type { Lock } from '../../src/engine/ports.ts';
import { within } from '../../src/engine/purge-plan.ts';
import { OciSweeper } from '../../src/oci/collect.ts';
import { Links } from '../../src/oci/links.ts';
import { digestText, parseDigest, type Digest } from '../../src/oci/digest.ts';
import { contentKey, tagKey } from '../../src/oci/keys.ts';
import { parseManifest } from '../../src/oci/manifest.ts';
import { ociPurgeable } from '../../src/oci/purge.ts';
import { childrenOf } from '../../src/oci/repository-view.ts';
import type { Repository } from '../../src/oci/upstreams.ts';
import { Collector, type CollectResult } from '../../src/references/collect.ts';
import { Purger } from '../../src/references/purge.ts';
import { engine, MemoryStore, recorder, sha256 } from './engine.ts';
import { imageIndex, imageManifest, type Image } from './images.ts';

const digestOf = (text: string): Digest => {
  const digest = parseDigest(text);
  if (digest === undefined) throw new Error(`${text} is no digest`);
  return digest;
};

/** A manifest or blob, with what it names. */
export interface Node {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  /** Of manifests alone. */
  readonly mediaType?: string;
  readonly children: readonly Node[];
}

export function imageNode(image: Image): Node {
  const children = [image.config, ...image.layers].map(({ digest, body }) => ({
    digest: digestOf(digest),
    bytes: body.bytes(),
    children: [],
  }));
  const { bytes, mediaType } = image;
  return { digest: digestOf(image.digest), bytes, mediaType, children };
}

export const image = (...layers: string[]): Node => imageNode(imageManifest({ layers }));

export function index(images: Readonly<Record<string, readonly string[]>>): Node {
  const made = Object.entries(images).map(
    ([platform, layers]) => [platform, imageManifest({ layers })] as const,
  );
  const { bytes, mediaType } = imageIndex(Object.fromEntries(made));
  const children = made.map(([, one]) => imageNode(one));
  return { digest: digestOf(`sha256:${sha256(bytes)}`), bytes, mediaType, children };
}

/** Each digest below a node once, itself included. */
export const allOf = (node: Node): Node[] => [
  ...new Map(
    [node, ...node.children.flatMap(allOf)].map((one) => [digestText(one.digest), one]),
  ).values(),
];

export const sizeOf = (...nodes: Node[]): number =>
  nodes.reduce((sum, { bytes }) => sum + bytes.length, 0);

/** `host/path`. */
export function repositoryOf(text: string): Repository {
  const [name = '', ...path] = text.split('/');
  return { upstream: { name, url: new URL(`https://${name}`) }, path: path.join('/') };
}

/** What has no wait in it but for a store in memory is over then. */
export const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

export const HOUR = 3_600_000;

interface CollectCall {
  readonly dryRun?: boolean;
  readonly lock?: Lock;
}

export class HeldImages {
  readonly store: MemoryStore;
  readonly events: ReturnType<typeof recorder>['events'];
  /** By how much the clock is ahead of the system's, milliseconds. Links and edges are written by the system's. */
  ahead = 0;
  /** Names that no collection takes. */
  readonly pinned = new Set<string>();
  readonly #parts: ReturnType<typeof engine>;
  readonly #listener: ReturnType<typeof recorder>['listener'];
  #links: Links;

  constructor(store = new MemoryStore()) {
    this.#parts = engine({ store });
    const { listener, events } = recorder();
    this.store = this.#parts.store;
    this.events = events;
    this.#listener = listener;
    this.#links = this.#made();
  }

  get links(): Links {
    return this.#links;
  }

  /** Nothing is known in memory any more. */
  restart(): void {
    this.#links = this.#made();
  }

  #made(): Links {
    const { store, answers } = this.#parts;
    return new Links({ store, answers, listener: this.#listener });
  }

  /** The upstream says where a tag leads. */
  async tag(repository: string, tag: string, { digest }: Node): Promise<void> {
    const { answers } = this.#parts;
    const bytes = Buffer.from(JSON.stringify({ digest: digestText(digest) }));
    const key = tagKey(repositoryOf(repository), tag);
    const answer = confirmed({ bytes, source: 'test' }, undefined, this.now());
    await answers.keep(key, answer, () =>
      this.links.tagging(repositoryOf(repository), digest, tag),
    );
  }

  /** By digest: from the store, where it is there, else by a fill. */
  async get(repository: string, { digest, bytes, mediaType }: Node): Promise<void> {
    const of = repositoryOf(repository);
    if (this.isStored(digest)) {
      if (!(await this.links.has(of, digest))) this.links.granted(of, digest);
      if (mediaType !== undefined) this.links.read(of, digest);
    } else {
      const extra = mediaType === undefined ? {} : { mediaType };
      const time = new Date(0).toISOString();
      const record = { size: bytes.length, sha256: sha256(bytes), time, source: 'test', extra };
      await this.store.stash(contentKey(digest), { bytes }, record);
      const manifest = mediaType === undefined ? undefined : parseManifest(bytes, mediaType);
      this.links.filled(of, digest, manifest && childrenOf(manifest));
    }
    await this.links.settled();
  }

  /** An image by its tag with all that it names, or by its digest where no tag is given. */
  async pull(repository: string, tag: string | undefined, node: Node): Promise<void> {
    if (tag !== undefined) await this.tag(repository, tag, node);
    for (const one of allOf(node)) await this.get(repository, one);
  }

  isStored(digest: Digest): boolean {
    return this.store.content.has(contentKey(digest));
  }

  /** Those of them that are stored. */
  stored(...nodes: Node[]): Node[] {
    return nodes.filter(({ digest }) => this.isStored(digest));
  }

  now(): number {
    return Date.now() + this.ahead;
  }

  /** As the program is composed. What may go is of an hour ago. */
  collect({ dryRun = false, lock = new LocalLock() }: CollectCall = {}): Promise<CollectResult> {
    const { store } = this.#parts;
    const collector = new Collector({
      store,
      lock,
      purger: this.#purger(lock),
      sweepers: [this.sweeper()],
      graceMs: HOUR,
      keepsAll: false,
      now: () => this.now(),
    });
    return collector.run({ dryRun }, new AbortController().signal);
  }

  sweeper(): OciSweeper {
    const { store, answers } = this.#parts;
    const pinned = () => Promise.resolve(this.pinned);
    return new OciSweeper({ store, answers, links: this.links, pinned });
  }

  #purger(lock: Lock): Purger {
    const announcements = new LocalAnnouncements();
    announcements.subscribe((scope) => this.links.forget(within(scope)));
    return new Purger({ store: this.store, lock, announcements });
  }

  plan(name: string) {
    const { store, answers } = this.#parts;
    return ociPurgeable({ store, answers, upstreams: { has: () => false } }, name).plan();
  }

  async purge(name: string): Promise<{ purged: readonly string[]; freedBytes: number }> {
    const { store, answers } = this.#parts;
    return this.#purger(new LocalLock()).run(
      ociPurgeable({ store, answers, upstreams: { has: () => false } }, name),
    );
  }

  /** Keys of documents that begin so, without it. */
  documents(prefix: string): string[] {
    return [...this.store.documents.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .sort();
  }
}
