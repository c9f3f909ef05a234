// What replicas tell each other of a purge: messages of a bounded size, as lines of JSON.

import { seal, unseal } from '../engine/seal.ts';
import type { PurgeScope } from '../engine/purge-plan.ts';

/** Keys and folders in one message. */
const MAX_NAMES = 500;

/** One message; many make one scope. */
export interface Announced extends PurgeScope {
  /** The process that announced it. */
  readonly from: string;
}

/** The messages that a scope goes out in. */
export function encodeScope(from: string, { keys, folders }: PurgeScope): string[] {
  const inKeys = inParts(keys).map((part): Announced => ({ from, keys: part, folders: [] }));
  const inFolders = inParts(folders).map((part): Announced => ({ from, keys: [], folders: part }));
  return [...inKeys, ...inFolders].map((message) => seal({ ...message }));
}

function inParts(names: readonly string[]): string[][] {
  const parts: string[][] = [];
  for (let at = 0; at < names.length; at += MAX_NAMES) parts.push(names.slice(at, at + MAX_NAMES));
  return parts;
}

/** Throws an Error for what is no message, or not as it was sent. */
export function decodeScope(message: string): Announced {
  const { from, keys, folders } = unseal(message, ['from', 'keys', 'folders']) ?? {};
  if (typeof from !== 'string' || !isNames(keys) || !isNames(folders))
    throw new Error('this is no announcement of a purge');
  return { from, keys, folders };
}

const isNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === 'string');
