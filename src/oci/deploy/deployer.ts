// Makes references exist in registries with the fewest requests: what is there is left alone, a manifest is put before anything
// that it needs, and only what the registry says that it lacks is brought to it.

import { mapBounded } from '../../engine/bounded.ts';
import { LarderError, messageOf } from '../../engine/errors.ts';
import { Slots } from '../../engine/limits.ts';
import { orAborted } from '../../http/deadline.ts';
import { Patience } from '../../http/patience.ts';
import { systemTiming } from '../../http/timing.ts';
import { readAll } from '../../http/download.ts';
import { explain } from '../../http/failures.ts';
import { parseDigest } from '../digest.ts';
import type { RegistryFetcher } from '../fetch-registry.ts';
import { MAX_MANIFEST, parseManifest } from '../manifest.ts';
import type { RegistryPusher, Upload } from '../push-registry.ts';
import type { OciUpstream, Repository } from '../upstreams.ts';
import { checkedBytes, wrongBytes } from './checked.ts';
import { childrenIn, hashOf, type Child } from './document.ts';
import type { DeployInput, Reference } from './input.ts';
import type { Plan } from './plan.ts';

/** Children of one manifest that are brought at once. */
const SIDE_BY_SIDE = 8;
/** Blobs between registries at once: each needs two connections, and must get both. */
const COPIES = 16;
/** Up to so many bytes a blob is read whole, so that it can be sent again. */
const SMALL = 64 * 1024;
/** A queue for a place without an end: who waits has a deadline of his own. */
const LONGEST_MS = 2 ** 31 - 1;

/** `fetcher` and `pusher` of a registry that is pushed to, and the one for what is only read there. */
export interface DeployRegistry {
  readonly fetcher: RegistryFetcher;
  readonly pusher: RegistryPusher;
  readonly source: RegistryFetcher;
}

export interface DeployOptions {
  readonly registryOf: (upstream: OciUpstream) => DeployRegistry;
  /** For one input, while no bytes flow, milliseconds. */
  readonly timeoutMs: number;
  readonly dryRun: boolean;
}

export interface Deployed {
  readonly status: 'present' | 'pushed' | 'would-push';
  /** What went wrong, by reference. */
  readonly error?: string;
}

/** Where a child may be had. */
type Source =
  | { readonly bytes: Buffer; readonly mediaType: string; readonly own?: DeployInput }
  | { readonly repository: Repository };

interface Brought {
  /** Whether that had to be done. */
  readonly pushed: Promise<boolean>;
  /** Of a blob, its sources. */
  readonly from: string | undefined;
}

/** Sources of a digest, the nearest first. */
type Lookup = (digest: string) => readonly Source[];

interface Document {
  readonly bytes: Buffer;
  readonly mediaType: string;
  readonly children: readonly Child[];
  readonly lookup: Lookup;
}

export class Deployer {
  readonly #options: DeployOptions;
  readonly #inputs: Plan['inputs'];
  readonly #copies = new Slots({ places: COPIES, maxWaiting: Infinity, maxWaitMs: LONGEST_MS });
  /** What is brought to a repository, or was. */
  readonly #brought = new Map<string, Brought>();
  /** A repository of the registry in which a blob is. */
  readonly #places = new Map<string, string>();

  constructor(options: DeployOptions, { inputs }: Pick<Plan, 'inputs'>) {
    this.#options = options;
    this.#inputs = inputs;
  }

