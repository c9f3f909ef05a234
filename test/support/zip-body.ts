// An honest zip file of any size, made as it is read. (zip.ts writes small ones, and can lie.)

import { deflateRawSync } from 'node:zlib';
import { Body } from './body.ts';

/** Entries above this many bytes are stored, not deflated. */
const DEFLATE_MAX = 64 * 1024;

interface Written {
  readonly name: Buffer;
  readonly method: number;
  readonly crc: number;
  readonly data: Body;
  readonly size: number;
}

function written(name: string, content: Body): Written {
  const deflate = content.size > 0 && content.size <= DEFLATE_MAX;
  const data = deflate ? Body.of(deflateRawSync(content.bytes())) : content;
  return {
    name: Buffer.from(name),
    method: deflate ? 8 : 0,
    crc: content.crc32,
    data,
    size: content.size,
  };
}

/** The fields that a local and a central header share (APPNOTE 4.3.7, 4.3.12): from "version needed" to "extra length". */
function commonFields(entry: Written): Buffer {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(0x0800, 2); // the name is UTF-8
  fields.writeUInt16LE(entry.method, 4);
  fields.writeUInt16LE(0x0021, 8); // 1980-01-01, midnight
  fields.writeUInt32LE(entry.crc, 10);
  fields.writeUInt32LE(entry.data.size, 14);
  fields.writeUInt32LE(entry.size, 18);
  fields.writeUInt16LE(entry.name.length, 22);
  return fields;
}

/** A zip of these files, in this order: below 4 GiB and 65,536 entries, names in UTF-8. */
export function zipOf(files: readonly (readonly [name: string, content: Body])[]): Body {
  const parts: (Buffer | Body)[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of files) {
    const entry = written(name, content);
    const common = commonFields(entry);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, entry.name]);
    parts.push(local, entry.data);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02'), Buffer.of(20, 3), common, rest, entry.name);
    offset += local.length + entry.data.size;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Body.concat([...parts, central, end]);
}
