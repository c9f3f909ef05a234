// What is stored of images, for whoever counts, lists or evicts: the unit is a tag, or a digest of which no tag of its
// repository leads to and no manifest there names it.

import { Answers } from '../engine/answers.ts';
import { mapBounded } from '../engine/bounded.ts';
import {
  timeOf,
  type ContentFolder,
  type Holdings,
  type Inspected,
  type ListedUnit,
  type ListRange,
  type Unit,
} from '../engine/holdings.ts';
import { KeyRange } from '../engine/key-range.ts';
import type { ContentRecord, Store } from '../engine/ports.ts';
import { digestText, type Digest } from './digest.ts';
import { inspect } from './inspect.ts';
import { contentKey, tagKey } from './keys.ts';
import { isHeld, ociUnitPurgeable, strayPurgeable, type OciPurgeParts } from './purge.ts';
import { READS } from './purge-cascade.ts';
import { parsePurgeName, purgedName, type PurgeTarget } from './purge-name.ts';
import { RepositoryView, storedChildren } from './repository-view.ts';
import { targetOf } from './tags.ts';
import { repositories as named, type RepositoryName } from './upstreams.ts';
import { digestFolders, linkedDigests, repositories, tagsOf } from './walk.ts';

/** A tag, or a digest that nothing else owns. */
export interface OciUnit extends Unit {
  readonly repository: RepositoryName;
  readonly target: PurgeTarget;
  /** What a tag leads to; undefined where that cannot be read. */
  readonly digest: Digest | undefined;
}

export interface OciHoldingsParts {
  readonly store: Store;
  readonly upstreams: OciPurgeParts['upstreams'];
}

/** What is counted as used where a key of this protocol is asked for: a tag, a digest. Undefined for any other key. */
export const ociUsedAs = (key: string): string | undefined =>
  key.startsWith('oci/') ? key : undefined;

export class OciHoldings implements Holdings {
  readonly #parts: OciHoldingsParts;
  readonly #store: Store;

  constructor(parts: OciHoldingsParts) {
    this.#parts = parts;
    this.#store = parts.store;
  }