  /** Rejects with the signal's reason alone: what fails is told in the result, and stops nothing else. */
  async run(input: DeployInput, signal: AbortSignal): Promise<Deployed> {
    const { timeoutMs, dryRun } = this.#options;
    const late = () => new LarderError('upstream_timeout', `not done in ${explain(timeoutMs)}`);
    // the clock stands still while bytes flow or other inputs are waited for, which have deadlines of their own
    const limits = { firstByteMs: timeoutMs, rateWaitMs: timeoutMs, late, signal };
    const patience = new Patience(systemTiming, limits);
    const errors: string[] = [];
    let pushed = false;
    try {
      for (const ref of input.refs) {
        try {
          if (await this.#reference(input, ref, patience)) pushed = true;
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          errors.push(`${ref.text}: ${messageOf(error)}`);
        }
      }
    } finally {
      patience.end();
    }
    if (errors.length > 0) return { status: 'would-push', error: errors.join('; ') };
    if (!pushed) return { status: 'present' };
    return { status: dryRun ? 'would-push' : 'pushed' };
  }

  /** Whether something had to be pushed, or would have to be. */
  async #reference(input: DeployInput, ref: Reference, patience: Patience): Promise<boolean> {
    const { repository, reference, digest } = ref;
    const { fetcher } = this.#options.registryOf(repository.upstream);
    if (input.kind === 'blob') {
      const child = { ...input, digest, size: input.bytes.length };
      if (this.#options.dryRun) return !(await this.#has(repository, child, patience.signal));
      return this.#bring(repository, child, () => [inputSource(input)], true, patience);
    }
    const held = await present(fetcher.headManifest(repository.path, reference, patience.signal));
    if (held && (held.digest === digest || reference === digest)) {
      this.#hasBlobs(repository, input.children);
      return false;
    }
    if (this.#options.dryRun) return true;
    await this.#put(repository, reference, digest, this.#documentOf(input), patience);
    return true;
  }

  #documentOf(input: DeployInput): Document {
    return { ...input, lookup: this.#lookupOf(input) };
  }

  #lookupOf({ embedded, sources }: DeployInput): Lookup {
    return (digest) => {
      const own = this.#inputs.get(digest);
      const data = embedded.get(digest);
      const repository = sources.get(digest) ?? sources.get('');
      return [
        ...(own ? [inputSource(own)] : []),
        ...(data ? [{ bytes: data, mediaType: 'application/octet-stream' }] : []),
        ...(repository ? [{ repository }] : []),
      ];
    };
  }

  /** Puts a manifest, and what the registry lacks for it first. */
  async #put(
    repository: Repository,
    reference: string,
    digest: string,
    document: Document,
    patience: Patience,
  ): Promise<void> {
    const { pusher } = this.#options.registryOf(repository.upstream);
    const left = new Set(document.children);
    for (let first = true; ; first = false) {
      const { path } = repository;
      const lacking = await pusher.putManifest(path, reference, digest, document, patience.signal);
      if (lacking === undefined) {
        this.#hasBlobs(repository, document.children);
        return;
      }
      if (left.size === 0) throw lacking.error;
      // a registry that tells what it lacks tells all of it, or is asked for all the rest
      const named = first ? [...left].filter((child) => lacking.text.includes(child.digest)) : [];
      const next = named.length > 0 ? named : [...left];
      await mapBounded(next, SIDE_BY_SIDE, (child) =>
        this.#bring(repository, child, document.lookup, named.length === 0, patience),
      );
      for (const child of next) left.delete(child);
    }
  }

