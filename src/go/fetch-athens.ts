// The folder of an Athens proxy (its storage type `disk`): `<module>/<version>/{go.mod,source.zip,<version>.info}`, names as
// they are written, not escaped. It is read as an upstream, so that what is in it is checked like whatever comes from one.

import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Fetched } from '../engine/ports.ts';
import type { GoFetcher } from './fetcher.ts';
import { nothing } from './missing-file.ts';
import { parseGoPath, type FileExtension } from './names.ts';
import { EXTENSIONS } from './stored-files.ts';

export interface AthensVersion {
  readonly module: string;
  readonly version: string;
}

export class AthensFetcher implements GoFetcher {
  readonly source = 'athens';
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async fetch(path: string, signal: AbortSignal): Promise<Fetched> {
    const name = parseGoPath(path);
    if (name?.kind === 'list') return this.#list(name.module, signal);
    const file = this.#fileOf(path);
    const size = await this.#sizeOf(file, path, signal);
    return { size, source: this.source, body: createReadStream(file, { signal }) };
  }

  async fetchSize(path: string, signal: AbortSignal): Promise<number | undefined> {
    const name = parseGoPath(path);
    if (name?.kind === 'list') return (await this.#list(name.module, signal)).size;
    return this.#sizeOf(this.#fileOf(path), path, signal);
  }

  /** Where a file of a version stands. Throws LarderError `not_found` for what Athens keeps nowhere. */
  #fileOf(path: string): string {
    const name = parseGoPath(path);
    if (name?.kind !== 'file') throw missing(path);
    const { module, version, ext } = name;
    return join(this.#folder, module, version, fileName(version, ext));
  }

  async #sizeOf(file: string, path: string, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const found = await this.#looked(() => stat(file));
    if (found?.isFile() !== true) throw missing(path);
    return found.size;
  }

  async #list(module: string, signal: AbortSignal): Promise<Fetched & { size: number }> {
    signal.throwIfAborted();
    const folder = join(this.#folder, module);
    const names = (await this.#looked(() => readdir(folder))) ?? [];
    const versions: string[] = [];
    for (const version of names)
      if (await isVersion(join(folder, version), version)) versions.push(version);
    if (versions.length === 0) throw missing(`/${module}/@v/list`);
    const bytes = Buffer.from(versions.map((version) => `${version}\n`).join(''));
    return { size: bytes.length, source: this.source, body: Readable.from([bytes]) };
  }

  /** Undefined for what is not there. A folder that is gone has not lost its modules. */
  async #looked<T>(look: () => Promise<T>): Promise<T | undefined> {
    try {
      await stat(this.#folder);
      return await look().catch(nothing);
    } catch (error) {
      throw new LarderError('upstream_failed', `the folder of Athens: ${messageOf(error)}`);
    }
  }
}

/**
 * All versions in a folder of Athens, folder by folder in the order of their names; of each folder on the way no more is in
 * memory than its names. Links are not followed. Throws LarderError `invalid` where there is no such folder.
 */
export async function* athensVersions(folder: string): AsyncGenerator<AthensVersion> {
  const found = await stat(folder).catch(nothing);
  if (found?.isDirectory() !== true)
    throw new LarderError('invalid', `${folder} is no folder: give the one that Athens writes to`);
  yield* versionsBelow(folder, '');
}

async function* versionsBelow(folder: string, module: string): AsyncGenerator<AthensVersion> {
  const entries = await readdir(join(folder, module), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  for (const name of folders.sort()) {
    if (await isVersion(join(folder, module, name), name)) yield { module, version: name };
    else yield* versionsBelow(folder, module === '' ? name : `${module}/${name}`);
  }
}

/** Athens keeps a version's three files or none, but may have been killed. */
async function isVersion(folder: string, version: string): Promise<boolean> {
  for (const ext of EXTENSIONS) {
    const file = await stat(join(folder, fileName(version, ext))).catch(nothing);
    // a module may be called go.mod, and then it is a folder
    if (file?.isFile() === true) return true;
  }
  return false;
}

const fileName = (version: string, ext: FileExtension): string =>
  ({ info: `${version}.info`, mod: 'go.mod', zip: 'source.zip' })[ext];

const missing = (path: string): LarderError =>
  new LarderError('not_found', `not found: the folder of Athens has no ${path}`);
