// Kinds of values that settings have: the text of each, read and checked.

import { resolve } from 'node:path';
import { z } from 'zod';
import { durationGrammar, parseDuration } from './duration.ts';
import { parseSize, sizeGrammar } from './size.ts';

/** Says what is wrong with a value and what would be right, as an end of the sentence `NAME="value" …`; undefined: all is well. */
export type Check = (value: string) => string | undefined;

/** Longer ones overflow a timer of Node, which then fires at once. */
const longestTimerMs = 24 * 86_400_000;

const durationHint = 'a whole number with ms, s, m, h or d, such as 250ms, 30s, 15m or 7d';

/** Told to whoever reads the settings as a JSON schema; what is wrong is said where the text is read. */
const written = ({ source }: RegExp) => z.string().meta({ pattern: source });

function duration(fallback: string, longestMs: number, grammar = durationGrammar) {
  return written(grammar)
    .default(fallback)
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms !== undefined && ms <= longestMs) return ms;
      context.addIssue(
        ms === undefined
          ? `is not a duration: give ${durationHint}`
          : 'is too long: give 24d at most',
      );
      return z.NEVER;
    });
}
export const timer = (fallback: string) => duration(fallback, longestTimerMs);
const aSecondOrMore = /^(0*[1-9]\d{3,}ms|0*[1-9]\d*[smhd])$/;
/** A lease without an end would outlive whoever was killed with it, and a shorter one every hiccup. */
export const leaseTime = duration('10s', longestTimerMs, aSecondOrMore).refine((ms) => ms >= 1000, {
  error: 'is too short: give 1s at least, such as 10s',
});
export const lifetime = (fallback: string) => duration(fallback, Number.MAX_SAFE_INTEGER);

export function word<const T extends readonly [string, ...string[]]>(
  words: T,
  fallback: T[number],
) {
  return z.enum(words, { error: `is not known: give ${listOf(words)}` }).default(fallback);
}

export const text = (fallback: string) => z.string().default(fallback);
export const optionalText = z.string().optional();
export const path = (fallback: string) => text(fallback).transform((value) => resolve(value));
export const optionalPath = z
  .string()
  .transform((value) => resolve(value))
  .optional();

export const flag = word(['true', 'false'], 'false').transform((value) => value === 'true');

export const size = written(sizeGrammar)
  .default('0')
  .transform((value, context) => {
    const bytes = parseSize(value);
    if (bytes !== undefined) return bytes;
    context.addIssue(
      'is not a size: give bytes, or a whole number with a unit, such as 50GB or 50GiB',
    );
    return z.NEVER;
  });

export function checked(check: Check | undefined) {
  return z.string().superRefine((value, context) => {
    const problem = check?.(value);
    if (problem !== undefined) context.addIssue(problem);
  });
}
export const grammar = (check: Check | undefined) => checked(check).optional();

export function patterns(check: Check | undefined) {
  return text('').transform((value, context) => {
    const items = value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    for (const item of items) {
      const problem = check?.(item);
      if (problem !== undefined) context.addIssue(`has a bad pattern: ${item} ${problem}`);
    }
    return items;
  });
}

export const portNumber = (value: string, context: z.RefinementCtx): number => {
  const number = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= 65_535) return number;
  context.addIssue('is not a port: give a whole number from 1 to 65535, or 0 for any free port');
  return z.NEVER;
};

function listOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}
