// Module paths and file names as Go has them (golang.org/x/mod/module): which are allowed, how a path names its major
// version, how upper case is escaped for URLs and file systems. The checks give the reason as a sentence for a person;
// undefined means that nothing is wrong.

import * as semver from './semver.ts';

/** May stand in any element of a module path; in its first one; in a file name. */
const MODULE = 1;
const HOST = 2;
const FILE = 4;

/** For each ASCII code, where it may stand. */
const ALLOWED = new Uint8Array(128);
const allow = (characters: string, places: number): void => {
  for (let at = 0; at < characters.length; at++) ALLOWED[characters.charCodeAt(at)] = places;
};
allow('abcdefghijklmnopqrstuvwxyz0123456789-.', MODULE | HOST | FILE);
allow('ABCDEFGHIJKLMNOPQRSTUVWXYZ_~', MODULE | FILE);
allow('!#$%&()+,=@[]^{} ', FILE);

const RESERVED_BY_WINDOWS = new Set(['con', 'prn', 'aux', 'nul']);
for (let port = 1; port <= 9; port++) {
  RESERVED_BY_WINDOWS.add(`com${port.toString()}`).add(`lpt${port.toString()}`);
}

const DASH = 0x2d;
const DOT = 0x2e;
const BANG = 0x21;

/** Why this is no module path (CheckPath), or undefined. */
export function checkModulePath(path: string): string | undefined {
  const problem = modulePathProblem(path);
  return problem === undefined ? undefined : `${quote(path)} is not a module path: ${problem}`;
}

/**
 * Why a module zip may not hold a file of this slash-separated name (CheckFilePath), or undefined.
 * Letters of any script are allowed, as this runtime's Unicode knows them, which may be newer than a go command's.
 */
export function checkFileName(path: string): string | undefined {
  const problem = path === '' ? 'it is empty' : elementsProblem(path, FILE);
  return problem === undefined ? undefined : `${quote(path)} is not a file name: ${problem}`;
}

/** What is wrong with one element of a file name, as the end of a sentence, or undefined. Versions obey it too. */
export const fileElementProblem = (element: string): string | undefined =>
  elementProblem(element, FILE);

/**
 * The part of a path that says its major version (SplitPathVersion): `/v2`, for gopkg.in `.v2` or
 * `.v2-unstable`, empty when there is none. Undefined when the path ends in one that is not allowed.
 */
export function pathMajor(path: string): string | undefined {
  if (path.startsWith('gopkg.in/')) return gopkgMajor(path);
  let start = path.length;
  let dotted = false;
  for (; start > 0; start--) {
    const code = path.charCodeAt(start - 1);
    if (code === DOT) dotted = true;
    else if (!isDigit(code)) break;
  }
  if (start === path.length || !path.startsWith('/v', start - 2)) return '';
  const major = path.slice(start - 2);
  return dotted || major === '/v1' || major.startsWith('/v0') ? undefined : major;
}

/** gopkg.in has its majors behind a dot, always, and counts from 0. (x/mod takes `.v-unstable` too, which no version fits.) */
function gopkgMajor(path: string): string | undefined {
  let start = path.endsWith('-unstable') ? path.length - '-unstable'.length : path.length;
  while (start > 0 && isDigit(path.charCodeAt(start - 1))) start--;
  if (!path.startsWith('.v', start - 2)) return undefined;
  const major = path.slice(start - 2);
  return major === '.v' || (major.startsWith('.v0') && major !== '.v0') ? undefined : major;
}

/** Why a version does not fit a path's major version (what `pathMajor` gave), or undefined. */
export function checkPathMajor(version: string, major: string): string | undefined {
  const wanted = major.endsWith('-unstable') ? major.slice(0, -'-unstable'.length) : major;
  // Old go commands gave gopkg.in modules of major 1 pseudo-versions of major 0, and go.mod files still name them.
  if (wanted === '.v1' && version.startsWith('v0.0.0-')) return undefined;
  const actual = semver.major(version);
  if (wanted !== '') {
    return actual === wanted.slice(1)
      ? undefined
      : `${quote(version)} does not fit the module path, whose versions begin with ${wanted.slice(1)}`;
  }
  if (actual === 'v0' || actual === 'v1' || semver.build(version) === '+incompatible') {
    return undefined;
  }
  return `${quote(version)} does not fit the module path: without a major version at its end, it has versions v0, v1 or ones that end in +incompatible`;
}

/** The path as it stands in URLs and file names, each upper-case letter as `!` and its lower case. Undefined when it is no module path. */
export const escapePath = (path: string): string | undefined =>
  modulePathProblem(path) === undefined ? escapeUpperCase(path) : undefined;

