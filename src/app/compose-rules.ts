// The rules that are in force: read at the start, and again when asked to.

import { messageOf } from '../engine/errors.ts';
import { goPolicy, type GoPolicy, type GoTarget } from '../go/rules.ts';
import type { Sources } from '../go/sources.ts';
import type { UpstreamStep } from '../go/upstream-list.ts';
import type { Logger } from '../observability/logger.ts';
import { ociPolicy, type OciPolicy } from '../oci/rules.ts';
import type { Config } from './config.ts';
import { readRules, type Rules } from './rules-file.ts';

export interface RulesInForce {
  readonly go: GoPolicy;
  readonly oci: OciPolicy;
  /** Why nothing is ever fetched, in the words for a client, where that is so. */
  readonly offline: string | undefined;
  /** What upstreams put up with, by their names or hosts. */
  readonly limits: () => Rules['upstreams'];
  /** Whether a rule of the start sends modules to version control. */
  readonly needDirect: boolean;
  /** Reads the file again; a bad one changes nothing, and is logged. */
  readonly reload: () => void;
}

/** Throws ConfigError for a bad file. */
export function composeRules(
  { rulesFile, mode, offline }: Pick<Config, 'rulesFile' | 'mode' | 'offline'>,
  logger: Logger,
): RulesInForce {
  const go = goPolicy(mode);
  const oci = ociPolicy(mode);
  let limits: Rules['upstreams'] = new Map();
  const read = (file: string) => {
    const rules = readRules(file);
    go.replace(rules.go);
    oci.replace(rules.oci);
    limits = rules.upstreams;
    return { go: rules.go.length, oci: rules.oci.length, upstreams: limits.size };
  };
  const reload = () => {
    if (rulesFile === undefined) {
      logger.info('there is no LARDER_RULES_FILE to read again');
      return;
    }
    try {
      logger.info(read(rulesFile), 'the rules were read again');
    } catch (error) {
      logger.error({ reason: messageOf(error) }, 'the new rules are bad: the old ones stay');
    }
  };
  if (rulesFile !== undefined) read(rulesFile);
  const needDirect = go.rules.some(({ rule }) =>
    rule.upstream?.steps.some(({ kind }) => kind === 'direct'),
  );
  return {
    go,
    oci,
    limits: () => limits,
    needDirect,
    offline: offline ? 'Larder is offline (LARDER_OFFLINE)' : undefined,
    reload,
  };
}

/** Where a module comes from: where its rule says, else from `usual`. */
export function sourcesByRule(
  policy: GoPolicy,
  usual: Sources,
  sourcesBy: (steps: readonly UpstreamStep[]) => Sources,
): (target: GoTarget) => Sources {
  const byList = new Map<string, Sources>();
  return (target) => {
    const upstream = policy.decide(target).rule?.upstream;
    if (upstream === undefined) return usual;
    let sources = byList.get(upstream.text);
    if (sources === undefined) byList.set(upstream.text, (sources = sourcesBy(upstream.steps)));
    return sources;
  };
}
