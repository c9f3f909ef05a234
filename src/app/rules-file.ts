// The rules file: YAML in, compiled rules out, or every mistake at once with its line.

import { readFileSync } from 'node:fs';
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { z } from 'zod';

import { messageOf } from '../engine/errors.ts';
import { MODES, type CompiledRule } from '../engine/policy.ts';
import { compileGoRule, parseGoPatterns, type GoRule, type GoTarget } from '../go/rules.ts';
import { parseVersionRange } from '../go/version-range.ts';
import type { Rate } from '../http/token-bucket.ts';
import { parsePlatform } from '../oci/platforms.ts';
import { compileOciRule, parseOciPattern, type OciRule, type OciTarget } from '../oci/rules.ts';
import { canonicalHost, parseRegistryUrl, UPSTREAM_NAME } from '../oci/upstreams.ts';
import { parseDuration } from './duration.ts';
import { parseUpstreams } from './go-fetchers.ts';
import { parseRate } from './rate.ts';
import { ConfigError, fileReason } from './start-error.ts';

export interface Rules {
  readonly go: readonly CompiledRule<GoTarget, GoRule>[];
  readonly oci: readonly CompiledRule<OciTarget, OciRule>[];
  /** What an upstream puts up with, by its name or host. */
  readonly upstreams: ReadonlyMap<string, LimitRule>;
}

export interface LimitRule {
  /** `off`: none, where one is usual. */
  readonly rate?: Rate | 'off' | undefined;
  readonly sockets?: number | undefined;
}

/** Reads a file of rules. Throws ConfigError, with a line for every mistake that begins with `FILE:LINE: `. */
export function readRules(file: string): Rules {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`${file}: ${fileReason(error)}.`, { cause: error });
  }
  const mistakes: { line: number; sentence: string }[] = [];
  const rules = parseRules(text, (line, sentence) => mistakes.push({ line, sentence }));
  if (rules) return rules;
  mistakes.sort((a, b) => a.line - b.line);
  const told = mistakes.map(({ line, sentence }) => `${file}:${String(line)}: ${sentence}.`);
  throw new ConfigError(told.join('\n'));
}

/** A grammar of a protocol room, its mistakes told like the others. */
const parsed = <T>(parse: (text: string) => T) =>
  z.string('must be a text').transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue(messageOf(error));
      return z.NEVER;
    }
  });

const duration = z
  .string('must be a duration, such as 30s, 15m or 7d')
  .transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== undefined) return ms;
    context.addIssue(`${JSON.stringify(text)} is not a duration: give one such as 30s, 15m or 7d`);
    return z.NEVER;
  });

/** Clients see it on the first line of their answer. */
const reason = z
  .string('must be a text: the reason, as it is told to clients')
  .transform((text) => text.replace(/\s+/g, ' ').trim())
  .refine((text) => text !== '', 'is empty: give the reason, as it is told to clients');

const common = {
  allow: z.literal(true, 'can only be true: what may not enter has deny, with a reason').optional(),
  deny: reason.optional(),
  mode: z.enum(MODES, `is not known: give one of ${MODES.join(', ')}`).optional(),
  minAge: duration.optional(),
};

const notBoth = ({ allow, deny }: { allow?: true | undefined; deny?: string | undefined }) =>
  allow === undefined || deny === undefined;
const notARule = 'must be a match with what holds for it';
const both = { error: 'has both allow and deny: give one of them' };

const goRule = z
  .strictObject(
    {
      ...common,
      match: parsed(parseGoPatterns),
      versions: parsed(parseVersionRange).optional(),
      upstream: parsed((text) => ({ text, steps: parseUpstreams(text) })).optional(),
      sumdb: z.union([z.literal(false), z.literal('off')], 'can only be off (or false)').optional(),
      listTtl: duration.optional(),
    },
    notARule,
  )
  .refine(notBoth, both)
  .transform(({ match, versions, deny, mode, minAge, upstream, sumdb, listTtl }) =>
    compileGoRule(match, versions, {
      deny,
      mode,
      minAgeMs: minAge,
      upstream,
      sumdb: sumdb === undefined,
      listTtlMs: listTtl,
    }),
  );

const ociRule = z
  .strictObject(
    {
      ...common,
      match: parsed(parseOciPattern),
      upstream: parsed((text) => parseRegistryUrl('the upstream', text)).optional(),
      tagTtl: duration.optional(),
      platforms: z.array(parsed(parsePlatform), 'must be a list, such as [linux/amd64]').optional(),
    },
    notARule,
  )
  .refine(notBoth, both)
  .transform(({ match, deny, mode, minAge, upstream, tagTtl, platforms }) =>
    compileOciRule(match, {
      deny,
      mode,
      minAgeMs: minAge,
      upstream,
      tagTtlMs: tagTtl,
      platforms,
    }),
  );

