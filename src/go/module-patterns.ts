// Patterns of module paths, in the grammar of GOPRIVATE.

import { LarderError } from '../engine/errors.ts';
import { compilePrefixPattern } from '../engine/path-patterns.ts';
import { quote } from './module-path.ts';

/** What go takes for the end of a repository's address, in a path of any length. */
const MARK = /\.(?:bzr|fossil|git|hg|svn)(?=\/|$)/;

/**
 * Reads one pattern. A path that says of what kind its repository is, such as `example.com/m.git`, matches as without that too:
 * it is the same code. Throws LarderError `invalid` with a sentence.
 */
export function compileModulePattern(glob: string): (module: string) => boolean {
  const matches = compilePrefixPattern(glob);
  // what can match no path keeps nothing back
  if (matches === undefined || /[@\s]|^\/|\/\//.test(glob))
    throw new LarderError(
      'invalid',
      `${quote(glob)} is no pattern of module paths: give one such as github.com/acme/*`,
    );
  return (module) => matches(module) || (MARK.test(module) && matches(module.replace(MARK, '')));
}

/** The same for a list. */
export function compileModulePatterns(globs: readonly string[]): (module: string) => boolean {
  const patterns = globs.map(compileModulePattern);
  return (module) => patterns.some((matches) => matches(module));
}
