// Content and documents in a folder. Bytes come in by temp and rename, their record after them as the commit mark:
// what has no readable record of the right size is not there. One process a folder.

import { constants } from 'node:fs';
import { access, mkdir, readFile, readdir, unlink, writeFile } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { ContentRecord, StashSource, Store, StoredContent } from '../engine/ports.ts';
import { seal, unseal } from '../engine/seal.ts';
import { BackgroundSync, syncFile } from './background-sync.ts';
import { bodyOf, sha256Of, SMALL } from './file-body.ts';
import { allDone, discard, isMissing, moveInto, place } from './file-moves.ts';

/** Folders known to be there. */
const FOLDERS = 10_000;
const RECORD = '.record';
/** Ends what is called like a record and is none. */
const NO_RECORD = '~';
const TEMP = '.tmp';
/** Of a record. What has another one is none, such as the note of what is spoiled. */
const MEMBERS = ['size', 'sha256', 'time', 'source', 'extra', 'synced'];

/** As on the disk: `synced` is false until large content is known to outlive a power cut. */
type FileRecord = ContentRecord & { readonly synced?: false };

export class FileStore implements Store {
  readonly #root: string;
  readonly #unsynced: BackgroundSync;
  readonly #folders = new LRUCache<string, true>({ max: FOLDERS });

