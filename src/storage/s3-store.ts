// Content and documents in a bucket. Content is one object with its record as metadata: both come into being at once.

import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { LarderError } from '../engine/errors.ts';
import { memoryBody } from '../engine/memory-body.ts';
import type { ContentRecord, StashSource, Store, StoredContent } from '../engine/ports.ts';
import { CreateIfAbsent, type CreateIfAbsentMode, type Creation } from './create-if-absent.ts';
import { SMALL } from './file-body.ts';
import { OpenBodies, type OpenRange } from './s3-body.ts';
import { isAbsent, isEmpty, isTaken, isUnsupported, storeFailure } from './s3-failure.ts';
import { contentTypeOf, fromMetadata, toMetadata } from './s3-record.ts';
import { abortOldUploads, sendFile, sendInParts } from './s3-upload.ts';
import { S3Bucket, type Condition, type ObjectHead, type S3Options } from './s3.ts';

const PROBE = '.create-if-absent';
/** What one PUT can bring, bytes. */
const LARGEST_PUT = 5 * 1024 ** 3;

export interface S3StoreOptions extends S3Options {
  /** Bytes from which on content has a URL. Default: none has. */
  readonly redirectAbove?: number;
  /** Bytes above which content goes up in parts, of 64 MiB or this if it is less. Default: 5 GiB. */
  readonly multipartAbove?: number;
}

export class S3Store implements Store {
  readonly #options: S3StoreOptions;
  readonly #bucket: S3Bucket;
  readonly #createIfAbsent = new CreateIfAbsent(() => this.#probe());
  readonly #bodies = new OpenBodies();

  /** Asks nothing yet. Call `close` at the end. */
  constructor(options: S3StoreOptions) {
    this.#options = options;
    this.#bucket = new S3Bucket(options);
  }

  close(): void {
    this.#bucket.close();
  }

  /** Whether the server keeps what is there first by itself. Tried at the first stash. Throws `store_failed`. */
  createIfAbsent(): Promise<CreateIfAbsentMode> {
    return this.#createIfAbsent.mode();
  }

