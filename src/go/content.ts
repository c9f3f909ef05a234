// The three files of a module version as content: where each comes from, and what is checked before it is kept.

import { readFile } from 'node:fs/promises';
import { LarderError } from '../engine/errors.ts';
import type { Check, ContentRequest } from '../engine/fill.ts';
import type { ContentRecord, Fetched, StashSource } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import type { ProxyFetcher } from './fetch-proxy.ts';
import { parseInfo } from './info.ts';
import { goModHash } from './sumdb/check.ts';
import { hasModuleLine } from './go-mod.ts';
import { keyOf, pathOf, type FileExtension, type GoFileName } from './names.ts';
import type { Sources } from './sources.ts';
import type { SumGate } from './sum-gate.ts';
import type { ZipChecker } from './zip-checker.ts';

const MIB = 1024 * 1024;
const MAX_BYTES: Readonly<Record<FileExtension, number>> = {
  info: MIB,
  mod: 16 * MIB,
  zip: 500 * MIB,
};
const EXTENSIONS: readonly FileExtension[] = ['info', 'mod', 'zip'];

export interface ContentParts {
  /** Records of what is checked, stored or about to be. */
  readonly records: Pick<PullThrough, 'record'>;
  readonly sources: Sources;
  readonly zips: ZipChecker;
  readonly sums: SumGate;
  /** Starts fills that nobody waits for. */
  readonly readAhead: (name: GoFileName) => void;
}

/** One file as pull-through wants it. A class, since a hit makes one and needs no more of it than the key. */
export class FileRequest implements ContentRequest {
  readonly key: string;
  readonly #parts: ContentParts;
  readonly #name: GoFileName;

  constructor(parts: ContentParts, name: GoFileName) {
    this.#parts = parts;
    this.#name = name;
    this.key = keyOf(name);
  }

  get failureKey(): string {
    return this.key;
  }

  get upstream(): string {
    return this.#parts.sources.first;
  }

  get maxBytes(): number {
    return MAX_BYTES[this.#name.ext];
  }

  async fetch(signal: AbortSignal): Promise<Fetched> {
    return this.#ask((fetcher, path) => fetcher.fetch(path, signal));
  }

  async fetchSize(signal: AbortSignal): Promise<number | undefined> {
    return this.#ask((fetcher, path) => fetcher.fetchSize(path, signal));
  }

  beginCheck(signal: AbortSignal): Check {
    return begin(this.#parts, this.#name, signal);
  }

  onFill(): void {
    if (this.#name.ext === 'info') this.#parts.readAhead(this.#name);
  }

  /** A version's files come from one source, as long as that has them. */
  async #ask<T>(ask: (fetcher: ProxyFetcher, path: string) => Promise<T>): Promise<T> {
    const { sources } = this.#parts;
    const before = sources.hasChoice ? await sibling(this.#parts, this.#name) : undefined;
    const path = pathOf(this.#name);
    return sources.firstAnswer(this.#name.module, before?.source, (fetcher) => ask(fetcher, path));
  }
}

/** The record of another file of the version: the next one is asked of the same source first. */
async function sibling(
  { records }: ContentParts,
  name: GoFileName,
): Promise<ContentRecord | undefined> {
  for (const ext of EXTENSIONS) {
    if (ext === name.ext) continue;
    const record = await records.record(keyOf({ ...name, ext }));
    if (record) return record;
  }
  return undefined;
}

function begin(parts: ContentParts, name: GoFileName, signal: AbortSignal): Check {
  switch (name.ext) {
    case 'info':
      return { verify: async (source) => checkInfo(await bytesOf(source), name) };
    case 'mod':
      return modCheck(parts, name, signal);
    case 'zip':
      return zipCheck(parts, name, signal);
  }
}

function checkInfo(bytes: Uint8Array, name: GoFileName): Record<string, string> {
  const { version } = parseInfo(bytes);
  if (version === name.version) return {};
  throw new LarderError(
    'bad_content',
    `the upstream's .info of ${name.module}@${name.version} is of another version`,
  );
}

function modCheck({ records, sums }: ContentParts, name: GoFileName, signal: AbortSignal): Check {
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
      const zip = await records.record(keyOf({ ...name, ext: 'zip' }));
      refuseMix(name, zip?.extra['goMod'], sha256);
    },
  };
}

function zipCheck(
  { records, sums, zips }: ContentParts,
  name: GoFileName,
  signal: AbortSignal,
): Check {
  const lookup = sums.begin(name, signal);
  return {
    async verify(source, size) {
      const { module, version } = name;
      const { h1, goModSha256 } = await zips.check({ source, size, module, version }, signal);
      await lookup({ zipH1: h1 });
      return goModSha256 === undefined ? { h1 } : { h1, goMod: goModSha256 };
    },
    async compare(_sha256, { goMod }) {
      if (goMod === undefined) return;
      const mod = await records.record(keyOf({ ...name, ext: 'mod' }));
      refuseMix(name, mod?.sha256, goMod);
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

const bytesOf = (source: StashSource): Promise<Uint8Array> =>
  'bytes' in source ? Promise.resolve(source.bytes) : readFile(source.path);
