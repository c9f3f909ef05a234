// Ranges of versions in rules. Versions compare as golang.org/x/mod/semver does, pre-releases and pseudo-versions
// included: `<v1.4.0` has v1.4.0-rc.1 in it, which a range of npm would let by.

import { LarderError } from '../engine/errors.ts';
import { quote } from './module-path.ts';
import { compare, parse, type Parsed } from './semver.ts';

export type VersionRange = (version: string) => boolean;

const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
  '=': (order) => order === 0,
};

const TERM = /^(<=|>=|<|>|=|~|\^)?\s*([^\s<>=~^]+)$/;

/**
 * Reads a range: terms by commas, all of which must hold. `<` `<=` `>` `>=` `=` compare; a version alone means itself, and a
 * short one all that begin with it (`v1.2`: v1.2.0, v1.2.7, v1.2.0-rc.1, not v1.20.0); `~` and `^` mean that and later
 * ones of the same minor, and of the same leftmost number that is not 0. Throws LarderError `invalid` with a sentence.
 */
export function parseVersionRange(text: string): VersionRange {
  const terms = text.split(',').map((term) => parseTerm(term.trim()));
  return (version) => terms.every((holds) => holds(version));
}

function parseTerm(term: string): VersionRange {
  const [, operator = '', operand = ''] = TERM.exec(term) ?? [];
  const bound = parse(operand);
  if (bound === undefined) {
    throw new LarderError(
      'invalid',
      `${quote(term)} is no range of versions: one looks like <v1.4.0, >=v1.2.0, ~v1.2.3, ^v1.2.3 or v1.2`,
    );
  }
  const accepts = COMPARISONS[operator];
  if (accepts) return (version) => accepts(compare(version, operand));
  if (operator === '~') return laterOfTheSame(operand, bound, Math.min(numbersIn(bound), 2));
  if (operator === '^') return laterOfTheSame(operand, bound, significant(bound));
  const numbers = numbersIn(bound);
  if (numbers === 3) return (version) => compare(version, operand) === 0;
  return (version) => sameNumbers(parse(version), bound, numbers);
}

const laterOfTheSame =
  (operand: string, bound: Parsed, numbers: number): VersionRange =>
  (version) =>
    compare(version, operand) >= 0 && sameNumbers(parse(version), bound, numbers);

function sameNumbers(version: Parsed | undefined, bound: Parsed, numbers: number): boolean {
  return (
    version?.major === bound.major &&
    (numbers < 2 || version.minor === bound.minor) &&
    (numbers < 3 || version.patch === bound.patch)
  );
}

/** How many of the three numbers are written. */
function numbersIn({ missing }: Parsed): number {
  if (missing === '') return 3;
  return missing === '.0' ? 2 : 1;
}

/** How many numbers there are up to the first that is not 0. */
function significant(bound: Parsed): number {
  if (bound.major !== '0') return 1;
  const written = numbersIn(bound);
  return bound.minor === '0' ? written : Math.min(written, 2);
}
