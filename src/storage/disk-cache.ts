// Large content of a store that is far away, on the disk that is near: kept as somebody reads it, the least recently used
// goes first. What is kept is forgotten at the end of the process.

import { createHash, hash } from 'node:crypto';
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { open, unlink, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import { LarderError } from '../engine/errors.ts';
import type { Body, ContentRecord, Store, StoredContent } from '../engine/ports.ts';
import { bodyOf, SMALL } from './file-body.ts';
import { isMissing, place } from './file-moves.ts';
import type { NearStore } from './near-store.ts';

export interface DiskCacheOptions {
  /** Its own; made where it is not there. */
  readonly folder: string;
  /** Bytes of all that is kept, what is on its way included. */
  readonly maxBytes: number;
  /** Told of what the disk refused, and of content that was not as its record says; must not throw. */
  failed(error: unknown): void;
}

/** The same store, whose large content is read once. Removes what an earlier process left; throws what the system says. */
export function diskCached(store: Store, options: DiskCacheOptions): NearStore {
  const files = new CachedFiles(options);
  const open = async (key: string): Promise<StoredContent | undefined> => {
    const known = await files.open(key);
    if (known) return known;
    const { deletions } = files;
    const stored = await store.open(key);
    if (stored === undefined || stored.body.bytes || stored.record.size <= SMALL) return stored;
    return { ...stored, body: keeping(stored, key, deletions) };
  };
  /** Its first reader who reads it from start to end leaves it on the disk. */
  const keeping = ({ record, body }: StoredContent, key: string, deletions: number): Body => ({
    size: record.size,
    read(start, end, signal) {
      const chunks = body.read(start, end, signal);
      const isWhole = start === 0 && (end ?? record.size) === record.size;
      // what was opened before a deletion must not come back after it
      return isWhole && deletions === files.deletions ? files.tee(key, record, chunks) : chunks;
    },
    close: () => {
      body.close();
    },
  });
  return {
    open,
    record: async (key) => files.record(key) ?? (await store.record(key)),
    async stash(key, source, record) {
      const { deletions } = files;
      const done = await store.stash(key, source, record);
      if (done === 'stored' && 'path' in source && record.size > SMALL) {
        if (deletions === files.deletions) await files.take(key, source.path, record);
      }
      return done;
    },
    readDocument: (key) => store.readDocument(key),
    writeDocument: (key, bytes) => store.writeDocument(key, bytes),
    async spoil(key) {
      files.delete(key);
      await store.spoil(key);
      files.delete(key);
    },
    isSpoiled: (key) => store.isSpoiled(key),
    async delete(key) {
      files.delete(key);
      await store.delete(key);
      files.delete(key);
    },
    list: (folder) => store.list(folder),
    check: () => store.check(),
    forgetAll: (matches) => {
      files.deleteAll(matches);
    },
  };
}

interface Entry {
  readonly record: ContentRecord;
  /** A name of its own: an entry that goes takes nobody else's file with it. */
  readonly file: string;
  /** Its file is whole. */
  isReady: boolean;
  /** It is no longer wanted, whole or not. */
  isGone: boolean;
}

class CachedFiles {
  /** Grows with each: who has seen another number may hold what was deleted since. */
  deletions = 0;
  readonly #options: DiskCacheOptions;
  readonly #entries: LRUCache<string, Entry>;
  #made = 0;

  constructor(options: DiskCacheOptions) {
    this.#options = options;
    const { folder, maxBytes } = options;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      if (/^[0-9a-f]{64}\.\d+$/.test(name)) unlinkSync(path.join(folder, name));
    }
    this.#entries = new LRUCache<string, Entry>({
      maxSize: maxBytes,
      sizeCalculation: ({ record }) => record.size,
      dispose: (entry) => {
        entry.isGone = true;
        if (entry.isReady) this.#remove(entry);
      },
    });
  }

  async open(key: string): Promise<StoredContent | undefined> {
    const entry = this.#entries.get(key);
    if (!entry?.isReady) return undefined;
    try {
      const body = await bodyOf(entry.file, entry.record);
      if (body) return { record: entry.record, body };
      this.#drop(key, entry, new LarderError('store_failed', 'a cached file has another length'));
    } catch (error) {
      // else it went while it was opened
      if (!entry.isGone) this.#drop(key, entry, error);
    }
    return undefined;
  }

  record(key: string): ContentRecord | undefined {
    const entry = this.#entries.get(key);
    return entry?.isReady ? entry.record : undefined;
  }

  delete(key: string): void {
    this.deletions++;
    this.#entries.delete(key);
  }

  deleteAll(matches: (key: string) => boolean): void {
    this.deletions++;
    for (const key of [...this.#entries.keys()]) if (matches(key)) this.#entries.delete(key);
  }

  /** Keeps a finished file that the store has taken. */
  async take(key: string, source: string, record: ContentRecord): Promise<void> {
    const entry = this.#begin(key, record);
    if (entry === undefined) return;
    try {
      await place({ path: source }, entry.file);
      if (!entry.isGone) entry.isReady = true;
    } catch (error) {
      this.#drop(key, entry, error);
    }
    if (!entry.isReady) this.#remove(entry);
  }

  /** Hands the chunks on, and keeps them where nobody else does so already. What the disk refuses spoils no read. */
  async *tee(
    key: string,
    record: ContentRecord,
    chunks: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    const entry = this.#begin(key, record);
    if (entry === undefined) {
      yield* chunks;
      return;
    }
    const copy = new Copy(entry.file);
    try {
      for await (const chunk of chunks) {
        const written = entry.isGone ? undefined : copy.write(chunk);
        yield chunk;
        // it is valid until the next is asked for
        await written;
        if (copy.error !== undefined && !entry.isGone) this.#drop(key, entry, copy.error);
      }
      const sha256 = await copy.end();
      if (entry.isGone) return;
      if (sha256 === record.sha256 && copy.error === undefined) entry.isReady = true;
      else this.#drop(key, entry, copy.error ?? differs(key));
    } finally {
      // left early, refused by the disk, or deleted
      if (!entry.isReady) {
        if (!entry.isGone) this.#entries.delete(key);
        await copy.end();
        this.#remove(entry);
      }
    }
  }

  /** Undefined when it is kept or on its way already, or is too large. */
  #begin(key: string, record: ContentRecord): Entry | undefined {
    if (this.#entries.peek(key) || record.size > this.#options.maxBytes) return undefined;
    const name = `${hash('sha256', key)}.${String(this.#made++)}`;
    const file = path.join(this.#options.folder, name);
    const entry = { record, file, isReady: false, isGone: false };
    this.#entries.set(key, entry);
    return entry;
  }

  #drop(key: string, entry: Entry, error: unknown): void {
    if (!entry.isGone) this.#entries.delete(key);
    this.#options.failed(error);
  }

  #remove({ file }: Entry): void {
    unlink(file).catch((error: unknown) => {
      if (!isMissing(error)) this.#options.failed(error);
    });
  }
}

const differs = (key: string) =>
  new LarderError('store_failed', `what the store has under ${key} is not what its record says`);

/** A new file that is written behind a reader. Its methods never throw: `error` says what the disk refused. */
class Copy {
  error: unknown;
  readonly #hash = createHash('sha256');
  #handle: FileHandle | undefined;
  /** One after another. */
  #work = Promise.resolve();
  #ended: Promise<string> | undefined;

  constructor(file: string) {
    void this.#then(async () => {
      this.#handle = await open(file, 'wx');
    });
  }

  /** Resolves when the chunk is needed no more. */
  write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    return this.#then(async () => {
      if (this.error === undefined) await this.#handle?.appendFile(chunk);
    });
  }

  /** Closes the file; the SHA-256 of all that was handed in, hex. May be called again. */
  end(): Promise<string> {
    this.#ended ??= this.#then(async () => this.#handle?.close()).then(() =>
      this.#hash.digest('hex'),
    );
    return this.#ended;
  }

  #then(run: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(run).catch((error: unknown) => {
      this.error ??= error;
    });
    return this.#work;
  }
}