  async *units(): AsyncGenerator<OciUnit> {
    for await (const repository of repositories(this.#store))
      yield* this.#unitsOf(repository, () => true);
  }

  async *contents(): AsyncGenerator<ContentFolder> {
    for await (const { folder, digests } of digestFolders(this.#store))
      yield { end: `${folder}/\uffff`, keys: digests.map(contentKey) };
  }

  async *strays(): AsyncGenerator<Unit> {
    for await (const { digests } of digestFolders(this.#store)) {
      const held = await mapBounded(digests, READS, (digest) =>
        isHeld(this.#store, digest, new Set()),
      );
      for (const digest of digests.filter((_, i) => held[i] === false)) {
        const key = contentKey(digest);
        const storedAt = timeOf(await this.#store.record(key));
        const name = `oci:@${digestText(digest)}`;
        const purgeable = () => strayPurgeable(this.#store, digest);
        yield { name, pins: [name], keys: [key], storedAt, purgeable };
      }
    }
  }

  async *list({ prefix, after }: ListRange): AsyncGenerator<ListedUnit> {
    if (after !== '') parsePurgeName(after, this.#parts.upstreams);
    const own = withoutTarget(after);
    // the repository of the last one comes again, for what stands behind it there
    const range = new KeyRange(withoutTarget(prefix), own && `${own}/^`);
    for await (const repository of repositories(this.#store, range)) {
      const text = textOf(repository);
      const isWanted = (name: string) =>
        name.startsWith(`oci:${prefix}`) && (text !== own || name > `oci:${after}`);
      for await (const unit of this.#unitsOf(repository, isWanted)) {
        const { target, digest } = unit;
        const bytes = digest ? await this.#bytesOf(digest) : 0;
        const tag = target.kind === 'tag' ? { tag: target.tag } : {};
        const details = {
          repository: text,
          ...tag,
          ...(digest && { digest: digestText(digest) }),
        };
        yield { ...unit, bytes, details };
      }
    }
  }

  async inspect(text: string): Promise<Inspected | undefined> {
    const answers = new Answers(this.#store);
    for (const [repository, target] of this.#named(text)) {
      const view = new RepositoryView({ store: this.#store, answers }, repository);
      const digest =
        target.kind === 'tag'
          ? await view.target(target.tag)
          : target.kind === 'digest' && (await view.isLinked(target.digest))
            ? target.digest
            : undefined;
      if (digest === undefined) continue;
      const record = await this.#store.record(contentKey(digest));
      const answer =
        target.kind === 'tag' ? await answers.read(tagKey(repository, target.tag)) : undefined;
      const unit = this.#unit(
        repository,
        target,
        digest,
        Math.max(timeOf(record), timeOf(answer?.record)),
      );
      const details = await inspect(this.#store, view, digest, record, answer);
      return { unit, details };
    }
    return undefined;
  }

  nameOf(key: string, failureKey: string): string | undefined {
    const [, algorithm, hex] = /^oci\/blobs\/([^/]+)\/[^/]+\/([^/]+)$/.exec(key) ?? [];
    if (algorithm === undefined || hex === undefined) return undefined;
    const [, repository = ''] = /^oci\/repos\/(.*)@/.exec(failureKey) ?? [];
    return `oci:${repository}@${algorithm}:${hex}`;
  }

  #named(text: string): [RepositoryName, PurgeTarget][] {
    const { repositories: found, target } = parsePurgeName(text, this.#parts.upstreams);
    return found.map((repository) => [repository, target]);
  }

  /** Tags, then digests, each in the order of their names. */
  async *#unitsOf(
    repository: RepositoryName,
    isWanted: (name: string) => boolean,
  ): AsyncGenerator<OciUnit> {
    // a memory of its own: what a walk passes by is not what is asked for
    const answers = new Answers(this.#store);
    const owned = new Set<string>();
    const tags = await tagsOf(this.#store, repository);
    const tagged = await mapBounded(tags, READS, async (tag) => {
      const answer = await answers.read(tagKey(repository, tag));
      const digest = answer && digestIn(answer.bytes);
      if (digest) owned.add(digestText(digest));
      return { tag, digest, seenAt: timeOf(answer?.record) };
    });
    const linked: { digest: Digest; record: ContentRecord }[] = [];
    for (const { digest, record } of await this.#linked(repository)) {
      if (record === undefined) continue;
      linked.push({ digest, record });
      if (record.extra['mediaType'] === undefined) continue;
      for (const child of (await storedChildren(this.#store, digest))?.keys() ?? [])
        owned.add(child);
    }
    const times = new Map(linked.map(({ digest, record }) => [digestText(digest), timeOf(record)]));
    for (const { tag, digest, seenAt } of tagged) {
      const target = { kind: 'tag', tag } as const;
      if (!isWanted(purgedName(repository, target))) continue;
      const storedAt = Math.max(seenAt, (digest && times.get(digestText(digest))) ?? 0);
      yield this.#unit(repository, target, digest, storedAt);
    }
    for (const { digest, record } of linked) {
      const target = { kind: 'digest', digest } as const;
      if (owned.has(digestText(digest)) || !isWanted(purgedName(repository, target))) continue;
      yield this.#unit(repository, target, digest, timeOf(record));
    }
  }

  async #linked(repository: RepositoryName) {
    const digests = await Array.fromAsync(linkedDigests(this.#store, repository));
    return mapBounded(digests, READS, async (digest) => ({
      digest,
      record: await this.#store.record(contentKey(digest)),
    }));
  }

  #unit(
    repository: RepositoryName,
    target: PurgeTarget,
    digest: Digest | undefined,
    storedAt: number,
  ): OciUnit {
    const name = purgedName(repository, target);
    const tagKeys = target.kind === 'tag' ? [tagKey(repository, target.tag)] : [];
    return {
      repository,
      target,
      digest,
      name,
      pins: pinsOf(repository, target),
      keys: [...tagKeys, ...(digest ? [contentKey(digest)] : [])],
      storedAt,
      purgeable: () => {
        const answers = new Answers(this.#store);
        return ociUnitPurgeable({ store: this.#store, answers }, repository, target);
      },
    };
  }

  /** Of all that it leads to, each once. */
  async #bytesOf(digest: Digest): Promise<number> {
    const sizes = new Map<string, number>();
    let next = [digest];
    while (next.length > 0) {
      const found = await mapBounded(next, READS, async (one) => {
        const record = await this.#store.record(contentKey(one));
        sizes.set(digestText(one), record?.size ?? 0);
        return storedChildren(this.#store, one);
      });
      const children = new Map(found.flatMap((one) => [...(one ?? [])]));
      next = [...children].filter(([text]) => !sizes.has(text)).map(([, child]) => child);
    }
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }
}

/** A prefix may end in the middle of a host's port: less of it is then left, which holds for more. */
const withoutTarget = (text: string): string => text.replace(/@.*$|:[^/:]*$/s, '');

const textOf = ({ upstream, path }: RepositoryName): string => `${upstream.name}/${path}`;

function digestIn(answer: Uint8Array): Digest | undefined {
  try {
    return targetOf(answer).digest;
  } catch {
    return undefined; // it leads nowhere
  }
}

/** A name of Docker Hub may mean either of two repositories. */
function pinsOf(repository: RepositoryName, target: PurgeTarget): string[] {
  const spelled = [repository, ...named(repository.upstream, repository.path)];
  const names = spelled.flatMap((one) => [
    purgedName(one, target),
    purgedName(one, { kind: 'repository' }),
  ]);
  return [...new Set(names)];
}
