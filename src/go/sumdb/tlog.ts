// The transparency log behind a checksum database: a Merkle tree as in RFC 6962, of which golang.org/x/mod/sumdb/tlog
// is the reference. Nodes are named by (level, index): level 0 are the records, and the node (l, i) covers the
// records [i·2^l, (i+1)·2^l). Sizes may pass 2^32, so no bit operators here.

import { hash } from 'node:crypto';
import { LarderError } from '../../engine/errors.ts';
import { decodeBase64, decodeText } from './note.ts';

export const HASH_SIZE = 32;

/** A tree head: how many records, and the hash of the root over them. */
export interface Tree {
  readonly size: number;
  readonly hash: Buffer;
}

export const EMPTY_TREE: Tree = { size: 0, hash: hash('sha256', '', 'buffer') };

export interface TreeNode {
  readonly level: number;
  readonly index: number;
}

/** Hash of a record: SHA-256 over a zero byte and its text. */
export const recordHash = (text: string): Buffer => hash('sha256', `\0${text}`, 'buffer');

// One buffer for every call: a tile costs 255 of them, and none is left unfinished.
const pair = Buffer.alloc(1 + 2 * HASH_SIZE);
pair[0] = 1;

/** Hash of an inner node: SHA-256 over a one byte and the hashes of both children. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  pair.set(left, 1);
  pair.set(right, 1 + HASH_SIZE);
  return hash('sha256', pair, 'buffer');
}

/** The perfect subtrees that side by side make a tree of `size` records, largest first. */
export function subtrees(size: number): TreeNode[] {
  const nodes: TreeNode[] = [];
  let start = 0;
  for (let level = Math.ceil(Math.log2(size + 1)); level >= 0; level--) {
    const width = 2 ** level;
    if (size - start < width) continue;
    nodes.push({ level, index: start / width });
    start += width;
  }
  return nodes;
}

/** The root over the hashes of `subtrees(size)`. */
export function rootOf(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return EMPTY_TREE.hash;
  return hashes.reduceRight((right, left) => nodeHash(left, right));
}

/** The text of a signed tree head; lines after the third are for later versions. Throws LarderError `bad_content`. */
export function parseTree(text: string): Tree {
  const [title, count = '', base64 = '', ...more] = text.split('\n');
  const size = parseNumber(count);
  const root = decodeBase64(base64);
  if (
    title !== 'go.sum database tree' ||
    size === undefined ||
    root?.length !== HASH_SIZE ||
    more.length === 0
  ) {
    throw new LarderError(
      'bad_content',
      'The checksum database signed something that is no tree head.',
    );
  }
  return { size, hash: root };
}

/** An answer of `/lookup/`: a record, its number in the log, and a signed tree head. */
export interface LookupAnswer {
  readonly id: number;
  /** go.sum lines, each with its newline. */
  readonly text: string;
  /** The signed note, not yet verified. */
  readonly head: string;
}

/** Throws LarderError `bad_content`. */
export function parseLookup(bytes: Uint8Array): LookupAnswer {
  const answer = decodeText(bytes) ?? '';
  const textStart = answer.indexOf('\n') + 1;
  const textEnd = answer.indexOf('\n\n', textStart) + 1;
  const id = parseNumber(answer.slice(0, Math.max(0, textStart - 1)));
  if (id === undefined || textEnd === 0) {
    throw new LarderError(
      'bad_content',
      'The checksum database answered with something that is no record.',
    );
  }
  return { id, text: answer.slice(textStart, textEnd), head: answer.slice(textEnd + 1) };
}

/** The texts of the records in a data tile, or undefined when it is none. */
export function parseRecords(bytes: Uint8Array): string[] | undefined {
  const texts = decodeText(bytes)?.split('\n\n');
  return texts?.pop() === '' ? texts.map((text) => `${text}\n`) : undefined;
}

/** A decimal without leading zeros that a number holds exactly. */
function parseNumber(text: string): number | undefined {
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}
