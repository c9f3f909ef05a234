// One thing of the store, looked at by itself: whether it is wrong, and what is done about it.

import { setTimeout as sleep } from 'node:timers/promises';
import { LarderError } from '../engine/errors.ts';
import type { Lock, Store } from '../engine/ports.ts';
import type { Announcements } from '../engine/purge-plan.ts';
import type { ContentItem, DocumentItem, OwnerItem } from '../engine/verify-plan.ts';
import { leaseWithin } from './leases.ts';

/** Longest wait for the lease of content that is wrong, milliseconds. Its holder was told to give it back. */
const LEASE_WAIT_MS = 5000;
/** After which a document that looked wrong is looked at again: what tells of it may have been on its way. Milliseconds. */
const LATER_MS = 250;

export interface ItemParts {
  /** Without a memory, from which would come what the store has no more. */
  readonly store: Store;
  readonly lock: Lock;
  readonly announcements: Pick<Announcements, 'announce'>;
  /** Told of content that went, in bytes, as its record said. Never throws. */
  readonly removed?: (key: string, bytes: number) => void;
}

/** `checked`: there was something to look at. `name`: of what was found wrong, and with `repair` mended. */
export interface Looked {
  readonly checked: boolean;
  readonly name?: string;
}

/** Wrong content is not served any more, and fetched anew when somebody asks; with `repair` nothing is left of it. */
export async function lookAtContent(
  parts: ItemParts,
  item: ContentItem,
  repair: boolean,
  signal: AbortSignal,
): Promise<Looked> {
  const { store, lock, announcements } = parts;
  const { key } = item;
  const seen = await judge(store, item, signal);
  if (seen !== 'wrong') return { checked: seen === 'sound' };
  const scope = { keys: [key], folders: [] };
  const name = await item.name();
  // whoever fills or remembers it lets it go first, as with a purge
  await announcements.announce(scope);
  const lease = await leaseWithin(lock, { key, scope: `verify ${key}`, waitMs: LEASE_WAIT_MS });
  try {
    // it may have been stored anew meanwhile
    const now = await judge(store, item, signal);
    if (now !== 'wrong') return { checked: now === 'sound' };
    const record = await store.record(key);
    await (repair ? store.delete(key) : store.spoil(key));
    if (record) parts.removed?.(key, record.size);
  } finally {
    await lease?.release();
  }
  await announcements.announce(scope);
  return { checked: true, name };
}

async function judge(
  store: Store,
  item: ContentItem,
  signal: AbortSignal,
): Promise<'sound' | 'wrong' | 'absent'> {
  const stored = await store.open(item.key);
  if (stored === undefined) return (await store.isSpoiled(item.key)) ? 'wrong' : 'absent';
  try {
    await item.check(stored, signal);
    return 'sound';
  } catch (error) {
    if (isWrong(error)) return 'wrong';
    throw error;
  } finally {
    stored.body.close();
  }
}

const isWrong = (error: unknown): boolean =>
  error instanceof LarderError &&
  (error.code === 'bad_content' || error.code === 'checksum_mismatch');

/** A wrong document is believed by nobody; with `repair` it is written anew or deleted. */
export async function lookAtDocument(
  { store, announcements }: ItemParts,
  item: DocumentItem,
  repair: boolean,
  signal: AbortSignal,
): Promise<Looked> {
  const { key } = item;
  for (let isAgain = false; ; isAgain = true) {
    const bytes = await store.readDocument(key);
    if (bytes === undefined) return { checked: false };
    if (await item.isSound(bytes)) return { checked: true };
    if (isAgain) break;
    await sleep(LATER_MS, undefined, { signal });
  }
  if (repair) {
    const scope = { keys: [key], folders: [] };
    await announcements.announce(scope);
    await (item.rewrite ? item.rewrite() : store.delete(key));
    await announcements.announce(scope);
  }
  return { checked: true, name: `document:${key}` };
}

/** Writes what follows from it and is missing. The result: how many edges. */
export async function restore(store: Store, item: OwnerItem, signal: AbortSignal): Promise<number> {
  let edges = 0;
  for await (const missing of item.missing(signal)) {
    signal.throwIfAborted();
    await store.writeDocument(missing.key, missing.bytes);
    if (!(await missing.stays())) await store.delete(missing.key);
    else if (missing.isEdge) edges++;
  }
  return edges;
}
