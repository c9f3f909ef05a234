// Writes small zips that can lie in every field. (zip-body.ts makes honest ones of any size.)

import { crc32, deflateRawSync } from 'node:zlib';

/** One entry. What is not given is true. */
export interface EntrySpec {
  readonly name: string | Uint8Array;
  readonly content?: string | Uint8Array;
  /** 0 stored, 8 deflated. Default: deflated when there is content. */
  readonly method?: number;
  /** Bytes in place of those that the content packs to. */
  readonly packed?: Uint8Array;
  readonly flags?: number;
  /** External attributes: Unix mode in the upper 16 bits. */
  readonly attributes?: number;
  readonly extra?: Uint8Array;
  readonly comment?: string;
  /** A data descriptor behind the data: with its signature, without, with a wrong CRC, or cut off. */
  readonly descriptor?: 'signed' | 'bare' | 'wrong' | 'none';
  /** Sizes and offset in a zip64 extra field. */
  readonly zip64?: boolean;
  /** Lies in the central directory. */
  readonly declaredPacked?: bigint | number;
  readonly declaredUnpacked?: bigint | number;
  readonly declaredCrc?: number;
  readonly declaredOffset?: bigint | number;
  /** Lies in the local header. */
  readonly localName?: string;
  readonly localSignature?: string;
  readonly localExtra?: Uint8Array;
}

/** The zip as a whole. What is not given is true. */
export interface ZipSpec {
  readonly comment?: string;
  /** Bytes before the first entry, which offsets do not count, and behind the end. */
  readonly before?: Uint8Array;
  readonly behind?: Uint8Array;
  /** A zip64 end record and its locator. */
  readonly zip64?: boolean;
  /** The central directory names the last entry first. */
  readonly reversed?: boolean;
  /** Lies in the end records. */
  readonly declaredCount?: number;
  readonly declaredDirectorySize?: number;
  readonly declaredDirectoryOffset?: number;
  readonly declaredCommentLength?: number;
  readonly declaredDisk?: number;
  readonly declaredEnd64Offset?: bigint | number;
  readonly declaredDisks?: number;
}

const ALL_ONES = 0xffffffff;

export function writeZip(entries: readonly EntrySpec[], spec: ZipSpec = {}): Buffer {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const entry of entries) {
    const written = writeEntry(entry, offset);
    parts.push(written.local);
    directory.push(written.central);
    offset += written.local.length;
  }
  const end = writeEnd(entries.length, Buffer.concat(directory).length, offset, spec);
  return Buffer.concat([
    spec.before ?? Buffer.alloc(0),
    ...parts,
    ...(spec.reversed ? directory.reverse() : directory),
    end,
    spec.behind ?? Buffer.alloc(0),
  ]);
}

function writeEntry(entry: EntrySpec, offset: number): { local: Buffer; central: Buffer } {
  const name = Buffer.from(entry.name);
  const content = Buffer.from(entry.content ?? '');
  const method = entry.method ?? (content.length > 0 ? 8 : 0);
  const packed = Buffer.from(entry.packed ?? (method === 8 ? deflateRawSync(content) : content));
  const crc = crc32(content);
  const lies = {
    flags: 0x800,
    attributes: 0,
    extra: Buffer.alloc(0),
    comment: '',
    localName: name,
    localSignature: 'PK\x03\x04',
    localExtra: Buffer.alloc(0),
    declaredCrc: crc,
    declaredPacked: packed.length,
    declaredUnpacked: content.length,
    declaredOffset: offset,
    ...entry,
  };
  const common = fields(
    [2, lies.flags | (entry.descriptor === undefined ? 0 : 0x8)],
    [2, method],
    [4, 0x210000],
  );
  const localName = Buffer.from(lies.localName);
  const local = Buffer.concat([
    Buffer.from(lies.localSignature, 'latin1'),
    fields([2, 20]),
    common,
    fields([4, crc], [4, packed.length], [4, content.length]),
    fields([2, localName.length], [2, lies.localExtra.length]),
    localName,
    lies.localExtra,
    packed,
    writeDescriptor(entry.descriptor, crc, packed.length, content.length),
  ]);

  const sizes = [lies.declaredUnpacked, lies.declaredPacked, lies.declaredOffset] as const;
  const long = fields([2, 1], [2, 24], [8, sizes[0]], [8, sizes[1]], [8, sizes[2]]);
  const [unpacked, packedSize, at] = entry.zip64 ? [ALL_ONES, ALL_ONES, ALL_ONES] : sizes;
  const extra = Buffer.concat([lies.extra, entry.zip64 ? long : Buffer.alloc(0)]);
  const comment = Buffer.from(lies.comment);
  const central = Buffer.concat([
    Buffer.from('PK\x01\x02', 'latin1'),
    fields([2, 0x314], [2, 20]),
    common,
    fields([4, lies.declaredCrc], [4, packedSize], [4, unpacked]),
    fields([2, name.length], [2, extra.length], [2, comment.length], [2, 0], [2, 0]),
    fields([4, lies.attributes], [4, at]),
    name,
    extra,
    comment,
  ]);
  return { local, central };
}

function writeDescriptor(
  kind: EntrySpec['descriptor'],
  crc: number,
  packed: number,
  unpacked: number,
): Buffer {
  if (kind === undefined || kind === 'none') return Buffer.alloc(0);
  const plain = fields([4, kind === 'wrong' ? crc ^ 1 : crc], [4, packed], [4, unpacked]);
  return kind === 'bare' ? plain : Buffer.concat([Buffer.from('PK\x07\x08', 'latin1'), plain]);
}

function writeEnd(count: number, directorySize: number, offset: number, spec: ZipSpec): Buffer {
  const comment = Buffer.from(spec.comment ?? '');
  const lies = {
    declaredCount: count,
    declaredDirectorySize: directorySize,
    declaredDirectoryOffset: offset,
    declaredCommentLength: comment.length,
    declaredDisk: 0,
    declaredDisks: 1,
    declaredEnd64Offset: (spec.before?.length ?? 0) + offset + directorySize,
    ...spec,
  };
  const disk = lies.declaredDisk;
  const size = lies.declaredDirectorySize;
  const start = lies.declaredDirectoryOffset;
  const long = Buffer.concat([
    Buffer.from('PK\x06\x06', 'latin1'),
    fields([8, 44], [2, 45], [2, 45], [4, disk], [4, disk]),
    fields([8, lies.declaredCount], [8, lies.declaredCount], [8, size], [8, start]),
    Buffer.from('PK\x06\x07', 'latin1'),
    fields([4, 0], [8, lies.declaredEnd64Offset], [4, lies.declaredDisks]),
  ]);
  const short = Buffer.concat([
    Buffer.from('PK\x05\x06', 'latin1'),
    fields([2, disk], [2, disk]),
    spec.zip64
      ? fields([2, 0xffff], [2, 0xffff], [4, ALL_ONES], [4, ALL_ONES])
      : fields([2, lies.declaredCount], [2, lies.declaredCount], [4, size], [4, start]),
    fields([2, lies.declaredCommentLength]),
    comment,
  ]);
  return spec.zip64 ? Buffer.concat([long, short]) : short;
}

/** Little-endian numbers of so many bytes, wrapped around like a C cast. */
function fields(...values: [bytes: number, value: number | bigint][]): Buffer {
  return Buffer.concat(
    values.map(([bytes, value]) => {
      const field = Buffer.alloc(8);
      field.writeBigUInt64LE(BigInt.asUintN(bytes * 8, BigInt(value)));
      return field.subarray(0, bytes);
    }),
  );
}