  /**
   * `root`: absolute, existing. Call `sweep` before use. `syncFailed` is told of content that the disk did not take, which
   * is hashed when it is read; it must not throw.
   */
  constructor(root: string, syncFailed: (key: string, error: unknown) => void) {
    this.#root = root;
    this.#unsynced = new BackgroundSync((file, error) => {
      syncFailed(path.relative(root, file), error);
    });
  }

  /** Removes what a killed process left behind. */
  async sweep(): Promise<void> {
    const folder = path.join(this.#root, TEMP);
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) await unlink(path.join(folder, name));
  }

  open(key: string): Promise<StoredContent | undefined> {
    return this.#io(key, 'open', async (file) => {
      const record = await this.#readRecord(file);
      if (record === undefined) return undefined;
      const body = await bodyOf(file, record).catch((error: unknown) => {
        if (!isMissing(error)) throw error;
      });
      if (body) return { record, body };
      // by a power cut, the disk or a hand
      await this.#spoil(file);
      return undefined;
    });
  }

  record(key: string): Promise<ContentRecord | undefined> {
    return this.#io(key, 'record', (file) => this.#readRecord(file));
  }

  /** Moves them into place before the disk has them, so that a kill right after an answer loses nothing. */
  async stash(
    key: string,
    source: StashSource,
    record: ContentRecord,
  ): Promise<'stored' | 'present'> {
    const done = await this.#io(key, 'stash', async (file) => {
      const isSmall = record.size <= SMALL;
      const written: FileRecord = isSmall ? record : { ...record, synced: false };
      const temp = this.#temp();
      try {
        const [present] = await allDone([
          this.#readRecord(file),
          place(source, temp),
          this.#makeFolder(path.dirname(file)),
        ]);
        if (present) {
          await discard(temp);
          return 'present' as const;
        }
        await moveInto(temp, file);
        // whoever sees a part of it takes it for none
        await writeFile(file + RECORD, seal({ ...written }));
      } catch (error) {
        await discard(temp);
        throw error;
      }
      this.#unsynced.add(file, async () => {
        if (!isSmall) await this.#writeRecord(file, record);
      });
      return 'stored' as const;
    });
    if (done === undefined)
      throw new LarderError('store_failed', 'the name cannot be kept on this file system');
    return done;
  }

  readDocument(key: string): Promise<Uint8Array | undefined> {
    return this.#io(key, 'readDocument', (file) => readFile(file));
  }

  async writeDocument(key: string, bytes: Uint8Array): Promise<void> {
    await this.#io(key, 'writeDocument', (file) => this.#replace(file, bytes));
  }

  async spoil(key: string): Promise<void> {
    await this.#io(key, 'spoil', (file) => this.#spoil(file));
  }

  async isSpoiled(key: string): Promise<boolean> {
    const isSpoiled = await this.#io(key, 'isSpoiled', async (file) => {
      const text = await readFile(file + RECORD, 'utf8');
      // a kill leaves none behind, or an empty one
      if (text === '') return false;
      const record = await this.#readRecord(file);
      if (record === undefined) return true;
      const body = await bodyOf(file, record);
      body?.close();
      return body === undefined;
    });
    return isSpoiled ?? false;
  }

  async delete(key: string): Promise<void> {
    await this.#io(key, 'delete', async (file) => {
      this.#unsynced.forget(file);
      // the commit mark goes first
      for (const name of [file + RECORD, file]) {
        await unlink(name).catch((error: unknown) => {
          if (!isMissing(error)) throw error;
        });
      }
    });
  }

  async list(folder: string): Promise<string[]> {
    const entries = await this.#in(folder, 'list', (file) =>
      readdir(file, { withFileTypes: true }),
    );
    return (entries ?? [])
      .flatMap((entry) => (entry.isDirectory() ? [`${entry.name}/`] : namesOf(entry.name)))
      .sort();
  }

  async check(): Promise<void> {
    await this.#in('', 'check', (root) => access(root, constants.R_OK | constants.W_OK));
  }

  /** Resolves when everything stored so far will survive a power cut, as far as the disk takes it. */
  async close(): Promise<void> {
    await this.#unsynced.flush();
  }

  async #readRecord(file: string): Promise<ContentRecord | undefined> {
    try {
      const fields = unseal(await readFile(file + RECORD, 'utf8'), MEMBERS);
      if (fields === undefined) return undefined;
      const { synced, ...record } = fields as unknown as FileRecord;
      if (synced !== false || this.#unsynced.has(file)) return record;
      if ((await sha256Of(file)) !== record.sha256) return undefined;
      await syncFile(file);
      await this.#writeRecord(file, record);
      return record;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #writeRecord(file: string, record: FileRecord): Promise<void> {
    return this.#replace(file + RECORD, Buffer.from(seal({ ...record })));
  }

  /** What has no record can be stored anew; in its place is a note, as long as there are bytes. */
  async #spoil(file: string): Promise<void> {
    this.#unsynced.forget(file);
    try {
      await access(file);
      const note = { spoiled: new Date().toISOString() };
      await this.#replace(file + RECORD, Buffer.from(JSON.stringify(note)));
    } catch (error) {
      if (!isMissing(error)) throw error;
      await unlink(file + RECORD);
    }
  }

  async #replace(file: string, bytes: Uint8Array): Promise<void> {
    const temp = this.#temp();
    try {
      await place({ bytes }, temp);
      await moveInto(temp, file);
    } catch (error) {
      await discard(temp);
      throw error;
    }
  }

  async #makeFolder(folder: string): Promise<void> {
    if (this.#folders.has(folder)) return;
    await mkdir(folder, { recursive: true });
    this.#folders.set(folder, true);
  }

  #temp(): string {
    return path.join(this.#root, TEMP, randomUUID());
  }

  #io<T>(
    key: string,
    operation: string,
    run: (file: string) => Promise<T>,
  ): Promise<T | undefined> {
    return this.#in(NAMED_LIKE_RECORD.test(key) ? key + NO_RECORD : key, operation, run);
  }

  /** Undefined for what is not there. Names that leave the root are refused. */
  async #in<T>(
    name: string,
    operation: string,
    run: (file: string) => Promise<T>,
  ): Promise<T | undefined> {
    const file = path.join(this.#root, name);
    if (file !== this.#root && !file.startsWith(this.#root + path.sep)) {
      throw new LarderError('invalid', 'a name may not leave the store');
    }
    try {
      return await run(file);
    } catch (error) {
      if (error instanceof LarderError) throw error;
      if (operation !== 'stash' && operation !== 'writeDocument' && isMissing(error))
        return undefined;
      throw new LarderError('store_failed', `the store cannot ${operation}: ${messageOf(error)}`, {
        cause: error,
        retryAfterMs: 5000,
      });
    }
  }
}

const NAMED_LIKE_RECORD = /\.record~*$/;

/** Under which name a file was kept; none for a record. */
function namesOf(file: string): string[] {
  if (file.endsWith(RECORD)) return [];
  return [NAMED_LIKE_RECORD.test(file) ? file.slice(0, -NO_RECORD.length) : file];
}