  open(key: string): Promise<StoredContent | undefined> {
    return this.#call('open', async (signal) => {
      const found = await this.#first(key, signal);
      const record = found?.record;
      if (found === undefined || record?.size !== found.size) return undefined;
      const { first, size } = found;
      const { callTimeoutMs, redirectAbove = Infinity } = this.#options;
      const url = size >= redirectAbove ? { url: () => this.presign(key) } : {};
      if (size <= SMALL) {
        if (hash('sha256', first) !== record.sha256) return undefined;
        return { record, body: memoryBody(first), ...url };
      }
      const openRange: OpenRange = (start, end, left) => this.#range(key, found, start, end, left);
      const parts = { first, size, stallMs: callTimeoutMs, openRange };
      return { record, body: this.#bodies.open(key, parts), ...url };
    });
  }

  record(key: string): Promise<ContentRecord | undefined> {
    return this.#call('record', async (signal) => {
      const head = await absentAsUndefined(this.#bucket.head(key, signal));
      const record = fromMetadata(head?.metadata);
      return record?.size === head?.length ? record : undefined;
    });
  }

  async stash(
    key: string,
    source: StashSource,
    record: ContentRecord,
  ): Promise<'stored' | 'present'> {
    const { callTimeoutMs, multipartAbove = LARGEST_PUT } = this.#options;
    const ifAbsent = (await this.createIfAbsent()) === 'enforced';
    const inParts = 'path' in source && record.size > multipartAbove;
    // a condition saves this question, where what it may cost is one PUT
    if ((inParts || !ifAbsent) && (await this.#isPresent(key))) return 'present';
    const fields = { contentType: contentTypeOf(key, record), metadata: toMetadata(record) };
    const create = (put: (condition: Condition) => Promise<void>) =>
      this.#create(key, ifAbsent, put);
    if (inParts) {
      const file = { path: source.path, size: record.size, partAtMost: multipartAbove };
      return this.#failing('stash', () =>
        sendInParts(this.#bucket, key, file, fields, callTimeoutMs, create),
      );
    }
    const { size: length, sha256 } = record;
    return create(async (condition) => {
      const object = { ...fields, ...condition, length, sha256 };
      if ('path' in source && length > 0) {
        const range = { path: source.path, start: 0, end: length };
        await sendFile(range, callTimeoutMs, (body, signal) =>
          this.#bucket.put(key, body, object, signal),
        );
      } else {
        const bytes = 'path' in source ? Buffer.alloc(0) : source.bytes;
        await this.#bucket.put(key, bytes, object, AbortSignal.timeout(callTimeoutMs));
      }
    });
  }

  readDocument(key: string): Promise<Uint8Array | undefined> {
    return this.#call('readDocument', (signal) => this.#document(key, signal));
  }

  writeDocument(key: string, bytes: Uint8Array): Promise<void> {
    return this.#call('writeDocument', (signal) =>
      this.#bucket.put(key, bytes, documentOf(key, bytes, false), signal),
    );
  }

  /** The object stays as a stone with nothing in it: there is no other place to which a bucket moves one of any size. */
  async spoil(key: string): Promise<void> {
    await this.#bodies.hold(key);
    await this.writeDocument(key, Buffer.alloc(0));
  }

  isSpoiled(key: string): Promise<boolean> {
    return this.#call('open', async (signal) => {
      const found = await this.#first(key, signal);
      if (found === undefined) return false;
      const { record, size, first } = found;
      if (record?.size !== size) return true;
      return size <= SMALL && hash('sha256', first) !== record.sha256;
    });
  }

  /** A reader of this process that has opened it can read on, as far as the server lets an answer end. */
  async delete(key: string): Promise<void> {
    await this.#bodies.hold(key);
    await this.#call('delete', (signal) => absentAsUndefined(this.#bucket.delete(key, signal)));
  }

  async list(folder: string): Promise<string[]> {
    const names: string[] = [];
    for await (const page of this.#pages(folder, '/')) names.push(...page);
    return names.filter((name) => name !== PROBE).sort();
  }

  /** A thousand a call. */
  async *listBelow(folder: string): AsyncGenerator<string> {
    for await (const names of this.#pages(folder, undefined))
      // some servers list folders as such
      for (const name of names) if (!name.endsWith('/')) yield `${folder}/${name}`;
  }

  async *#pages(folder: string, delimiter: '/' | undefined): AsyncGenerator<string[]> {
    let after: string | undefined;
    do {
      const page = await this.#call('list', (signal) =>
        this.#bucket.list(folder, { delimiter, after }, signal),
      );
      yield page.names;
      after = page.next;
    } while (after !== undefined);
  }

  /** Reads an object, there or not: what fails is the server, the bucket or the right to it. */
  async check(): Promise<void> {
    await this.#call('check', (signal) => this.#document('format.json', signal));
  }

  /**
   * A URL that reads content for a quarter of an hour, whoever has it. `contentType` and `filename` are what its answer
   * says. Throws LarderError `store_failed` when there are no credentials.
   */
  presign(key: string, say: { contentType?: string; filename?: string } = {}): Promise<string> {
    const name = say.filename?.replace(/[^\x20-\x7e]|["\\]/g, '_');
    const disposition = name && `attachment; filename="${name}"`;
    return this.#call('presign', () => this.#bucket.presign(key, say.contentType, disposition));
  }

  /** Gives up the uploads that killed processes left more than a day before `now` (milliseconds since the epoch). */
  async sweep(now = Date.now()): Promise<void> {
    const { callTimeoutMs } = this.#options;
    await this.#failing('sweep', () => abortOldUploads(this.#bucket, callTimeoutMs, now));
  }

  /** The object's first bytes, and what it says about itself. Undefined where there is none. */
  async #first(key: string, signal: AbortSignal): Promise<Found | undefined> {
    try {
      const range = `bytes=0-${String(SMALL - 1)}`;
      const answer = await this.#bucket.get(key, range, signal);
      if (answer.length > SMALL) {
        answer.stream.destroy();
        throw new LarderError('store_failed', 'the store does not answer a range as a range');
      }
      return foundOf(answer, await answer.bytes());
    } catch (error) {
      if (isAbsent(error)) return undefined;
      if (!isEmpty(error)) throw error;
      const head = await absentAsUndefined(this.#bucket.head(key, signal));
      return head && foundOf(head, Buffer.alloc(0));
    }
  }

  /** [start, end) of the very object that was found. Resolves when its answer begins. */
  async #range(
    key: string,
    { size, etag }: Found,
    start: number,
    end: number,
    left: AbortSignal,
  ): Promise<Readable> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
    }, this.#options.callTimeoutMs);
    const signal = AbortSignal.any([left, late.signal]);
    const wanted = `${String(start)}-${String(end - 1)}`;
    try {
      const answer = await this.#failing('read', () =>
        absentAsUndefined(this.#bucket.getLong(key, `bytes=${wanted}`, signal)),
      );
      const isSame =
        answer?.etag === etag && answer?.contentRange === `bytes ${wanted}/${String(size)}`;
      if (answer && isSame) return answer.stream;
      answer?.stream.destroy();
      throw new LarderError('store_failed', 'stored content was replaced while it was read');
    } finally {
      clearTimeout(timer);
    }
  }

  /** `put`, conditionally where the server holds to it. What is there and cannot be read is replaced. */
  async #create(
    key: string,
    ifAbsent: boolean,
    put: (condition: Condition) => Promise<void>,
  ): Promise<'stored' | 'present'> {
    const isTakenAlready = await this.#failing('stash', () =>
      put({ ifAbsent }).then(
        () => false,
        (error: unknown) => {
          if (ifAbsent && isTaken(error)) return true;
          throw error;
        },
      ),
    );
    if (!isTakenAlready) return 'stored';
    if (await this.#isPresent(key)) return 'present';
    await this.#failing('stash', () => put({ ifAbsent: false }));
    return 'stored';
  }

  async #isPresent(key: string): Promise<boolean> {
    const stored = await this.open(key);
    stored?.body.close();
    return stored !== undefined;
  }

  async #document(key: string, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const answer = await absentAsUndefined(this.#bucket.get(key, undefined, signal));
    return answer?.bytes();
  }

  #probe(): Promise<Creation> {
    return this.#call('stash', async (signal) => {
      try {
        const bytes = Buffer.alloc(0);
        await this.#bucket.put(PROBE, bytes, documentOf(PROBE, bytes, true), signal);
        return 'created';
      } catch (error) {
        if (isTaken(error)) return 'taken';
        if (isUnsupported(error)) return 'unsupported';
        throw error;
      }
    });
  }

  #call<T>(operation: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const signal = AbortSignal.timeout(this.#options.callTimeoutMs);
    return this.#failing(operation, async () => {
      try {
        return await run(signal);
      } catch (error) {
        // a body that is cut off does not say by whom
        throw signal.aborted ? new DOMException('too late', 'AbortError') : error;
      }
    });
  }

  async #failing<T>(operation: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw storeFailure(operation, this.#options.bucket, error);
    }
  }
}

interface Found {
  readonly first: Uint8Array;
  /** Bytes of the whole object. */
  readonly size: number;
  readonly etag: string | undefined;
  readonly record: ContentRecord | undefined;
}

function foundOf(head: ObjectHead, first: Uint8Array): Found {
  const whole = /\/(\d+)$/.exec(head.contentRange ?? '')?.[1];
  const size = whole === undefined ? head.length : Number(whole);
  return { first, size, etag: head.etag, record: fromMetadata(head.metadata) };
}

const documentOf = (key: string, bytes: Uint8Array, ifAbsent: boolean) => ({
  contentType: contentTypeOf(key),
  metadata: {},
  length: bytes.length,
  sha256: hash('sha256', bytes),
  ifAbsent,
});

async function absentAsUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
