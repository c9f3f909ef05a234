// `larder rules check`: which rule of a file decides on which name, by the code that the server decides with.

import { parseArgs } from 'node:util';

import { formatDuration } from '../app/duration.ts';
import { readRules, type Rules } from '../app/rules-file.ts';
import { StartError } from '../app/start-error.ts';
import { LarderError, messageOf } from '../engine/errors.ts';
import type { Decision, Mode, Rule } from '../engine/policy.ts';
import { goPolicy, parseGoTarget, type GoPolicy } from '../go/rules.ts';
import { ociPolicy, parseOciTarget, type OciPolicy } from '../oci/rules.ts';
import { parseName } from './names.ts';

const rulesUsage = `Usage: larder rules check FILE [--json] [NAME...]

Checks a file of rules, and says for each name which rule decides, and what.
Ends with 0 when the file is good, with 2 and every mistake when it is not.

Options:
  --json  one line of JSON a name

Names:
  go:MODULE, go:MODULE@VERSION
  oci:HOST/REPOSITORY, oci:HOST/REPOSITORY:TAG, oci:HOST/REPOSITORY@DIGEST

Examples:
  larder rules check rules.yaml
  larder rules check rules.yaml go:example.com/m@v1.0.0 oci:docker.io/library/nginx:1
  larder rules check rules.yaml --json go:github.com/acme/private
`;

/** What is to be written, and the exit code. */
export interface Ended {
  readonly code: 0 | 2;
  readonly text: string;
}

interface Verdict {
  readonly name: string;
  readonly decision: 'allow' | 'deny';
  readonly rule: number | null;
  readonly mode: Mode;
  readonly upstream: string | null;
  readonly reason: string | null;
}

/** Where neither a rule nor, as here, a server's LARDER_MODE says another. */
const MODE: Mode = 'sync';

/** `args`: what stands behind `larder rules`. */
export function rulesVerb(args: string[]): Ended {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
    });
    if (values.help) return { code: 0, text: rulesUsage };
    const [verb, file, ...names] = positionals;
    if (verb !== 'check' || file === undefined) return { code: 2, text: rulesUsage };
    const rules = readRules(file);
    const verdicts = verdictsOf(rules, names);
    if (values.json) return said(verdicts.map((verdict) => JSON.stringify(verdict)));
    return said(names.length > 0 ? verdicts.map(sentenceOf) : [summary(file, rules)]);
  } catch (error) {
    const isTheirs =
      error instanceof StartError || error instanceof LarderError || isBadOption(error);
    if (!isTheirs) throw error;
    return { code: 2, text: `${messageOf(error)}\n` };
  }
}

const said = (lines: readonly string[]): Ended => ({
  code: 0,
  text: lines.map((line) => `${line}\n`).join(''),
});

const isBadOption = (error: unknown): boolean =>
  error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');

/** Throws LarderError `invalid` for what is no name. */
function verdictsOf({ go, oci }: Rules, names: readonly string[]): Verdict[] {
  const goRules = goPolicy(MODE);
  const ociRules = ociPolicy(MODE);
  goRules.replace(go);
  ociRules.replace(oci);
  return names.map((name) => {
    const { protocol, text } = parseName(name);
    return protocol === 'go' ? ofModule(goRules, name, text) : ofImage(ociRules, name, text);
  });
}

function ofModule(policy: GoPolicy, name: string, text: string): Verdict {
  const target = parseGoTarget(text);
  const decision = policy.decide(target);
  const upstream = decision.rule?.upstream?.text.replace(/\/\/[^/|,\s]*@/g, '//***@');
  return verdict(name, decision, upstream, target.version === undefined);
}

function ofImage(policy: OciPolicy, name: string, text: string): Verdict {
  const target = parseOciTarget(text);
  const decision = policy.decide(target);
  return verdict(name, decision, decision.rule?.upstream?.href, target.tag === undefined);
}

function verdict(
  name: string,
  decision: Decision<Rule>,
  upstream: string | undefined,
  isWhole: boolean,
): Verdict {
  const { number, denied, mode } = decision;
  return {
    name,
    decision: denied === undefined ? 'allow' : 'deny',
    rule: number ?? null,
    mode,
    upstream: upstream ?? null,
    reason: denied ?? condition(decision, isWhole) ?? null,
  };
}

/** What an allowed name depends on beside its rule. */
function condition({ minAgeMs, selective }: Decision<Rule>, isWhole: boolean): string | undefined {
  if (minAgeMs > 0) return `not before it is ${formatDuration(minAgeMs)} old`;
  return isWhole && selective ? 'some of its versions or tags are decided otherwise' : undefined;
}

function sentenceOf({ name, decision, rule, mode, upstream, reason }: Verdict): string {
  const by = rule === null ? 'no rule' : `rule ${String(rule)}`;
  const how =
    decision === 'allow' ? [mode, ...(upstream === null ? [] : [`from ${upstream}`])] : [];
  return [decision, name, by, ...how, ...(reason === null ? [] : [reason])].join('  ');
}

const summary = (file: string, { go, oci }: Rules): string =>
  `${file} is good: ${String(go.length)} rules for Go, ${String(oci.length)} for images`;
