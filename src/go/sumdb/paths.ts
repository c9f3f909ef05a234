// What is served below /sumdb/<name>/, and under which keys it is stored.

import { unescapePath } from '../module-path.ts';
import { isCanonicalFor, unescapeVersion } from '../version.ts';
import { isFull, parseTilePath, tilePath, type Tile } from './tile.ts';

export type SumdbPath =
  | { readonly kind: 'supported' }
  | { readonly kind: 'latest' }
  | {
      readonly kind: 'lookup';
      readonly module: string;
      readonly version: string;
      readonly escapedModule: string;
      readonly escapedVersion: string;
    }
  | { readonly kind: 'tile'; readonly tile: Tile };

const LOOKUP = /^lookup\/([^@]+)@([^@]+)$/;
/** Bytes of a file name and of a key that every store takes, with room for what it adds. */
const MAX_ELEMENT = 200;
const MAX_LOOKUP = 800;

/** Parses the decoded path below `/sumdb/<name>/`. Undefined when no checksum database has such a path. */
export function parseSumdbPath(path: string): SumdbPath | undefined {
  if (path === 'supported' || path === 'latest') return { kind: path };
  const tile = parseTilePath(path);
  return tile ? { kind: 'tile', tile } : parseLookupPath(path);
}

function parseLookupPath(path: string): SumdbPath | undefined {
  const [, escapedModule = '', escapedVersion = ''] = LOOKUP.exec(path) ?? [];
  const module = unescapePath(escapedModule);
  const version = unescapeVersion(escapedVersion);
  if (module === undefined || version === undefined) return undefined;
  if (!isCanonicalFor(module, version) || path.length > MAX_LOOKUP) return undefined;
  if (path.split(/[/@]/).some((element) => element.length > MAX_ELEMENT)) return undefined;
  return { kind: 'lookup', module, version, escapedModule, escapedVersion };
}

/** Where the newest verified tree head of a database is stored: a document. */
export const latestKey = (database: string): string => `${folder(database)}/latest`;

/** Where the edge of that head's tree is stored: a document. */
export const edgeKey = (database: string): string => `${folder(database)}/edge`;

/**
 * The key for bytes that never change under their name: a full tile, a lookup; undefined for everything else.
 * No key is another key's folder: folders below `tile` are called `x001` and files `001`, and no module path has `@v`.
 */
export function immutableKey(database: string, path: SumdbPath): string | undefined {
  if (path.kind === 'lookup') {
    return `${folder(database)}/lookup/${path.escapedModule}/@v/${path.escapedVersion}`;
  }
  if (path.kind === 'tile' && isFull(path.tile))
    return `${folder(database)}/${tilePath(path.tile)}`;
  return undefined;
}

/** A name with a path in it is one folder, so that no database lies within another. */
const folder = (database: string): string => `answers/sumdb/${database.replaceAll('/', '%2F')}`;
