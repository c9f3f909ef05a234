// The documents of tally.ts. What cannot be read says nothing: a walk sets the size right, and what is used is told again.

import { NAME_LENGTH, type Uses } from './last-use.ts';
import { NOTHING, type Sum } from './store-size.ts';

/** Documents that all last uses go into. */
export const SHARDS = 16;

/** By the name's first character. */
export const shardOf = (name: string): number => name.charCodeAt(0) % SHARDS;

/** One line a name: the name, and the time in base 36. */
export function encodeUses(uses: Uses): Uint8Array {
  const lines: string[] = [];
  for (const [name, time] of uses) lines.push(`${name}${time.toString(36)}\n`);
  return Buffer.from(lines.join(''));
}

export function decodeUses(document: Uint8Array): Map<string, number> {
  return usesIn(Buffer.from(document).toString());
}

/** What one replica saw. */
export interface Log {
  readonly sum: Sum;
  readonly uses: Uses;
}

export const encodeLog = ({ sum, uses }: Log): Uint8Array =>
  Buffer.concat([Buffer.from(`${JSON.stringify(sum)}\n`), encodeUses(uses)]);

export function decodeLog(document: Uint8Array): Log {
  const text = Buffer.from(document).toString();
  const end = text.indexOf('\n');
  return {
    sum: sumIn(text.slice(0, Math.max(0, end))) ?? NOTHING,
    uses: usesIn(text.slice(end + 1)),
  };
}

export interface Base {
  readonly sum: Sum;
  /** When that was counted last, milliseconds since the epoch. */
  readonly countedAt: number;
  /** Logs that are in the sum already. */
  readonly included: ReadonlySet<string>;
}

export const encodeSize = ({ sum, countedAt, included }: Base): Uint8Array =>
  Buffer.from(JSON.stringify({ ...sum, countedAt, included: [...included] }));

export function decodeSize(document: Uint8Array): Base | undefined {
  const text = Buffer.from(document).toString();
  const sum = sumIn(text);
  if (sum === undefined) return undefined;
  const { countedAt, included } = JSON.parse(text) as { countedAt?: unknown; included?: unknown };
  if (typeof countedAt !== 'number' || !Array.isArray(included)) return undefined;
  return { sum, countedAt, included: new Set(included.map(String)) };
}

function sumIn(json: string): Sum | undefined {
  let parsed: { bytes?: unknown; objects?: unknown } | null;
  try {
    parsed = JSON.parse(json) as typeof parsed;
  } catch {
    return undefined;
  }
  if (typeof parsed?.bytes !== 'number' || typeof parsed.objects !== 'number') return undefined;
  return { bytes: parsed.bytes, objects: parsed.objects };
}

function usesIn(text: string): Map<string, number> {
  const uses = new Map<string, number>();
  for (const line of text.split('\n')) {
    const time = Number.parseInt(line.slice(NAME_LENGTH), 36);
    if (!Number.isNaN(time)) uses.set(line.slice(0, NAME_LENGTH), time);
  }
  return uses;
}
