// The check of a module zip before it is kept, with its hash in the same pass: the rules of golang.org/x/mod/zip
// (CheckZip, Unzip) and the h1 of golang.org/x/mod/sumdb/dirhash (HashZip). What passes here is taken by the go
// command, and nearly all that the go command takes passes; only crafted zips, whose check would cost more than their
// size allows, are refused beyond that. Names and sizes are looked at first; data is then read in the order in which
// it lies in the zip, in constant memory. Small entries are unpacked by one synchronous call each, since a stream
// for each of thousands of them would cost more than the unpacking.

import { createHash, hash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';
import { LarderError, messageOf } from '../engine/errors.ts';
import { quote } from './module-path.ts';
import {
  checkCrc,
  findData,
  readDirectory,
  refusal,
  ZipBytes,
  type ZipEntry,
  type ZipSource,
} from './zip-directory.ts';
import { foldCase, ZipNames } from './zip-names.ts';

const MIB = 1024 * 1024;
/** Bytes of a module zip, and of all its files unpacked (MaxZipFile). */
export const MAX_ZIP = 500 * MIB;
/** Bytes of the go.mod in a module zip (MaxGoMod). */
const MAX_GO_MOD = 16 * MIB;
/** Bytes of the LICENSE at the root of a module zip (MaxLICENSE). */
const MAX_LICENSE = 16 * MIB;

export interface ZipCheckRequest {
  readonly source: ZipSource;
  /** Bytes of the zip. */
  readonly size: number;
  /** A valid module path and a canonical version of it, neither escaped. */
  readonly module: string;
  readonly version: string;
}

export interface ZipCheckResult {
  /** As in go.sum and the checksum database. */
  readonly h1: string;
  /** SHA-256 in hex of the go.mod in the zip; undefined where it has none. */
  readonly goModSha256: string | undefined;
  /** Files in the zip, without its folders. */
  readonly files: number;
  readonly unpackedBytes: number;
}

/** Files and folders of one zip, all kept in memory during its check. Go has no such limit, and no module comes near. */
const MAX_NAMES = 500_000;
/** Entries up to this many bytes are unpacked in one go; larger ones in pieces. */
const AT_ONCE = 1024 * 1024;
/** Bytes read at a time of what is not taken at once. */
const PIECE = 256 * 1024;
/** What may be checked where it is asked for: about a millisecond's work. */
const TINY_PACKED = 64 * 1024;
const TINY_UNPACKED = 256 * 1024;
const TINY_ENTRIES = 100;

const STORED = 0;
const DEFLATED = 8;
const GO_MOD = 'go.mod';
const SIZE_LIMITS = new Map([
  [GO_MOD, MAX_GO_MOD],
  ['LICENSE', MAX_LICENSE],
]);
const SHA256_OF_NOTHING = hash('sha256', '');

/** What a zip says that it holds, once names and sizes have been checked. */
interface Listing {
  /** In the order in which their data lies in the zip. */
  readonly entries: readonly ZipEntry[];
  /** What every name begins with: `<module>@<version>/`. */
  readonly prefix: string;
  readonly files: number;
  readonly unpackedBytes: number;
}

/** SHA-256 in hex by full name; of an entry that is named twice (folders may be) a line each. */
type Sums = [name: string, sha256: string][];

/**
 * Checks and hashes a module zip. Blocks its thread for most of the time: meant for a worker.
 * Throws LarderError: `bad_content` with the rule that is broken and the entry that breaks it, `store_failed` when the
 * source cannot be read.
 */
export async function checkZip(request: ZipCheckRequest): Promise<ZipCheckResult> {
  const zip = openZip(request);
  try {
    const listing = list(zip, request);
    const { sums, large } = hashSmall(zip, listing);
    for (const entry of large) sums.push([entry.name, await hashLarge(zip, entry, listing)]);
    return summarize(listing, sums);
  } catch (error) {
    throw inZip(request, error);
  } finally {
    zip.close();
  }
}

/** The same at once, for zips whose check takes no longer than handing them to a worker. Undefined for others. */
export function checkTinyZip(request: ZipCheckRequest): ZipCheckResult | undefined {
  if (request.size > TINY_PACKED) return undefined;
  const zip = openZip(request);
  try {
    const listing = list(zip, request);
    if (listing.unpackedBytes > TINY_UNPACKED || listing.entries.length > TINY_ENTRIES) {
      return undefined;
    }
    const { sums, large } = hashSmall(zip, listing);
    return large.length > 0 ? undefined : summarize(listing, sums);
  } catch (error) {
    throw inZip(request, error);
  } finally {
    zip.close();
  }
}

function openZip({ source, size }: ZipCheckRequest): ZipBytes {
  if (size > MAX_ZIP) throw refusal('it is larger than the 500 MiB that a module zip may have');
  return new ZipBytes(source, size);
}

/** Reads the directory and holds names and declared sizes against the rules. */
function list(zip: ZipBytes, { module, version }: ZipCheckRequest): Listing {
  const prefix = `${module}@${version}/`;
  const names = new ZipNames();
  const entries: ZipEntry[] = [];
  let files = 0;
  let unpackedBytes = 0;
  let packedBytes = 0;
  for (const entry of readDirectory(zip)) {
    const problem = entryProblem(entry, prefix, names);
    if (problem !== undefined) throw inEntry(entry, prefix, refusal(problem));
    entries.push(entry);
    if (Math.max(names.count, entries.length) > MAX_NAMES) {
      throw refusal('it has more than 500,000 files and folders');
    }
    if (entry.name.endsWith('/')) continue;
    files++;
    unpackedBytes += entry.unpacked;
    packedBytes += entry.packed;
    if (unpackedBytes > MAX_ZIP) {
      throw refusal('its files are larger together than the 500 MiB that a module may have');
    }
    // Go has no such rule. Without it a small zip could name the same bytes thousands of times, to keep us busy.
    if (packedBytes > zip.size) throw refusal('its entries share bytes');
  }
  if (!isInZipOrder(entries)) entries.sort((one, other) => one.headerAt - other.headerAt);
  return { entries, prefix, files, unpackedBytes };
}

const isInZipOrder = (entries: readonly ZipEntry[]): boolean =>
  entries.every((entry, at) => at === 0 || (entries[at - 1]?.headerAt ?? 0) <= entry.headerAt);

function entryProblem(entry: ZipEntry, prefix: string, names: ZipNames): string | undefined {
  const { name, packed, unpacked } = entry;
  if (!name.startsWith(prefix)) return `its name does not begin with ${quote(prefix)}`;
  if (name.length === prefix.length) return undefined;
  const isFolder = name.endsWith('/');
  const path = name.slice(prefix.length, isFolder ? -1 : undefined);
  const problem = names.add(path, isFolder) ?? (isFolder ? undefined : goModProblem(path));
  if (problem !== undefined || isFolder) return problem;
  if (packed < 0 || unpacked < 0) return 'its size is negative';
  const limit = SIZE_LIMITS.get(path) ?? MAX_ZIP;
  return unpacked > limit ? `it is larger than ${String(limit / MIB)} MiB` : undefined;
}

function goModProblem(path: string): string | undefined {
  const base = path.slice(-GO_MOD.length);
  if (foldCase(base) !== GO_MOD) return undefined;
  if (path.at(-GO_MOD.length - 1) === '/') return 'a go.mod may stand at the root of a module only';
  return base === path && path !== GO_MOD ? 'go.mod is written in lower case' : undefined;
}

/** Hashes folders and what can be unpacked at once; the rest is handed back as `large`. */
function hashSmall(zip: ZipBytes, { entries, prefix }: Listing): { sums: Sums; large: ZipEntry[] } {
  const sums: Sums = [];
  const large: ZipEntry[] = [];
  for (const entry of entries) {
    try {
      if (entry.name.endsWith('/')) {
        checkFolder(zip, entry);
        sums.push([entry.name, SHA256_OF_NOTHING]);
      } else if (entry.packed > zip.reach || Math.max(entry.packed, entry.unpacked) > AT_ONCE) {
        large.push(entry);
      } else {
        sums.push([entry.name, hashAtOnce(zip, entry)]);
      }
    } catch (error) {
      throw inEntry(entry, prefix, error);
    }
  }
  return { sums, large };
}

/** Whatever data a folder has is ignored, as long as it claims to be nothing. (Go looks at the last mention of it only.) */
function checkFolder(zip: ZipBytes, entry: ZipEntry): void {
  findData(zip, entry);
  if (entry.unpacked !== 0) throw refusal('a folder has content');
}

function hashAtOnce(zip: ZipBytes, entry: ZipEntry): string {
  const start = findData(zip, entry);
  const packed = zip.read(start, entry.packed);
  const content = isDeflated(entry) ? inflateAtOnce(packed, entry.unpacked) : packed;
  checkLength(entry, content.length);
  const sha256 = hash('sha256', content);
  checkCrc(zip, entry, start, crc32(content));
  return sha256;
}

function inflateAtOnce(packed: Buffer, unpacked: number): Buffer {
  try {
    return inflateRawSync(packed, {
      // one byte more than wanted, so that too much shows, and all comes in one piece
      chunkSize: Math.max(64, unpacked + 1),
      maxOutputLength: Math.max(1, unpacked),
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLong();
    throw notDeflated(error);
  }
}

/** In constant memory. */
async function hashLarge(zip: ZipBytes, entry: ZipEntry, { prefix }: Listing): Promise<string> {
  const sha256 = createHash('sha256');
  let crc = 0;
  let length = 0;
  const take = (piece: Buffer): void => {
    length += piece.length;
    if (length > entry.unpacked) throw tooLong();
    sha256.update(piece);
    crc = crc32(piece, crc);
  };
  try {
    const start = findData(zip, entry);
    const pieces = piecesOf(zip, start, start + entry.packed);
    if (isDeflated(entry)) await inflateInPieces(pieces, take);
    else for (const piece of pieces) take(piece);
    checkLength(entry, length);
    checkCrc(zip, entry, start, crc);
  } catch (error) {
    throw inEntry(entry, prefix, error);
  }
  return sha256.digest('hex');
}

function* piecesOf(zip: ZipBytes, start: number, end: number): Generator<Buffer> {
  for (let at = start; at < end;) {
    const piece = zip.read(at, Math.min(PIECE, end - at));
    if (piece.length === 0) return;
    at += piece.length;
    yield piece;
  }
}

async function inflateInPieces(
  pieces: Iterable<Buffer>,
  take: (piece: Buffer) => void,
): Promise<void> {
  const inflate = createInflateRaw({ chunkSize: PIECE });
  try {
    await pipeline(copies(pieces), inflate, async (unpacked: AsyncIterable<Buffer>) => {
      for await (const piece of unpacked) take(piece);
    });
  } catch (error) {
    if (error instanceof LarderError) throw error;
    // Bytes behind the end of deflated data are ignored, as Go does; the pipeline calls them an abort.
    if (!inflate.readableEnded) throw notDeflated(error);
  }
}

/** Of what is read: the window moves on while a piece is being unpacked. */
function* copies(pieces: Iterable<Buffer>): Generator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

function isDeflated(entry: ZipEntry): boolean {
  if (entry.method === DEFLATED) return true;
  if (entry.method === STORED) return false;
  throw refusal(`it is packed by method ${String(entry.method)}, which Go does not know`);
}

function checkLength(entry: ZipEntry, length: number): void {
  if (length > entry.unpacked) throw tooLong();
  if (length < entry.unpacked) throw refusal('it is shorter than the zip declares');
}

const tooLong = (): LarderError => refusal('it is longer than the zip declares');
const notDeflated = (cause: unknown): LarderError =>
  refusal(`it cannot be unpacked: ${messageOf(cause)}`);

function inEntry({ name }: ZipEntry, prefix: string, error: unknown): unknown {
  if (!(error instanceof LarderError) || error.code !== 'bad_content') return error;
  const path = name.startsWith(prefix) && name !== prefix ? name.slice(prefix.length) : name;
  return refusal(`entry ${quote(path)}: ${error.message}`);
}

function inZip({ module, version }: ZipCheckRequest, error: unknown): unknown {
  if (!(error instanceof LarderError) || error.code !== 'bad_content') return error;
  return refusal(`the zip of ${module}@${version} is refused: ${error.message}`);
}

/** The h1: the hash of a list as sha256sum prints it, in the byte order of the names. */
function summarize(listing: Listing, sums: Sums): ZipCheckResult {
  const goMod = `${listing.prefix}${GO_MOD}`;
  let goModSha256: string | undefined;
  const summary = createHash('sha256');
  let lines = '';
  for (const [name, sha256] of sums.sort(byteOrder(sums))) {
    if (name === goMod) goModSha256 = sha256;
    lines += `${sha256}  ${name}\n`;
    if (lines.length < PIECE) continue;
    summary.update(lines);
    lines = '';
  }
  const h1 = `h1:${summary.update(lines).digest('base64')}`;
  return { h1, goModSha256, files: listing.files, unpackedBytes: listing.unpackedBytes };
}

/** Text compares by UTF-16, which differs from the order of bytes only above U+D7FF. */
const byteOrder = (sums: Sums): ((one: Sums[number], other: Sums[number]) => number) =>
  sums.some(([name]) => /[^\0-\ud7ff]/.test(name))
    ? ([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other))
    : ([one], [other]) => (one < other ? -1 : one > other ? 1 : 0);