  /** Once a repository, whoever needs it there. `ask`: whether it may be there already. */
  async #bring(
    repository: Repository,
    child: Child,
    lookup: Lookup,
    ask: boolean,
    patience: Patience,
  ): Promise<boolean> {
    const key = `${repository.upstream.name}/${repository.path}@${child.digest}`;
    const from = child.kind === 'blob' ? lookup(child.digest).map(sourceText).join(' ') : undefined;
    for (;;) {
      const running = this.#brought.get(key);
      if (running === undefined) break;
      try {
        return await patience.standStill(orAborted(running.pushed, patience.signal));
      } catch (error) {
        // who failed may have looked elsewhere
        if (patience.signal.aborted || running.from === from) throw error;
        if (this.#brought.get(key) === running) this.#brought.delete(key);
      }
    }
    const pushed = this.#bringNow(repository, child, lookup, ask, patience);
    const brought = { pushed, from };
    this.#brought.set(key, brought);
    try {
      const had = await pushed;
      this.#hasBlobs(repository, [child]);
      return had;
    } catch (error) {
      if (this.#brought.get(key) === brought) this.#brought.delete(key);
      throw error;
    }
  }

  async #bringNow(
    repository: Repository,
    child: Child,
    lookup: Lookup,
    ask: boolean,
    patience: Patience,
  ): Promise<boolean> {
    if (ask && (await this.#has(repository, child, patience.signal))) return false;
    if (child.kind === 'manifest') {
      const document = await this.#fromAny(child, lookup, (source) =>
        this.#document(child, source, lookup, patience.signal),
      );
      await this.#put(repository, child.digest, child.digest, document, patience);
    } else await this.#bringBlob(repository, child, lookup, patience);
    return true;
  }

  /** What has a manifest has its blobs. */
  #hasBlobs({ upstream, path }: Repository, children: readonly Child[]): void {
    for (const child of children)
      if (child.kind === 'blob') this.#places.set(placeOf(upstream, child), path);
  }

  async #has(
    { upstream, path }: Repository,
    { kind, digest }: Child,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { fetcher } = this.#options.registryOf(upstream);
    const head =
      kind === 'blob'
        ? fetcher.headBlob(path, digest, signal).then(() => true)
        : fetcher.headManifest(path, digest, signal).then(() => true);
    return (await present(head)) ?? false;
  }

  /** The nearest source that has it. */
  async #fromAny<T>(
    { kind, digest }: Child,
    lookup: Lookup,
    run: (source: Source) => Promise<T>,
  ): Promise<T> {
    const sources = lookup(digest);
    if (sources.length === 0)
      throw new LarderError(
        'not_found',
        `the registry lacks the ${kind} ${digest}, and sources does not say where it is`,
      );
    for (const source of sources) {
      const found = await present(run(source));
      if (found !== undefined) return found;
    }
    throw new LarderError('not_found', `the ${kind} ${digest} is not in its source`);
  }

  async #document(
    child: Child,
    source: Source,
    lookup: Lookup,
    signal: AbortSignal,
  ): Promise<Document> {
    if ('bytes' in source) {
      // what it needs may be where the input itself says, or where its parent does
      if (source.own) {
        const own = this.#lookupOf(source.own);
        return { ...source.own, lookup: (digest) => [...own(digest), ...lookup(digest)] };
      }
      return { ...source, ...readChild(child, source.bytes, source.mediaType), lookup };
    }
    const { repository } = source;
    const fetcher = this.#options.registryOf(repository.upstream).source;
    const fetched = await fetcher.manifest(repository.path, child.digest, signal);
    const bytes = await readAll(fetched.body, MAX_MANIFEST);
    return {
      bytes,
      ...readChild(child, bytes, fetched.contentType),
      // beside it is what it needs
      lookup: (digest) => [...lookup(digest), source],
    };
  }

  async #bringBlob(
    repository: Repository,
    child: Child,
    lookup: Lookup,
    patience: Patience,
  ): Promise<void> {
    const { pusher } = this.#options.registryOf(repository.upstream);
    const from = this.#mountable(repository, child, lookup);
    const { path } = repository;
    const upload = await pusher.beginBlob(path, child.digest, from, patience.signal);
    if (upload === undefined) return;
    await this.#fromAny(child, lookup, async (source) => {
      if ('bytes' in source) {
        await pusher.putBlob(path, child.digest, upload, source.bytes, patience.signal);
      } else await this.#copy(repository, child, upload, source.repository, patience);
      return true;
    });
  }

  /** Another repository of the same registry that has it, or may. */
  #mountable({ upstream, path }: Repository, child: Child, lookup: Lookup): string | undefined {
    const named = lookup(child.digest).flatMap((source) =>
      'repository' in source && source.repository.upstream.name === upstream.name
        ? [source.repository.path]
        : [],
    );
    const known = this.#places.get(placeOf(upstream, child));
    return [...(known === undefined ? [] : [known]), ...named].find((other) => other !== path);
  }

  /** From one registry to another, or within one, by way of here. */
  async #copy(
    to: Repository,
    child: Child,
    upload: Upload,
    from: Repository,
    patience: Patience,
  ): Promise<void> {
    await patience.standStill(this.#copyInTurn(to, child, upload, from, patience.signal));
  }

  async #copyInTurn(
    to: Repository,
    child: Child,
    upload: Upload,
    from: Repository,
    wanted: AbortSignal,
  ): Promise<void> {
    const { pusher } = this.#options.registryOf(to.upstream);
    const { source } = this.#options.registryOf(from.upstream);
    const release = await this.#copies.take();
    // frees the source whatever becomes of the upload
    const end = new AbortController();
    const signal = AbortSignal.any([wanted, end.signal]);
    try {
      signal.throwIfAborted();
      const fetched = await source.blob(from.path, child.digest, signal);
      if (fetched.size !== undefined && fetched.size !== child.size)
        throw new LarderError(
          'bad_content',
          `${child.digest} has ${String(fetched.size)} bytes, and its manifest says ${String(child.size)}`,
        );
      const bytes = checkedBytes(child, fetched.body);
      const body =
        child.size <= SMALL ? await readAll(bytes, child.size) : { size: child.size, bytes };
      await pusher.putBlob(to.path, child.digest, upload, body, signal);
    } finally {
      end.abort(new Error('the copy is over'));
      release();
    }
  }
}

const inputSource = (input: DeployInput): Source => ({
  bytes: input.bytes,
  mediaType: input.mediaType,
  own: input,
});

const sourceText = (source: Source): string =>
  'bytes' in source ? 'bytes' : `${source.repository.upstream.name}/${source.repository.path}`;

/** Undefined for what is not there. */
async function present<T>(run: Promise<T>): Promise<T | undefined> {
  try {
    return await run;
  } catch (error) {
    if (error instanceof LarderError && error.code === 'not_found') return undefined;
    throw error;
  }
}

/** Throws LarderError `checksum_mismatch` and `bad_content`. */
function readChild(child: Child, bytes: Buffer, contentType: string | undefined) {
  const wanted = parseDigest(child.digest);
  if (wanted?.hex !== hashOf(wanted?.algorithm ?? 'sha256', bytes)) throw wrongBytes(child.digest);
  const manifest = parseManifest(bytes, contentType);
  return { mediaType: manifest.mediaType, children: childrenIn(manifest) };
}

const placeOf = ({ name }: OciUpstream, { digest }: Child): string => `${name} ${digest}`;
