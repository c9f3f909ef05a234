// Reads what a zip says about itself, exactly as Go's archive/zip does: its end record (zip64 too), its central
// directory, where an entry's data begins, its data descriptor. yauzl, otherwise our choice for zips, does not fit: it
// refuses zips that Go takes (bytes behind or before the archive, a wrong disk number, odd extra fields), may find
// another directory than Go does in a crafted one, and needs twenty times as long for 20,000 entries.

import { closeSync, openSync, readSync } from 'node:fs';
import { borrow, giveBack } from '../engine/buffers.ts';
import { LarderError, messageOf } from '../engine/errors.ts';

export type ZipSource = { readonly path: string } | { readonly bytes: Uint8Array };

/** One entry, as the central directory has it: none of it is checked against the entry's data. */
export interface ZipEntry {
  /** Decoded as UTF-8; what is none holds U+FFFD. */
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  /** Bytes of the data in the zip; negative in a crafted one. */
  readonly packed: number;
  /** Bytes of the data unpacked. */
  readonly unpacked: number;
  /** Offset of the local header in the zip. */
  readonly headerAt: number;
}

const END_SIGNATURE = 'PK\x05\x06';
const END_LENGTH = 22;
const END64_SIGNATURE = 0x06064b50;
const END64_LENGTH = 56;
const LOCATOR64_SIGNATURE = 0x07064b50;
const LOCATOR64_LENGTH = 20;
const DIRECTORY_SIGNATURE = 0x02014b50;
const DIRECTORY_LENGTH = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_LENGTH = 30;
const DESCRIPTOR_SIGNATURE = 0x08074b50;
const DESCRIPTOR_LENGTH = 16;
const ZIP64_EXTRA = 0x0001;
const ALL_ONES = 0xffffffff;
const HAS_DESCRIPTOR = 0x8;

/** The end record is looked for in this many bytes at the end. */
const END_REACH = 65 * 1024;
/** Bytes of central directory: several times what 500 MiB of small source files need. The entries are kept in memory. */
const MAX_DIRECTORY = 64 * 1024 * 1024;

/** Bytes that break the zip format, or are refused by what reads it. */
export const refusal = (reason: string): LarderError => new LarderError('bad_content', reason);

/** Reads from any offset of a zip through one window, so that memory does not grow with its size. */
export class ZipBytes {
  /** Bytes of the zip. */
  readonly size: number;
  /** The longest read that needs no memory of its own, in bytes. */
  readonly reach: number;
  readonly #file: number | undefined;
  readonly #buffer: Buffer | undefined;
  #window: Buffer;
  #windowAt = 0;

  /** Whoever makes it closes it. Throws LarderError `store_failed` when the file cannot be opened. */
  constructor(source: ZipSource, size: number) {
    this.size = size;
    if ('bytes' in source) {
      const { buffer, byteOffset, length } = source.bytes;
      this.#window = Buffer.from(buffer, byteOffset, length);
      this.reach = size;
      return;
    }
    try {
      this.#file = openSync(source.path, 'r');
    } catch (error) {
      throw unreadable(messageOf(error));
    }
    this.#buffer = borrow(size);
    this.#window = this.#buffer.subarray(0, 0);
    this.reach = this.#buffer.length;
  }

