// go.sum: which files of which versions a module's builds need (go.dev/ref/mod#go-sum-files), read as the go command reads it.

import { LarderError } from '../engine/errors.ts';
import type { FileExtension } from './names.ts';
import { EXTENSIONS } from './stored-files.ts';
import { checkVersion } from './version.ts';

/** Files of a version that are wanted. */
export interface WantedVersion {
  readonly module: string;
  readonly version: string;
  readonly files: readonly FileExtension[];
}

const GO_MOD = '/go.mod';
/** Of an empty go.mod: an old go command wrote it by mistake, and new ones pass over it. */
const EMPTY_GO_MOD = 'h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY=';
const HASH = /^h1:[A-Za-z0-9+/]{43}=$/;
/** Hashes that this go command does not know, which it passes over. */
const OTHER_HASH = /^h(?!1:)[0-9]+:\S+$/;
/** Bad lines that are told. */
const MAX_TOLD = 20;

/**
 * The versions in a go.sum, each once, in its order: a version of which it has the hash as a whole is wanted with all files, one
 * of which it has that of its go.mod alone with its `.mod`. `file`: what it is called in an error. Throws LarderError `invalid`, whose
 * message has a line for each bad one, `FILE:LINE: reason`.
 */
export function parseGoSum(text: string, file: string): WantedVersion[] {
  const wanted = new Map<string, WantedVersion>();
  const problems: string[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const fields = line.split(/[ \t\r]+/).filter((field) => field !== '');
    const problem = fields.length === 0 ? undefined : problemWith(fields);
    if (problem !== undefined) problems.push(`${file}:${String(at + 1)}: ${problem}`);
    else want(wanted, fields);
  }
  if (problems.length > 0) throw new LarderError('invalid', told(problems));
  return [...wanted.values()];
}

function want(wanted: Map<string, WantedVersion>, fields: readonly string[]): void {
  const [module, named, hash] = fields;
  if (module === undefined || named === undefined || hash === EMPTY_GO_MOD) return;
  const version = versionIn(named);
  const key = `${module}@${version}`;
  const files: readonly FileExtension[] = version === named ? EXTENSIONS : ['mod'];
  if (files.length > (wanted.get(key)?.files.length ?? 0))
    wanted.set(key, { module, version, files });
}

const versionIn = (named: string): string =>
  named.endsWith(GO_MOD) ? named.slice(0, -GO_MOD.length) : named;

function problemWith(fields: readonly string[]): string | undefined {
  const [module = '', named = '', hash = ''] = fields;
  if (fields.length !== 3)
    return `it has ${String(fields.length)} fields in place of 3: a module, a version, and a hash`;
  const problem = checkVersion(module, versionIn(named));
  if (problem !== undefined) return problem;
  if (HASH.test(hash) || OTHER_HASH.test(hash)) return undefined;
  return 'its hash is none: one is h1: and 44 characters of base64';
}

function told(problems: readonly string[]): string {
  const more = problems.length - MAX_TOLD;
  const rest = more > 0 ? [`and ${String(more)} more bad lines`] : [];
  return [...problems.slice(0, MAX_TOLD), ...rest].join('\n');
}
