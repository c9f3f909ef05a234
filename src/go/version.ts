// Versions of Go modules (golang.org/x/mod/module): escaping, pseudo-versions, which version fits which path, and
// reading a proxy's list of them.

import {
  checkModulePath,
  checkPathMajor,
  escapeUpperCase,
  fileElementProblem,
  pathMajor,
  quote,
  unescapeUpperCase,
} from './module-path.ts';
import * as semver from './semver.ts';

/**
 * The version, branch or commit as it stands in URLs and file names. Undefined when it cannot stand there:
 * it must be one element of a file name, in ASCII and without `!`.
 */
export const escapeVersion = (version: string): string | undefined =>
  isAsciiWithoutBang(version) && fileElementProblem(version) === undefined
    ? escapeUpperCase(version)
    : undefined;

/** The version that was escaped so. Undefined when the escape is broken or the result is no element of a file name. */
export function unescapeVersion(escaped: string): string | undefined {
  const version = unescapeUpperCase(escaped);
  return version === undefined || fileElementProblem(version) !== undefined ? undefined : version;
}

/** True for a version that stands for a commit without a tag, as `v1.2.4-0.20240102030405-0123456789ab`. */
export const isPseudoVersion = (version: string): boolean => timestampOf(version) !== undefined;

/** The commit time in a pseudo-version, or undefined when it is none or has no real time in it. */
export function pseudoVersionTime(version: string): Date | undefined {
  const stamp = timestampOf(version);
  if (stamp === undefined) return undefined;
  const [, date, time] = /^(\d{8})(\d{6})$/.exec(stamp) ?? [];
  if (date === undefined || time === undefined) return undefined;
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  const iso = `${day}T${time.slice(0, 2)}:${time.slice(2, 4)}:${time.slice(4)}.000Z`;
  const parsed = new Date(iso);
  // 30 February would be taken for 1 March.
  return Number.isNaN(parsed.getTime()) || parsed.toISOString() !== iso ? undefined : parsed;
}

/**
 * Why this is no version that can be kept for the module (module.Check, and the canonical form of
 * module.CanonicalVersion), or undefined. Versions that it refuses may still name something, as a branch does.
 */
export function checkVersion(path: string, version: string): string | undefined {
  const problem = checkModulePath(path);
  return problem ?? versionProblem(pathMajor(path) ?? '', version);
}

/** Is this the full name of a version that the module can have: semantic, all three numbers, no build metadata but `+incompatible`, the path's major? */
export const isCanonicalFor = (path: string, version: string): boolean =>
  checkVersion(path, version) === undefined;

/**
 * What `latest` means among these versions: the highest release, else the highest pre-release, else the highest
 * pseudo-version. Retractions, which stand in a go.mod file, are not looked at. Undefined for an empty list.
 */
export function latestOf(versions: readonly string[]): string | undefined {
  let best: string | undefined;
  for (const version of versions) {
    if (best === undefined) {
      best = version;
      continue;
    }
    const order = rank(version) - rank(best) || semver.compareVersions(version, best);
    if (order > 0) best = version;
  }
  return best;
}

/**
 * The versions in the text of a proxy's `list`, ascending, each once. A line's first word counts; whatever is no
 * canonical version of the module is dropped. Pseudo-versions stay: filter with `isPseudoVersion` where they must not.
 */
export function cleanList(path: string, text: string): string[] {
  if (checkModulePath(path) !== undefined) return [];
  const major = pathMajor(path) ?? '';
  const versions = new Set<string>();
  for (const line of text.split('\n')) {
    const [word = ''] = line.trim().split(/\s/, 1);
    if (word.startsWith('v') && versionProblem(major, word) === undefined) versions.add(word);
  }
  return semver.sortVersions(versions);
}

function versionProblem(major: string, version: string): string | undefined {
  const parsed = semver.parse(version);
  if (parsed === undefined) {
    return `${quote(version)} is not a semantic version: one looks like v1.2.3 or v1.2.3-rc.1`;
  }
  const kept = parsed.build === '' || parsed.build === '+incompatible';
  if (parsed.missing !== '' || !kept) {
    return `${quote(version)} is not the full name of a version: that is ${quote(semver.canonical(version))}`;
  }
  return checkPathMajor(version, major);
}

/** The 14 digits in a pseudo-version, or undefined when it is none. */
function timestampOf(version: string): string | undefined {
  const prerelease = semver.prerelease(version);
  // -20240102030405-0123456789ab, or behind the dash 0. or anything that ends in .0.
  const dash = prerelease.lastIndexOf('-');
  if (dash < 15 || dash === prerelease.length - 1 || prerelease.includes('.', dash)) {
    return undefined;
  }
  const stamp = prerelease.slice(dash - 14, dash);
  if (!/^\d{14}$/.test(stamp)) return undefined;
  const before = prerelease.slice(1, dash - 14);
  const known =
    before === ''
      ? version.startsWith('.0.0-', version.indexOf('.'))
      : before === '0.' || before.endsWith('.0.');
  return known ? stamp : undefined;
}

/** Releases before pre-releases before pseudo-versions. */
function rank(version: string): number {
  if (semver.prerelease(version) === '') return 2;
  return isPseudoVersion(version) ? 0 : 1;
}

function isAsciiWithoutBang(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 128 || code === 0x21) return false;
  }
  return true;
}