  /**
   * Up to `length` bytes from `start`: fewer at the end of the zip, none outside of it. Valid until the next read.
   * Throws LarderError `store_failed` when they cannot be read.
   */
  read(start: number, length: number): Buffer {
    if (!(start >= 0 && start < this.size)) return Buffer.alloc(0);
    const wanted = Math.min(length, this.size - start);
    const offset = start - this.#windowAt;
    if (offset >= 0 && offset + wanted <= this.#window.length) {
      return this.#window.subarray(offset, offset + wanted);
    }
    if (this.#buffer === undefined) throw unreadable('it is shorter than announced');
    if (wanted > this.reach) return this.#fill(Buffer.allocUnsafe(wanted), start);
    this.#windowAt = this.size <= this.reach ? 0 : start;
    const room = Math.min(this.reach, this.size - this.#windowAt);
    this.#window = this.#fill(this.#buffer.subarray(0, room), this.#windowAt);
    const from = start - this.#windowAt;
    return this.#window.subarray(from, from + wanted);
  }

  close(): void {
    if (this.#buffer !== undefined) giveBack(this.#buffer);
    if (this.#file !== undefined) closeSync(this.#file);
  }

  #fill(into: Buffer, position: number): Buffer {
    for (let at = 0; at < into.length;) {
      const got = this.#readFile(into.subarray(at), position + at);
      if (got === 0) throw unreadable('it is shorter than announced');
      at += got;
    }
    return into;
  }

  #readFile(into: Buffer, position: number): number {
    try {
      return readSync(this.#file ?? -1, into, 0, into.length, position);
    } catch (error) {
      throw unreadable(messageOf(error));
    }
  }
}

const unreadable = (why: string): LarderError =>
  new LarderError('store_failed', `the zip to be checked cannot be read back: ${why}`);

/**
 * The entries of the central directory, in its order. Throws LarderError `bad_content` when it is none that Go reads;
 * as there, whether the number of entries is right shows only at the end.
 */
export function* readDirectory(zip: ZipBytes): Generator<ZipEntry, void> {
  const end = findEnd(zip);
  let at = end.directoryAt;
  let count = 0;
  for (;;) {
    const header = readDirectoryEntry(zip, at, end.base);
    if (header === 'cut off') throw refusal('its central directory is cut off');
    if (header === 'no entry') break;
    at = header.next;
    if (at - end.directoryAt > MAX_DIRECTORY) {
      throw refusal('its central directory is longer than 64 MiB, more than Larder takes');
    }
    count++;
    yield header.entry;
  }
  // Old zips count modulo 65,536, and Go takes that from all.
  if ((count & 0xffff) !== (end.count & 0xffff)) {
    throw refusal(`its central directory is broken after ${String(count)} entries`);
  }
}

interface DirectoryEnd {
  /** Offset of the directory. */
  readonly directoryAt: number;
  /** Offset that those in the directory count from; not 0 when something stands before the zip. */
  readonly base: number;
  /** Low 32 bits of the number of entries. */
  readonly count: number;
}

interface EndRecord {
  readonly at: number;
  readonly count: number;
  readonly directorySize: number;
  readonly directoryOffset: number;
}

function findEnd(zip: ZipBytes): DirectoryEnd {
  const short = readEnd(zip);
  const isZip64 =
    short.count === 0xffff ||
    // sic: 16 bits of the size, as Go has it
    short.directorySize === 0xffff ||
    short.directoryOffset === ALL_ONES;
  const { at, count, directorySize, directoryOffset } =
    (isZip64 ? readEnd64(zip, short) : undefined) ?? short;
  if (directorySize > Number.MAX_SAFE_INTEGER || directoryOffset > Number.MAX_SAFE_INTEGER) {
    throw refusal('its central directory lies outside of it');
  }
  const directoryAt = at - directorySize;
  if (directoryAt < 0 || directoryAt >= zip.size) {
    throw refusal('its central directory lies outside of it');
  }
  const base = directoryAt - directoryOffset;
  // With a directory at the offset as it stands, the size is what is wrong, and nothing comes before the zip.
  if (base > 0 && typeof readDirectoryEntry(zip, directoryOffset, 0) === 'object') {
    return { directoryAt: directoryOffset, base: 0, count };
  }
  return { directoryAt, base, count };
}

function readEnd(zip: ZipBytes): EndRecord {
  const reach = Math.min(END_REACH, zip.size);
  const tail = zip.read(zip.size - reach, reach);
  const found =
    reach < END_LENGTH ? -1 : tail.lastIndexOf(END_SIGNATURE, reach - END_LENGTH, 'latin1');
  if (found < 0) throw refusal('it is no zip: it does not end with a central directory');
  if (found + END_LENGTH + tail.readUInt16LE(found + 20) > reach) {
    throw refusal('it is no whole zip: the comment at its end is cut off');
  }
  return {
    at: zip.size - reach + found,
    count: tail.readUInt16LE(found + 10),
    directorySize: tail.readUInt32LE(found + 12),
    directoryOffset: tail.readUInt32LE(found + 16),
  };
}

/** The zip64 end record, or undefined when the end record at `end.at` has none before it. */
function readEnd64(zip: ZipBytes, end: EndRecord): EndRecord | undefined {
  const locator = zip.read(end.at - LOCATOR64_LENGTH, LOCATOR64_LENGTH);
  if (locator.length < LOCATOR64_LENGTH || locator.readUInt32LE(0) !== LOCATOR64_SIGNATURE) {
    return undefined;
  }
  if (locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) !== 1) return undefined;
  const at = Number(locator.readBigInt64LE(8));
  // For Go a negative offset means: none.
  if (at < 0) return undefined;
  const record = zip.read(at, END64_LENGTH);
  if (record.length < END64_LENGTH || record.readUInt32LE(0) !== END64_SIGNATURE) {
    throw refusal('its zip64 end record is missing');
  }
  return {
    at,
    count: record.readUInt32LE(32),
    directorySize: Number(record.readBigUInt64LE(40)),
    directoryOffset: Number(record.readBigUInt64LE(48)),
  };
}

type DirectoryRead = { readonly entry: ZipEntry; readonly next: number } | 'no entry' | 'cut off';

function readDirectoryEntry(zip: ZipBytes, at: number, base: number): DirectoryRead {
  const header = zip.read(at, DIRECTORY_LENGTH);
  if (header.length === 0) return 'cut off';
  if (header.length < DIRECTORY_LENGTH || header.readUInt32LE(0) !== DIRECTORY_SIGNATURE) {
    return 'no entry';
  }
  const nameLength = header.readUInt16LE(28);
  const extraLength = header.readUInt16LE(30);
  const commentLength = header.readUInt16LE(32);
  const shortOffset = header.readUInt32LE(42);
  const flags = header.readUInt16LE(8);
  const method = header.readUInt16LE(10);
  const crc32 = header.readUInt32LE(16);
  let packed = header.readUInt32LE(20);
  let unpacked = header.readUInt32LE(24);
  let offset = shortOffset;

  const textAt = at + DIRECTORY_LENGTH;
  const next = textAt + nameLength + extraLength + commentLength;
  if (next > zip.size) return textAt === zip.size ? 'cut off' : 'no entry';
  const text = zip.read(textAt, nameLength + extraLength);
  const name = text.toString('utf8', 0, nameLength);
  if (packed === ALL_ONES || unpacked === ALL_ONES || shortOffset === ALL_ONES) {
    const long = readZip64(text.subarray(nameLength), { packed, unpacked, offset });
    if (long === undefined) return 'no entry';
    ({ packed, unpacked, offset } = long);
  }
  return { entry: { name, flags, method, crc32, packed, unpacked, headerAt: base + offset }, next };
}

interface LongFields {
  unpacked: number;
  packed: number;
  offset: number;
}

/** Those of the fields that are all ones, from the zip64 extra field. Undefined when it lacks one that is needed. */
function readZip64(extra: Buffer, short: LongFields): LongFields | undefined {
  const long = { ...short };
  const open = new Set<keyof LongFields>();
  for (const field of ['unpacked', 'packed', 'offset'] as const) {
    if (short[field] === ALL_ONES) open.add(field);
  }
  for (let at = 0; at + 4 <= extra.length;) {
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (end > extra.length) break;
    if (extra.readUInt16LE(at) === ZIP64_EXTRA) {
      let from = at + 4;
      for (const field of open) {
        if (from + 8 > end) return undefined;
        long[field] = Number(extra.readBigInt64LE(from));
        from += 8;
      }
      open.clear();
    }
    at = end;
  }
  // An unpacked size of all ones may be meant.
  return open.has('packed') || open.has('offset') ? undefined : long;
}

/** Offset of an entry's data. Throws LarderError `bad_content` when no local header stands where the directory says. */
export function findData(zip: ZipBytes, entry: ZipEntry): number {
  const header = zip.read(entry.headerAt, LOCAL_LENGTH);
  if (header.length < LOCAL_LENGTH || header.readUInt32LE(0) !== LOCAL_SIGNATURE) {
    throw refusal('its local header is not where the central directory says');
  }
  return entry.headerAt + LOCAL_LENGTH + header.readUInt16LE(26) + header.readUInt16LE(28);
}

/**
 * Holds the checksum of an entry's data against the directory and, where the entry has one, its data descriptor.
 * As in Go a 0 in the directory means unknown, but for an entry with a descriptor.
 * Throws LarderError `bad_content` when they differ.
 */
export function checkCrc(zip: ZipBytes, entry: ZipEntry, dataAt: number, actual: number): void {
  const described = (entry.flags & HAS_DESCRIPTOR) !== 0;
  if (described) {
    const descriptor = zip.read(dataAt + entry.packed, DESCRIPTOR_LENGTH);
    const signed = descriptor.length >= 4 && descriptor.readUInt32LE(0) === DESCRIPTOR_SIGNATURE;
    const start = signed ? 4 : 0;
    if (descriptor.length < start + 12) throw refusal('its data descriptor is cut off');
    if (descriptor.readUInt32LE(start) !== entry.crc32) {
      throw refusal('its data descriptor and the central directory differ in its CRC-32');
    }
  } else if (entry.crc32 === 0) {
    return;
  }
  if (actual !== entry.crc32) throw refusal('its CRC-32 is wrong');
}