/** The module path that was escaped so. Undefined when the escape is broken or the result is no module path. */
export function unescapePath(escaped: string): string | undefined {
  const path = unescapeUpperCase(escaped);
  return path === undefined || modulePathProblem(path) !== undefined ? undefined : path;
}

/** Escapes ASCII text without `!`: no two texts then differ in case alone. */
export const escapeUpperCase = (text: string): string =>
  text.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);

/** Undoes `escapeUpperCase`. Undefined for what it never makes: upper case, a `!` without a lower-case letter behind it, non-ASCII. */
export function unescapeUpperCase(escaped: string): string | undefined {
  let text = '';
  let copied = 0;
  for (let at = 0; at < escaped.length; at++) {
    const code = escaped.charCodeAt(at);
    if (code >= 128 || isUpper(code)) return undefined;
    if (code !== BANG) continue;
    const letter = escaped.charAt(at + 1);
    if (!(letter >= 'a' && letter <= 'z')) return undefined;
    text += escaped.slice(copied, at) + letter.toUpperCase();
    at++;
    copied = at + 1;
  }
  return copied === 0 ? escaped : text + escaped.slice(copied);
}

/** Text in quotes, on one line, printable and of bounded length, for sentences about what a stranger sent. */
export function quote(text: string): string {
  let quoted = '';
  let room = 120;
  for (const character of text) {
    const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character);
    const piece = printable ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    room -= Buffer.byteLength(piece);
    if (room < 0) return `"${quoted}…"`;
    quoted += piece;
  }
  return `"${quoted}"`;
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isUpper = (code: number): boolean => code >= 0x41 && code <= 0x5a;

function modulePathProblem(path: string): string | undefined {
  if (path === '') return 'it is empty';
  if (path.charCodeAt(0) === DASH) return 'it begins with a dash';
  const problem = elementsProblem(path, MODULE) ?? hostProblem(path);
  if (problem !== undefined) return problem;
  if (pathMajor(path) !== undefined) return undefined;
  return path.startsWith('gopkg.in/')
    ? 'paths of gopkg.in end in .v0, .v1, .v2 and so on'
    : 'a major version at its end is /v2 or higher, without leading zeros or dots';
}

/** The first element is a domain name, in lower case. */
function hostProblem(path: string): string | undefined {
  const slash = path.indexOf('/');
  const end = slash < 0 ? path.length : slash;
  let dotted = false;
  for (let at = 0; at < end; at++) {
    const code = path.charCodeAt(at);
    if (((ALLOWED[code] ?? 0) & HOST) === 0) {
      return `its first element has ${quote(path.charAt(at))}, and may have only lower-case letters, digits, dots and dashes`;
    }
    dotted ||= code === DOT;
  }
  return dotted ? undefined : 'its first element has no dot, and must be a domain name';
}

function elementsProblem(path: string, place: number): string | undefined {
  let start = 0;
  for (;;) {
    const slash = path.indexOf('/', start);
    const element = path.slice(start, slash < 0 ? path.length : slash);
    const problem = elementProblem(element, place);
    if (problem !== undefined || slash < 0) return problem;
    start = slash + 1;
  }
}

function elementProblem(element: string, place: number): string | undefined {
  if (element === '') return 'it has an empty element';
  if (element.charCodeAt(element.length - 1) === DOT) {
    return `its element ${quote(element)} ends with a dot`;
  }
  if (place === MODULE && element.charCodeAt(0) === DOT) {
    return `its element ${quote(element)} begins with a dot`;
  }
  const bad = forbiddenCharacter(element, place);
  if (bad !== undefined) return `the character ${quote(bad)} is not allowed in it`;

  const dot = element.indexOf('.');
  const stem = dot < 0 ? element : element.slice(0, dot);
  if ((stem.length === 3 || stem.length === 4) && RESERVED_BY_WINDOWS.has(stem.toLowerCase())) {
    return `${quote(stem)} is a name that Windows reserves`;
  }
  if (place === MODULE && isShortName(stem)) {
    return `its element ${quote(element)} ends in a tilde and digits, like a short name of Windows`;
  }
  return undefined;
}

function forbiddenCharacter(element: string, place: number): string | undefined {
  for (let at = 0; at < element.length; at++) {
    const code = element.charCodeAt(at);
    if (code < 128) {
      if (((ALLOWED[code] ?? 0) & place) === 0) return element.charAt(at);
      continue;
    }
    const character = String.fromCodePoint(element.codePointAt(at) ?? code);
    if (place !== FILE || !/\p{L}/u.test(character)) return character;
    at += character.length - 1;
  }
  return undefined;
}

function isShortName(stem: string): boolean {
  const tilde = stem.lastIndexOf('~');
  if (tilde < 0 || tilde === stem.length - 1) return false;
  for (let at = tilde + 1; at < stem.length; at++) {
    if (!isDigit(stem.charCodeAt(at))) return false;
  }
  return true;
}
