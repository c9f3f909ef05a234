// The three files of a module version as content: where each comes from, and what is checked before it is kept.

import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { LarderError } from '../engine/errors.ts';
import type { Check, ContentRequest } from '../engine/fill.ts';
import type { Admission, ContentRecord, Entrant, Fetched, StashSource } from '../engine/ports.ts';
import type { PullThrough, Redirectable } from '../engine/pull-through.ts';
import { orAborted } from '../http/deadline.ts';
import { makesVersions, type GoFetcher, type Made, type VersionFetcher } from './fetcher.ts';
import { parseInfo } from './info.ts';
import { goModHash } from './sumdb/check.ts';
import { hasModuleLine } from './go-mod.ts';
import type { MadeVersions } from './made-versions.ts';
import { keyOf, pathOf, type FileExtension, type GoFileName } from './names.ts';
import type { GoTarget } from './rules.ts';
import type { Sources } from './sources.ts';
import { EXTENSIONS } from './stored-files.ts';
import type { SumGate } from './sum-gate.ts';
import type { ZipChecker } from './zip-checker.ts';

const MIB = 1024 * 1024;
const MAX_BYTES: Readonly<Record<FileExtension, number>> = {
  info: MIB,
  mod: 16 * MIB,
  zip: 500 * MIB,
};

export interface ContentParts {
  /** Records of what is checked, stored or about to be; and fills of what belongs to it. */
  readonly pull: Pick<PullThrough, 'record' | 'fill'>;
  readonly made: MadeVersions;
  readonly sourcesOf: (target: GoTarget) => Sources;
  readonly zips: ZipChecker;
  readonly sums: SumGate;
  readonly admission: Admission | undefined;
  /** Starts fills that nobody waits for. */
  readonly readAhead: (name: GoFileName) => void;
}

/** One file as pull-through wants it. A class, since a hit makes one and needs no more of it than the key. */
export class FileRequest implements ContentRequest, Redirectable {
  readonly key: string;
  readonly #parts: ContentParts;
  readonly #name: GoFileName;
  readonly #from: string | undefined;
  /** Set when it comes of a version that was made at once. */
  #made: Made | undefined;
  /** Set for the zip of one that was made here. */
  #release: (() => void) | undefined;

  /** `from`: the source that is known to have the version. */
  constructor(parts: ContentParts, name: GoFileName, from?: string) {
    this.#parts = parts;
    this.#name = name;
    this.#from = from;
    this.key = keyOf(name);
  }

  get failureKey(): string {
    return this.key;
  }

  get upstream(): string {
    return this.#sources.first(this.#name.module);
  }

  get maxBytes(): number {
    return MAX_BYTES[this.#name.ext];
  }

  async fetch(signal: AbortSignal, leave: () => void): Promise<Fetched> {
    return this.#ask((fetcher, path) =>
      makesVersions(fetcher) ? this.#part(fetcher, signal, leave) : fetcher.fetch(path, signal),
    );
  }

  async fetchSize(signal: AbortSignal): Promise<number | undefined> {
    return this.#ask((fetcher, path) => fetcher.fetchSize(path, signal));
  }

