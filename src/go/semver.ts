// Semantic versions as Go has them (golang.org/x/mod/semver): a leading `v`, and `v1` and `v1.2` as short forms.
// All else is Semantic Versioning 2.0.0. Numbers are compared as text, so they may have any length.

/** The parts of a valid version, as text. */
export interface Parsed {
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  /** What a short form leaves out: `.0.0`, `.0` or nothing. */
  readonly missing: string;
  /** With its dash, or empty. */
  readonly prerelease: string;
  /** With its plus, or empty. */
  readonly build: string;
}

const DASH = 0x2d;
const DOT = 0x2e;
const PLUS = 0x2b;
const ZERO = 0x30;

const isDigit = (code: number): boolean => code >= ZERO && code <= 0x39;
const isLetter = (code: number): boolean => {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
};

/** True for one of the exact forms `v1`, `v1.2`, `v1.2.3`, `v1.2.3-pre`, `v1.2.3-pre+build`. */
export const isValid = (version: string): boolean => parse(version) !== undefined;

/** The full form without build metadata, or the empty string when the version is not valid. */
export function canonical(version: string): string {
  const parsed = parse(version);
  if (parsed === undefined) return '';
  if (parsed.build !== '') return version.slice(0, version.length - parsed.build.length);
  return version + parsed.missing;
}

/** `v2` of `v2.1.0`; empty when the version is not valid. */
export function major(version: string): string {
  const parsed = parse(version);
  return parsed === undefined ? '' : `v${parsed.major}`;
}

/** `-pre` of `v2.1.0-pre+meta`; empty when there is none or the version is not valid. */
export const prerelease = (version: string): string => parse(version)?.prerelease ?? '';

/** `+meta` of `v2.1.0-pre+meta`; empty when there is none or the version is not valid. */
export const build = (version: string): string => parse(version)?.build ?? '';

/**
 * Precedence: negative, 0 or positive. Build metadata does not count. What is not valid comes before
 * all that is, and equals all else that is not.
 */
export const compare = (left: string, right: string): number =>
  compareParsed(parse(left), parse(right));

/** A total order for sorting lists: precedence, then the text itself. */
export const compareVersions = (left: string, right: string): number =>
  compare(left, right) || compareText(left, right);

/** A new list in the order of `compareVersions`; quick also for thousands, since each is parsed only once. */
export const sortVersions = (versions: Iterable<string>): string[] =>
  Array.from(versions, (text) => ({ text, parsed: parse(text) }))
    .sort((a, b) => compareParsed(a.parsed, b.parsed) || compareText(a.text, b.text))
    .map(({ text }) => text);

/** Undefined when the version is not valid. */
export function parse(version: string): Parsed | undefined {
  if (!version.startsWith('v')) return undefined;
  const majorEnd = endOfNumber(version, 1);
  if (majorEnd < 0) return undefined;
  const first = version.slice(1, majorEnd);
  if (majorEnd === version.length) return short(first, '0', '.0.0');

  const minorEnd = endOfNextNumber(version, majorEnd);
  if (minorEnd < 0) return undefined;
  const second = version.slice(majorEnd + 1, minorEnd);
  if (minorEnd === version.length) return short(first, second, '.0');

  const patchEnd = endOfNextNumber(version, minorEnd);
  if (patchEnd < 0) return undefined;
  const prereleaseEnd = endOfIdentifiers(version, patchEnd, DASH);
  if (prereleaseEnd < 0) return undefined;
  const buildEnd = endOfIdentifiers(version, prereleaseEnd, PLUS);
  if (buildEnd !== version.length) return undefined;
  return {
    major: first,
    minor: second,
    patch: version.slice(minorEnd + 1, patchEnd),
    missing: '',
    prerelease: version.slice(patchEnd, prereleaseEnd),
    build: version.slice(prereleaseEnd),
  };
}

function compareParsed(a: Parsed | undefined, b: Parsed | undefined): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return (
    compareNumbers(a.major, b.major) ||
    compareNumbers(a.minor, b.minor) ||
    compareNumbers(a.patch, b.patch) ||
    comparePrereleases(a.prerelease, b.prerelease)
  );
}

const short = (first: string, second: string, missing: string): Parsed => ({
  major: first,
  minor: second,
  patch: '0',
  missing,
  prerelease: '',
  build: '',
});

/** Where the number that starts at `start` ends, or -1: there is none, or it has a leading zero. */
function endOfNumber(text: string, start: number): number {
  let end = start;
  while (end < text.length && isDigit(text.charCodeAt(end))) end++;
  if (end === start) return -1;
  return text.charCodeAt(start) === ZERO && end > start + 1 ? -1 : end;
}

const endOfNextNumber = (text: string, dot: number): number =>
  text.charCodeAt(dot) === DOT ? endOfNumber(text, dot + 1) : -1;

/**
 * Where the dotted identifiers behind `mark` at `start` end: `start` itself when the mark is not there,
 * -1 when an identifier is empty or, in a pre-release, a number with a leading zero.
 */
function endOfIdentifiers(text: string, start: number, mark: number): number {
  if (text.charCodeAt(start) !== mark) return start;
  let begin = start + 1;
  let numeric = true;
  for (let at = begin; ; at++) {
    const code = text.charCodeAt(at);
    if (isDigit(code)) continue;
    if (isLetter(code) || code === DASH) {
      numeric = false;
      continue;
    }
    // Anything else, and the end of the text, ends an identifier.
    if (at === begin) return -1;
    if (mark === DASH && numeric && at > begin + 1 && text.charCodeAt(begin) === ZERO) return -1;
    if (code !== DOT) return at;
    begin = at + 1;
    numeric = true;
  }
}

/** Code units, which for the ASCII of versions is byte order. */
function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** Decimal numbers without leading zeros. */
const compareNumbers = (left: string, right: string): number =>
  left.length - right.length || compareText(left, right);

function comparePrereleases(left: string, right: string): number {
  if (left === right) return 0;
  // A release comes after its pre-releases.
  if (left === '') return 1;
  if (right === '') return -1;
  const a = left.slice(1).split('.');
  const b = right.slice(1).split('.');
  for (const [at, identifier] of a.entries()) {
    const other = b[at];
    if (other === undefined) return 1;
    const order = compareIdentifiers(identifier, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareIdentifiers(left: string, right: string): number {
  const numeric = isNumeric(left);
  if (numeric !== isNumeric(right)) return numeric ? -1 : 1;
  return numeric ? compareNumbers(left, right) : compareText(left, right);
}

function isNumeric(identifier: string): boolean {
  for (let at = 0; at < identifier.length; at++) {
    if (!isDigit(identifier.charCodeAt(at))) return false;
  }
  return true;
}
