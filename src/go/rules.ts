// Rules about Go modules: a pattern of module paths, if need be a range of their versions.

import { LarderError } from '../engine/errors.ts';
import { Policy, type CompiledRule, type Mode, type Rule } from '../engine/policy.ts';
import { checkModulePath, quote } from './module-path.ts';
import { compileModulePatterns } from './module-patterns.ts';
import type { UpstreamStep } from './upstream-list.ts';
import { isCanonicalFor } from './version.ts';
import type { VersionRange } from './version-range.ts';

/** What rules are about: a version; or a module as a whole, where no version of it is known yet. */
export interface GoTarget {
  readonly module: string;
  /** Canonical. */
  readonly version?: string | undefined;
}

export interface GoRule extends Rule {
  /** In place of LARDER_GO_UPSTREAM. */
  readonly upstream?:
    { readonly text: string; readonly steps: readonly UpstreamStep[] } | undefined;
  /** Whether these are looked up in the checksum database. */
  readonly sumdb?: boolean | undefined;
  readonly listTtlMs?: number | undefined;
}

export type GoPolicy = Policy<GoTarget, GoRule>;

export const goPolicy = (mode: Mode): GoPolicy =>
  new Policy<GoTarget, GoRule>(
    ({ module, version }) => (version === undefined ? module : `${module}@${version}`),
    mode,
  );

export function compileGoRule(
  match: (module: string) => boolean,
  versions: VersionRange | undefined,
  rule: GoRule,
): CompiledRule<GoTarget, GoRule> {
  return {
    rule,
    matches({ module, version }) {
      if (!match(module)) return false;
      if (versions === undefined) return true;
      return version === undefined ? 'partly' : versions(version);
    },
  };
}

/** Reads patterns by commas. Throws LarderError `invalid` with a sentence. */
export const parseGoPatterns = (text: string): ((module: string) => boolean) =>
  compileModulePatterns(text.split(',').map((glob) => glob.trim()));

/**
 * Reads `MODULE` or `MODULE@VERSION`, as they stand in a go.mod file; a branch or commit is no version yet, and then the module
 * as a whole is meant. Throws LarderError `invalid` with a sentence.
 */
export function parseGoTarget(text: string): GoTarget {
  const [module = '', version, ...more] = text.split('@');
  const problem = checkModulePath(module);
  if (problem !== undefined) throw invalid(problem);
  if (version === '' || more.length > 0) throw invalid(`${quote(text)} is not MODULE@VERSION`);
  return version !== undefined && isCanonicalFor(module, version)
    ? { module, version }
    : { module };
}

const invalid = (sentence: string): LarderError => new LarderError('invalid', sentence);
