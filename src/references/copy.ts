// Copies a whole store into another one: content, each piece hashed on its way, then documents, and last the format, so that
// what is cut off is no store yet. What is there already is not sent again.

import { createHash } from 'node:crypto';
import { mapBounded } from '../engine/bounded.ts';
import { keysBelow } from '../engine/keys-below.ts';
import type { Store, StashSource, StoredContent } from '../engine/ports.ts';
import { SpoolFile } from '../engine/spool-file.ts';
import type { Progress } from './jobs.ts';

/** Things on their way at once. */
const LANES = 8;
const BATCH = 256;
/** Content that is sent from memory, bytes. */
const IN_MEMORY = 1024 * 1024;

export interface CopyParts {
  readonly from: Store;
  readonly to: Store;
  /** Where content is, with its record: all else are documents. */
  readonly isContent: (key: string) => boolean;
  /** A document that is written when everything else is there. */
  readonly last: string;
  /** Folder for what is on its way. */
  readonly spoolDir: string;
}

export interface CopyResult {
  /** Pieces of content that were sent, and that were there. */
  readonly copied: number;
  readonly present: number;
  readonly documents: number;
  /** Bytes of content that were sent. */
  readonly bytes: number;
  /** Keys of content that is not as its record says: left out. */
  readonly corrupt: readonly string[];
}

/** Throws LarderError `store_failed` of either store, and the signal's reason when it aborts: asked for again, it goes on. */
export async function copyStore(
  parts: CopyParts,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<CopyResult> {
  const counts = { copied: 0, present: 0, documents: 0, bytes: 0 };
  const corrupt: string[] = [];
  const sums = { done: 0, total: 0 };
  const copyOne = async (key: string) => {
    signal.throwIfAborted();
    if (parts.isContent(key)) {
      const sent = await copyContent(parts, key, signal);
      if (sent === 'corrupt') corrupt.push(key);
      else if (sent === 'present') counts.present++;
      else if (sent !== undefined) {
        counts.copied++;
        counts.bytes += sent;
      }
    } else if (await copyDocument(parts, key)) counts.documents++;
    sums.done++;
  };
  for (const wantsContent of [true, false]) {
    for await (const batch of batches(parts, wantsContent)) {
      sums.total += batch.length;
      await mapBounded(batch, LANES, copyOne);
      onProgress({ ...sums });
    }
  }
  signal.throwIfAborted();
  await copyDocument(parts, parts.last);
  return { ...counts, corrupt };
}

/** The bytes that were sent; undefined for what is gone, or was never whole. */
async function copyContent(
  { from, to, spoolDir }: CopyParts,
  key: string,
  signal: AbortSignal,
): Promise<number | 'present' | 'corrupt' | undefined> {
  const record = await from.record(key);
  const there = record && (await to.record(key));
  if (record && there?.sha256 === record.sha256 && there.size === record.size) return 'present';
  const stored = await from.open(key);
  if (stored === undefined) return (await from.isSpoiled(key)) ? 'corrupt' : undefined;
  try {
    // of another kind, or spoiled
    if (there) await to.delete(key);
    const sent = await send(stored, spoolDir, signal, (source) =>
      to.stash(key, source, stored.record),
    );
    return sent ? stored.record.size : 'corrupt';
  } finally {
    stored.body.close();
  }
}

/** False where the bytes are not those of the record: nothing is sent then. */
async function send(
  { record, body }: StoredContent,
  spoolDir: string,
  signal: AbortSignal,
  stash: (source: StashSource) => Promise<unknown>,
): Promise<boolean> {
  const sha256 = createHash('sha256');
  const spool = record.size > IN_MEMORY ? await SpoolFile.create(spoolDir) : undefined;
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of body.read(0, undefined, signal)) {
      sha256.update(chunk);
      if (spool) await spool.append([chunk]);
      else chunks.push(Buffer.from(chunk));
    }
    if (sha256.digest('hex') !== record.sha256) return false;
    await stash(spool ? { path: spool.path } : { bytes: Buffer.concat(chunks) });
    return true;
  } finally {
    await spool?.unlink();
    spool?.close();
  }
}

async function copyDocument({ from, to }: CopyParts, key: string): Promise<boolean> {
  const bytes = await from.readDocument(key);
  if (bytes === undefined) return false;
  await to.writeDocument(key, bytes);
  return true;
}

async function* batches(
  { from, isContent, last }: CopyParts,
  wantsContent: boolean,
): AsyncGenerator<string[]> {
  let batch: string[] = [];
  for await (const key of keys(from)) {
    if (key === last || isContent(key) !== wantsContent) continue;
    batch.push(key);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** What begins with a dot is the store's own. */
async function* keys(store: Store): AsyncGenerator<string> {
  for (const name of await store.list('')) {
    if (name.startsWith('.')) continue;
    if (name.endsWith('/')) yield* keysBelow(store, name.slice(0, -1));
    else yield name;
  }
}
