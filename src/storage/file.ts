// Content and documents in a folder. Bytes come in by temp and rename, their record after them as the commit mark:
// what has no readable record of the right size is not there. One process a folder.

import { constants, createReadStream } from 'node:fs';
import {
  access,
  copyFile,
  link,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { createHash, randomUUID } from 'node:crypto';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { LarderError, messageOf } from '../engine/errors.ts';
import { readFile as readChunks } from '../engine/file-body.ts';
import { memoryBody } from '../engine/memory-body.ts';
import type { ContentRecord, StashSource, Store, StoredContent } from '../engine/ports.ts';

/** Content up to this many bytes is read whole. */
const SMALL = 64 * 1024;
const RECORD = '.record';
const TEMP = '.tmp';

/** As on the disk: `synced` is false until the bytes are known to outlive a power cut. */
type FileRecord = ContentRecord & { readonly synced?: false };

export class FileStore implements Store {
  readonly #root: string;

  /** `root`: absolute, existing. Call `sweep` before use. */
  constructor(root: string) {
    this.#root = root;
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
      if (record.size <= SMALL) {
        const bytes = await readFile(file);
        return bytes.length === record.size ? { record, body: memoryBody(bytes) } : undefined;
      }
      const handle = await open(file);
      if ((await handle.stat()).size !== record.size) {
        await handle.close();
        return undefined;
      }
      return {
        record,
        body: {
          size: record.size,
          async *read(start, end, signal) {
            const stop = end ?? record.size;
            let at = start;
            for await (const chunk of readChunks(handle, start, stop, signal)) {
              at += chunk.length;
              yield chunk;
            }
            if (at < stop)
              throw new LarderError(
                'store_failed',
                'a stored file became shorter while it was read',
              );
          },
          // nothing depends on it: it was read alone
          close: () => void handle.close().catch(() => undefined),
        },
      };
    });
  }

  record(key: string): Promise<ContentRecord | undefined> {
    return this.#io(key, 'record', (file) => this.#readRecord(file));
  }

  async stash(
    key: string,
    source: StashSource,
    record: ContentRecord,
    onPlaced?: () => void,
  ): Promise<'stored' | 'present'> {
    const done = await this.#io(key, 'stash', async (file) => {
      const [bytesTemp, recordTemp] = [this.#temp(), this.#temp()];
      // In place before the disk has it, so that a kill right after an answer loses nothing. A power cut may: until the record says that the bytes are synced, whoever opens them hashes them first.
      const unsynced = Buffer.from(
        JSON.stringify({ ...record, synced: false } satisfies FileRecord),
      );
      try {
        const [present] = await Promise.all([
          this.#readRecord(file),
          place(source, bytesTemp),
          writeFile(recordTemp, unsynced, { flag: 'wx' }),
        ]);
        if (present) return 'present' as const;
        await Promise.all([moveInto(bytesTemp, file), moveInto(recordTemp, file + RECORD)]);
      } finally {
        await Promise.all(
          [bytesTemp, recordTemp].map((temp) => unlink(temp).catch(() => undefined)),
        );
      }
      onPlaced?.();
      await sync(file);
      await this.#writeRecord(file, record);
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

  async delete(key: string): Promise<void> {
    await this.#io(key, 'delete', async (file) => {
      // the commit mark goes first
      for (const name of [file + RECORD, file]) {
        await unlink(name).catch((error: unknown) => {
          if (!isMissing(error)) throw error;
        });
      }
    });
  }

  async list(folder: string): Promise<string[]> {
    const entries = await this.#io(folder, 'list', (file) =>
      readdir(file, { withFileTypes: true }),
    );
    return (entries ?? [])
      .filter((entry) => !entry.name.endsWith(RECORD))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
      .sort();
  }

  async check(): Promise<void> {
    await this.#io('', 'check', (root) => access(root, constants.R_OK | constants.W_OK));
  }

  async #readRecord(file: string): Promise<ContentRecord | undefined> {
    try {
      const { synced, ...record } = JSON.parse(await readFile(file + RECORD, 'utf8')) as FileRecord;
      if (synced !== false) return record;
      if ((await sha256Of(file)) !== record.sha256) return undefined;
      await sync(file);
      await this.#writeRecord(file, record);
      return record;
    } catch (error) {
      if (isMissing(error) || error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  #writeRecord(file: string, record: FileRecord): Promise<void> {
    return this.#replace(file + RECORD, Buffer.from(JSON.stringify(record)));
  }

  async #replace(file: string, bytes: Uint8Array): Promise<void> {
    const temp = this.#temp();
    try {
      await place({ bytes }, temp);
      await moveInto(temp, file);
    } catch (error) {
      await unlink(temp).catch(() => undefined);
      throw error;
    }
  }

  #temp(): string {
    return path.join(this.#root, TEMP, randomUUID());
  }

  /** Undefined for what is not there. Names that leave the root are refused. */
  async #io<T>(
    key: string,
    operation: string,
    run: (file: string) => Promise<T>,
  ): Promise<T | undefined> {
    const file = path.join(this.#root, key);
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

/** A rename, which replaces what a killed process left; the folder is made only where it lacks. */
async function moveInto(temp: string, file: string): Promise<void> {
  await rename(temp, file).catch(async (error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await mkdir(path.dirname(file), { recursive: true });
    await rename(temp, file);
  });
}

/** A finished file of its own: linked from the spool where that is on the same disk, else copied. */
async function place(source: StashSource, temp: string): Promise<void> {
  if ('path' in source) {
    await link(source.path, temp).catch(async (error: unknown) => {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'ENOTSUP') throw error;
      await copyFile(source.path, temp);
    });
  }
  if ('bytes' in source) await writeFile(temp, source.bytes, { flag: 'wx' });
}

/** Content alone is worth it: a record or an answer that a power cut spoils is found out when it is read. */
async function sync(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG';
}