  /** Clients are sent to nothing that may not be kept either. */
  async location(signal: AbortSignal): Promise<string | undefined> {
    const { admission } = this.#parts;
    const sources = this.#sources;
    const { module } = this.#name;
    const location = sources.location(module, pathOf(this.#name));
    if (location !== undefined) await admission?.admit(this.entrant(sources.first(module)), signal);
    return location;
  }

  entrant(source: string): Entrant {
    const { module: name, version } = this.#name;
    return { protocol: 'go', name, version, upstream: source };
  }

  beginCheck(signal: AbortSignal): Check {
    return begin(this.#parts, this.#name, signal, () => this.#made);
  }

  onFill(): void {
    if (this.#name.ext === 'info') this.#parts.readAhead(this.#name);
  }

  /** A version that was made at once is kept as a whole, whichever of its files was asked for; its .info comes last. */
  onEnd(stored: boolean): void {
    if (!stored || this.#release === undefined) return;
    this.#release();
    // nobody waits: a failure is the fill's own, and told by its listener
    this.#fill('info', this.#from).catch(() => undefined);
  }

  get #sources(): Sources {
    return this.#parts.sourcesOf(this.#name);
  }

  /** A version's files come from one source, as long as that has them. */
  async #ask<T>(ask: (fetcher: GoFetcher, path: string) => Promise<T>): Promise<T> {
    const sources = this.#sources;
    const { module } = this.#name;
    const hasChoice = sources.hasChoice(module);
    const before =
      this.#from ?? (hasChoice ? await sibling(this.#parts, this.#name) : undefined)?.source;
    const path = pathOf(this.#name);
    return sources.firstAnswer(module, before, (fetcher) => ask(fetcher, path));
  }

  /**
   * One file of a version whose files are made at once: the fill of its zip makes it, one among all replicas. What waits for
   * that holds no place of others.
   */
  async #part(fetcher: VersionFetcher, signal: AbortSignal, leave: () => void): Promise<Fetched> {
    leave();
    const { source } = fetcher;
    const { ext } = this.#name;
    if (ext === 'zip') {
      const version = await fetcher.fetchVersion(this.#name, signal);
      this.#made = version;
      this.#release = () => {
        version.release();
      };
      return version.zip;
    }
    const kept = await orAborted(this.#fill('zip', source), signal);
    const made = await this.#madeWith(fetcher, kept, signal);
    this.#made = made;
    return { size: made[ext].length, source, body: Readable.from([made[ext]]) };
  }

  /** What was made with the zip that is kept; where none could be kept, what was made just now. */
  async #madeWith(fetcher: VersionFetcher, kept: boolean, signal: AbortSignal): Promise<Made> {
    const { pull, made } = this.#parts;
    const zip = kept ? await pull.record(keyOf({ ...this.#name, ext: 'zip' })) : undefined;
    const h1 = zip?.extra['h1'];
    const before = h1 === undefined ? undefined : await made.read(this.#name, h1);
    if (before) return before;
    const version = await fetcher.fetchVersion(this.#name, signal);
    refuseMoved(this.#name, h1, version.h1);
    return version;
  }

  #fill(ext: FileExtension, from: string | undefined): Promise<boolean> {
    const request = new FileRequest(this.#parts, { ...this.#name, ext }, from);
    return this.#parts.pull.fill(request);
  }
}

/** The record of another file of the version: the next one is asked of the same source first. */
async function sibling(
  { pull }: ContentParts,
  name: GoFileName,
): Promise<ContentRecord | undefined> {
  for (const ext of EXTENSIONS) {
    if (ext === name.ext) continue;
    const record = await pull.record(keyOf({ ...name, ext }));
    if (record) return record;
  }
  return undefined;
}

/** Made at once with other files of its version, or not: known when it is fetched. */
type MadeOf = () => Made | undefined;

function begin(parts: ContentParts, name: GoFileName, signal: AbortSignal, made: MadeOf): Check {
  switch (name.ext) {
    case 'info':
      return infoCheck(parts, name, made);
    case 'mod':
      return modCheck(parts, name, signal);
    case 'zip':
      return zipCheck(parts, name, signal, made);
  }
}

function infoCheck(parts: ContentParts, name: GoFileName, made: MadeOf): Check {
  return {
    async verify(source) {
      const { version } = parseInfo(await bytesOf(source));
      const { h1 } = made() ?? {};
      if (version === name.version) return h1 === undefined ? {} : { zip: h1 };
      throw new LarderError(
        'bad_content',
        `the upstream's .info of ${name.module}@${name.version} is of another version`,
      );
    },
    // the mark of a version that is here as a whole: its zip is, and now its .mod
    async compare() {
      if (made() === undefined) return;
      const files = (['zip', 'mod'] as const).map((ext) =>
        parts.pull.fill(new FileRequest(parts, { ...name, ext })),
      );
      const kept = await Promise.all(files);
      if (kept.includes(false))
        throw new LarderError('store_failed', 'the other files of its version could not be kept');
    },
  };
}

function modCheck({ pull, sums }: ContentParts, name: GoFileName, signal: AbortSignal): Check {
  const lookup = sums.begin(name, signal);
  return {
    async verify(source) {
      const bytes = await bytesOf(source);
      if (!hasModuleLine(Buffer.from(bytes).toString())) {
        throw new LarderError(
          'bad_content',
          `the upstream's .mod of ${name.module}@${name.version} is no go.mod file: it has no module line`,
        );
      }
      const h1 = goModHash(bytes);
      await lookup({ goModH1: h1 });
      return { h1 };
    },
    // last, so that of two files checked side by side the later one sees the other
    async compare(sha256) {
      const zip = await pull.record(keyOf({ ...name, ext: 'zip' }));
      refuseMix(name, zip?.extra['goMod'], sha256);
    },
  };
}

function zipCheck(
  { pull, sums, zips, made: versions }: ContentParts,
  name: GoFileName,
  signal: AbortSignal,
  made: MadeOf,
): Check {
  const lookup = sums.begin(name, signal);
  return {
    async verify(source, size) {
      const { module, version } = name;
      const { h1, goModSha256 } = await zips.check({ source, size, module, version }, signal);
      await lookup({ zipH1: h1 });
      return goModSha256 === undefined ? { h1 } : { h1, goMod: goModSha256 };
    },
    async compare(_sha256, { h1, goMod }) {
      if (goMod !== undefined) {
        const mod = await pull.record(keyOf({ ...name, ext: 'mod' }));
        refuseMix(name, mod?.sha256, goMod);
      }
      const version = made();
      if (version === undefined) return;
      refuseMoved(name, version.h1, h1);
      const info = await pull.record(keyOf({ ...name, ext: 'info' }));
      refuseMoved(name, info?.extra['zip'], h1);
      await versions.keep(name, version);
    },
  };
}

/** A version never mixes sources: the go.mod in its zip is its .mod. */
function refuseMix(name: GoFileName, kept: string | undefined, fetched: string): void {
  if (kept === undefined || kept === fetched) return;
  throw new LarderError(
    'bad_content',
    `the go.mod in the zip of ${name.module}@${name.version} differs from its .mod`,
  );
}

/** Nor does it mix commits. */
function refuseMoved(name: GoFileName, kept: string | undefined, made: string | undefined): void {
  if (kept === undefined || kept === made) return;
  throw new LarderError(
    'bad_content',
    `${name.module}@${name.version} is another commit now than the one of which other files are kept: its tag was moved`,
  );
}

const bytesOf = (source: StashSource): Promise<Uint8Array> =>
  'bytes' in source ? Promise.resolve(source.bytes) : readFile(source.path);
