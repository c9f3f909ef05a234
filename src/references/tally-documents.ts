// The documents of tally.ts. What is not as it was written says nothing: a walk sets the size right, and what is used is told
// again.

import { seal, sealBytes, unseal, unsealBytes } from '../engine/seal.ts';
import { NAME_LENGTH, type Uses } from './last-use.ts';
import type { Sum } from './store-size.ts';

/** Documents that all last uses go into. */
export const SHARDS = 16;

/** By the name's first character. */
export const shardOf = (name: string): number => name.charCodeAt(0) % SHARDS;

export const encodeUses = (uses: Uses): Uint8Array => sealBytes(Buffer.from(linesOf(uses)));

/** Undefined for what is not as it was written, as the others. */
export function decodeUses(document: Uint8Array): Map<string, number> | undefined {
  const lines = unsealBytes(document);
  return lines && usesIn(Buffer.from(lines).toString());
}

/** What one replica saw. */
export interface Log {
  readonly sum: Sum;
  readonly uses: Uses;
}

export const encodeLog = ({ sum, uses }: Log): Uint8Array =>
  sealBytes(Buffer.from(`${JSON.stringify(sum)}\n${linesOf(uses)}`));

export function decodeLog(document: Uint8Array): Log | undefined {
  const bytes = unsealBytes(document);
  if (bytes === undefined) return undefined;
  const [first = '', ...lines] = Buffer.from(bytes).toString().split('\n');
  const sum = sumIn(JSON.parse(first));
  return sum && { sum, uses: usesIn(lines.join('\n')) };
}

export interface Base {
  readonly sum: Sum;
  /** When that was counted last, milliseconds since the epoch. */
  readonly countedAt: number;
  /** Logs that are in the sum already. */
  readonly included: ReadonlySet<string>;
}

export const encodeSize = ({ sum, countedAt, included }: Base): Uint8Array =>
  Buffer.from(seal({ ...sum, countedAt, included: [...included] }));

export function decodeSize(document: Uint8Array): Base | undefined {
  const base = unseal(Buffer.from(document).toString(), []);
  const sum = sumIn(base);
  const { countedAt, included } = base ?? {};
  if (sum === undefined) return undefined;
  if (typeof countedAt !== 'number' || !Array.isArray(included)) return undefined;
  return { sum, countedAt, included: new Set(included.map(String)) };
}

function sumIn(json: unknown): Sum | undefined {
  const { bytes, objects } = (json ?? {}) as Readonly<Record<string, unknown>>;
  return typeof bytes === 'number' && typeof objects === 'number' ? { bytes, objects } : undefined;
}

/** One a name: the name, and the time in base 36. */
function linesOf(uses: Uses): string {
  const lines: string[] = [];
  for (const [name, time] of uses) lines.push(`${name}${time.toString(36)}\n`);
  return lines.join('');
}

function usesIn(text: string): Map<string, number> {
  const uses = new Map<string, number>();
  for (const line of text.split('\n')) {
    const time = Number.parseInt(line.slice(NAME_LENGTH), 36);
    if (!Number.isNaN(time)) uses.set(line.slice(0, NAME_LENGTH), time);
  }
  return uses;
}
