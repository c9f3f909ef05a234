// Modules from version control, by the installed go command: it knows repositories, import paths and versions, and decides what
// belongs into a zip. One run makes the three files of a version.

import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { LarderError } from '../engine/errors.ts';
import type { Fetched } from '../engine/ports.ts';
import { orAborted } from '../http/deadline.ts';
import type { MadeVersion, VersionFetcher } from './fetcher.ts';
import { parseGoPath, type GoFileName } from './names.ts';
import type { GoCommand } from './vcs/go-command.ts';

/** How long a version that was made is held for whoever asks for another of its files, milliseconds. */
const HELD_MS = 30_000;

export class VcsFetcher implements VersionFetcher {
  readonly source = 'direct';
  readonly #go: Pick<GoCommand, 'download' | 'list' | 'handOver' | 'forget'>;
  /** Versions that are being made, or were a moment ago. */
  readonly #made = new Map<string, Promise<MadeVersion>>();

  constructor(go: Pick<GoCommand, 'download' | 'list' | 'handOver' | 'forget'>) {
    this.#go = go;
  }

  async fetch(escapedPath: string, signal: AbortSignal): Promise<Fetched> {
    const name = parseGoPath(escapedPath);
    if (name === undefined) throw new LarderError('not_found', 'version control has no such thing');
    switch (name.kind) {
      case 'list':
        return this.#text(await this.#list(name.module, signal));
      case 'latest':
        return this.#text(await this.#info(name.module, 'latest', signal));
      case 'query':
        return this.#text(await this.#info(name.module, name.query, signal));
      case 'file': {
        const version = await this.fetchVersion(name, signal);
        return name.ext === 'zip' ? version.zip : this.#text(version[name.ext]);
      }
    }
  }

  /** No length is known of what is not made yet: whether it is there costs less. */
  async fetchSize(escapedPath: string, signal: AbortSignal): Promise<number | undefined> {
    const name = parseGoPath(escapedPath);
    if (name?.kind !== 'file') return (await this.fetch(escapedPath, signal)).size;
    await this.#info(name.module, name.version, signal);
    return undefined;
  }

  fetchVersion({ module, version }: GoFileName, signal: AbortSignal): Promise<MadeVersion> {
    const query = `${module}@${version}`;
    let made = this.#made.get(query);
    if (made === undefined) {
      // it belongs to nobody who asks: its deadline is its own
      made = this.#make(query, () => {
        if (this.#made.get(query) === made) this.#made.delete(query);
      });
      this.#made.set(query, made);
    }
    return orAborted(made, signal);
  }

  /** What was made, and what a clone knows, may be of a tag that moved since. */
  forget(): void {
    this.#made.clear();
    this.#go.forget();
  }

  #make(query: string, over: () => void): Promise<MadeVersion> {
    const made = this.#go.download(query, async (said) => {
      const { Info: info, GoMod: mod, Zip: zip, Dir: folder, Sum: h1 } = said;
      if ([info, mod, zip, h1].some((each) => typeof each !== 'string'))
        throw new LarderError('upstream_failed', 'the go command does not say where the files are');
      const own = path.join(await this.#go.handOver(), `${randomUUID()}.zip`);
      await rename(zip as string, own);
      // go unpacks what it downloads
      if (typeof folder === 'string') await rm(folder, { recursive: true, force: true });
      const release = () => {
        clearTimeout(timer);
        over();
        // where it cannot be removed, the next start does
        rm(own, { force: true }).catch(() => undefined);
      };
      const timer = setTimeout(release, HELD_MS).unref();
      return {
        h1: h1 as string,
        info: await readFile(info as string),
        mod: await readFile(mod as string),
        zip: { size: (await stat(own)).size, source: this.source, body: bytesOf(own) },
        release,
      };
    });
    made.catch(over);
    return made;
  }

  /** Retracted versions too: which these are is for the client to see. */
  async #list(module: string, signal: AbortSignal): Promise<string> {
    const { Versions: versions } = await this.#go.list(['-versions', '-retracted'], module, signal);
    return Array.isArray(versions)
      ? versions.map((version) => `${String(version)}\n`).join('')
      : '';
  }

  /** As `.info` files are written. */
  async #info(module: string, query: string, signal: AbortSignal): Promise<string> {
    const said = await this.#go.list([], `${module}@${query}`, signal);
    const { Version, Time, Origin } = said;
    return JSON.stringify({ Version, Time, Origin });
  }

  #text(text: string | Uint8Array): Fetched {
    const bytes = Buffer.from(text);
    return { size: bytes.length, source: this.source, body: Readable.from([bytes]) };
  }
}

/** Opened when it is read, and each time anew. */
const bytesOf = (file: string): AsyncIterable<Uint8Array> => ({
  [Symbol.asyncIterator]: () =>
    createReadStream(file)[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
});
