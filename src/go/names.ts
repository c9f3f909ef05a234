// What a request on the GOPROXY protocol is for: its path read into a name, and a name written as the one URL path and
// the one store key it has. Whatever way a client spells a path (`!a`, `%21a`, `%61`), it gets the same name; what
// golang.org/x/mod refuses never gets one, so neither an upstream nor a store ever sees it.

import { LarderError } from '../engine/errors.ts';
import {
  checkModulePath,
  escapePath,
  fileElementProblem,
  quote,
  unescapePath,
  unescapeUpperCase,
} from './module-path.ts';
import { canonical } from './semver.ts';
import { checkVersion, escapeVersion, isCanonicalFor, unescapeVersion } from './version.ts';

/** A folder: what may change, all modules. */
export const ANSWERS = 'answers/go';

/** The three files of a module version. */
export type FileExtension = 'info' | 'mod' | 'zip';

/** A canonical version's file: content. */
export interface GoFileName {
  readonly kind: 'file';
  /** As in a go.mod file, not escaped. Likewise the versions below. */
  readonly module: string;
  readonly version: string;
  readonly ext: FileExtension;
}

/** What may change: the list, the latest version, and what a branch, a commit or a short version stands for. */
export type GoAnswerName =
  | { readonly kind: 'list' | 'latest'; readonly module: string }
  | { readonly kind: 'query'; readonly module: string; readonly query: string };

export type GoName = GoFileName | GoAnswerName;

/** Bytes of one element of an escaped name: file systems take 255, and the store adds endings of its own. */
const MAX_ELEMENT = 200;
/** Bytes of an escaped module path: object stores take keys of 1024, with prefixes and version. */
const MAX_MODULE = 600;
/** Characters of a path as it comes, where percent signs may make three of each. */
const MAX_RAW = 3 * (MAX_MODULE + MAX_ELEMENT + 10);

/** Words that the go command resolves by itself, by way of the list. They are no revisions. */
const OWN_QUERIES = new Set(['latest', 'upgrade', 'patch']);

/**
 * The name in a request's path: still percent-encoded, without its query string, beginning with `/`.
 * Undefined when it is no path of the GOPROXY protocol. Throws LarderError `invalid` when it is one, but of no module
 * or version that can be, when its percent-encoding is broken, and when it is too long to be kept under.
 */
export function parseGoPath(rawPath: string): GoName | undefined {
  if (!rawPath.startsWith('/')) return undefined;
  if (rawPath.length > MAX_RAW) refuseLength(rawPath);
  const path = rawPath.includes('%') ? decode(rawPath) : rawPath;
  // A module path has no `@`, so the first one ends it.
  const at = path.indexOf('/@');
  if (at < 0) return undefined;
  if (path.endsWith('/@latest') && at === path.length - '/@latest'.length) {
    return { kind: 'latest', module: moduleIn(path, at) };
  }
  if (!path.startsWith('v/', at + 2)) return undefined;
  const file = path.slice(at + 4);
  if (file === 'list') return { kind: 'list', module: moduleIn(path, at) };
  const dot = file.lastIndexOf('.');
  const ext = file.slice(dot + 1);
  if (dot < 1 || !isFileExtension(ext)) return undefined;
  return versionName(moduleIn(path, at), file.slice(0, dot), ext);
}

/**
 * The URL path of a name, as it is sent to upstreams: escaped, beginning with `/`.
 * Throws LarderError `invalid` when the module path or the version cannot be escaped.
 */
export function pathOf(name: GoName): string {
  const path = `/${treePath(name)}`;
  return name.kind === 'query' ? path.replace(/[ #%[\]^{}]/g, encodeURIComponent) : path;
}

/**
 * The store key of a name: `go/…` for content, a GOPROXY tree, and `answers/go/…` for what may change.
 * Throws LarderError `invalid` when the module path or the version cannot be escaped.
 */
export const keyOf = (name: GoName): string =>
  `${name.kind === 'file' ? 'go' : ANSWERS}/${treePath(name)}`;

/** Where a name stands in a GOPROXY tree. Checked again here, so that no name put together elsewhere leaves the tree. */
function treePath(name: GoName): string {
  const module = escapePath(name.module) ?? refuse(`${quote(name.module)} is not a module path`);
  switch (name.kind) {
    case 'list':
      return `${module}/@v/list`;
    case 'latest':
      return `${module}/@latest`;
    case 'file':
      return `${module}/@v/${escaped(name.version)}.${name.ext}`;
    case 'query':
      return `${module}/@v/${escaped(name.query)}.info`;
  }
}

const escaped = (version: string): string =>
  escapeVersion(version) ?? refuse(`${quote(version)} is not a version, a branch or a commit`);

function versionName(module: string, text: string, ext: FileExtension): GoName {
  const version = unescapeVersion(text) ?? refuseVersion(text);
  if (text.length > MAX_ELEMENT) refuseLength(text);
  if (isCanonicalFor(module, version)) return { kind: 'file', module, version, ext };
  if (ext !== 'info') {
    if (canonical(version) === version) refuseAbsent(module, version, ext);
    refuse(`there is no .${ext} for it: ${checkVersion(module, version) ?? quote(version)}`);
  }
  if (OWN_QUERIES.has(version)) {
    refuse(`${quote(version)} is not a revision; ask for /@latest or /@v/list, then for a version`);
  }
  return { kind: 'query', module, query: version };
}

/** The module in front of `/@`. */
function moduleIn(path: string, end: number): string {
  const text = path.slice(1, end);
  const module = unescapePath(text) ?? refuseModule(text);
  if (text.length > MAX_ELEMENT) {
    const fits = text.length <= MAX_MODULE && text.split('/').every((e) => e.length <= MAX_ELEMENT);
    if (!fits) refuseLength(text);
  }
  return module;
}

function decode(rawPath: string): string {
  try {
    return decodeURIComponent(rawPath);
  } catch (cause) {
    const sentence = `${quote(rawPath)} is not a path: its percent-encoding is broken or not UTF-8`;
    throw new LarderError('invalid', sentence, { cause });
  }
}

const isFileExtension = (ext: string): ext is FileExtension =>
  ext === 'info' || ext === 'mod' || ext === 'zip';

function refuse(sentence: string): never {
  throw new LarderError('invalid', sentence);
}

/** A version as such, but none that this module can have: nothing to correct, it is just not there. */
function refuseAbsent(module: string, version: string, ext: FileExtension): never {
  const why = checkVersion(module, version) ?? quote(version);
  throw new LarderError('not_found', `there is no .${ext} for it: ${why}`, { outcome: 'bypass' });
}

function refuseModule(text: string): never {
  const path = unescapeUpperCase(text);
  refuse((path === undefined ? undefined : checkModulePath(path)) ?? brokenEscape(text));
}

function refuseVersion(text: string): never {
  const version = unescapeUpperCase(text);
  const problem = version === undefined ? undefined : fileElementProblem(version);
  refuse(
    problem === undefined
      ? brokenEscape(text)
      : `${quote(text)} is not a version, a branch or a commit: ${problem}`,
  );
}

const brokenEscape = (text: string): string =>
  `${quote(text)} is not escaped as a GOPROXY path is: an upper-case letter is written as ! and the lower-case one, and all is ASCII`;

function refuseLength(text: string): never {
  refuse(
    `${quote(text)} is too long: a module path may have ${MAX_MODULE.toString()} characters, and one of its elements or a version ${MAX_ELEMENT.toString()}`,
  );
}