const whole = (most: number) =>
  z
    .int(`must be a whole number from 1 to ${String(most)}`)
    .min(1, `must be a whole number from 1 to ${String(most)}`)
    .max(most, `must be a whole number from 1 to ${String(most)}`);

const limitRule = z
  .strictObject(
    {
      rate: parsed(parseRate).optional(),
      burst: whole(1_000_000).optional(),
      sockets: whole(1024).optional(),
    },
    'must be rate, burst and sockets, or some of them',
  )
  .refine(({ rate, burst }) => burst === undefined || typeof rate === 'object', {
    error: 'has a burst without a rate: give a rate such as 200/m',
  })
  .transform(({ rate, burst, sockets }): LimitRule => {
    if (typeof rate !== 'object') return { rate, sockets };
    const { intervalMs, tokens } = rate;
    return { rate: { intervalMs, burst: burst ?? tokens }, sockets };
  });

const hostName = z
  .string()
  .refine((name) => UPSTREAM_NAME.test(name.toLowerCase()), 'is no name of a host');

const upstreamsSection = z
  .record(hostName, limitRule, 'must have names of upstreams, each with its limits')
  .transform(
    (limits) => new Map(Object.entries(limits).map(([name, one]) => [canonicalHost(name), one])),
  );

const list = 'must be a list of rules, each with a match';
const rulesFile = z.strictObject(
  {
    go: z.array(goRule, list).nullish(),
    oci: z.array(ociRule, list).nullish(),
    upstreams: upstreamsSection.nullish(),
  },
  'must have go, oci and upstreams, or some of them',
);

/** Undefined when there are mistakes; `onMistake` is told each, with its line from 1. */
function parseRules(
  text: string,
  onMistake: (line: number, sentence: string) => void,
): Rules | undefined {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  for (const { pos, message } of document.errors) onMistake(lineAt(pos[0]), `no YAML: ${message}`);
  if (document.errors.length > 0) return undefined;
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch (error) {
    onMistake(1, `no YAML: ${messageOf(error)}; a pattern that begins with * stands in quotes`);
    return undefined;
  }
  const result = rulesFile.safeParse(value);
  if (result.success) {
    const { go, oci, upstreams } = result.data;
    return { go: go ?? [], oci: oci ?? [], upstreams: upstreams ?? new Map() };
  }
  for (const issue of result.error.issues) {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [undefined];
    for (const key of keys)
      onMistake(lineAt(offsetOf(document, issue.path, key)), sentenceOf(issue, value, key));
  }
  return undefined;
}

/** Where what is wrong stands; for what is missing, where it should. */
function offsetOf(
  document: Document,
  path: readonly PropertyKey[],
  key: string | undefined,
): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (!isNode(node)) continue;
    const found = isMap(node)
      ? node.items.find((pair) => isScalar(pair.key) && pair.key.value === key)
      : undefined;
    return (found && isNode(found.key) ? found.key.range : node.range)?.[0] ?? 0;
  }
  return 0;
}

function sentenceOf(issue: z.core.$ZodIssue, value: unknown, key: string | undefined): string {
  const [section, index, ...inner] = issue.path.map(String);
  const where = [
    ...(section === undefined ? [] : [index === undefined ? section : placeOf(section, index)]),
    ...(inner.length > 0 ? [inner[0] ?? ''] : []),
  ].join(', ');
  const at = where === '' ? '' : `${where}: `;
  if (key !== undefined) return `${at}there is no ${JSON.stringify(key)} here: ${known(section)}`;
  if (inner.length === 1 && isMissing(value, issue.path)) return `${at}it is missing`;
  const [ofKey] = issue.code === 'invalid_key' ? issue.issues : [];
  return `${at}${(ofKey ?? issue).message}`;
}

const placeOf = (section: string, index: string): string =>
  section === 'upstreams' ? `${section}, ${index}` : `${section} rule ${String(Number(index) + 1)}`;

const known = (section: string | undefined): string => {
  if (section === undefined) return 'a file of rules has go, oci and upstreams';
  if (section === 'upstreams') return 'an upstream has rate, burst and sockets';
  const schema = section === 'go' ? goRule : ociRule;
  return `a rule of ${section} has ${Object.keys(schema.in.shape).join(', ')}`;
};

function isMissing(value: unknown, path: readonly PropertyKey[]): boolean {
  let at: unknown = value;
  for (const step of path) at = (at as Record<PropertyKey, unknown> | undefined)?.[step];
  return at === undefined;
}
