// What an object says about the content in it: its record as metadata, and its type.

import type { ContentRecord } from '../engine/ports.ts';

const FIELD = 'larder-record-';
/** Bytes of one value. Amazon takes 2 KB of metadata in all, Swift 256 bytes a value. */
const PIECE = 240;

/** The record's JSON in printable ASCII without spaces, which pass unchanged through every header and signature. */
export function toMetadata(record: ContentRecord): Record<string, string> {
  const text = JSON.stringify(record).replace(
    /[^\x21-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const metadata: Record<string, string> = {};
  for (let i = 0; i * PIECE < text.length; i++) {
    metadata[FIELD + String(i)] = text.slice(i * PIECE, (i + 1) * PIECE);
  }
  return metadata;
}

/** Undefined where there is none, or none that can be read. */
export function fromMetadata(
  metadata: Readonly<Record<string, string>> | undefined,
): ContentRecord | undefined {
  let text = '';
  for (let i = 0; ; i++) {
    const piece = metadata?.[FIELD + String(i)];
    if (piece === undefined) break;
    text += piece;
  }
  try {
    const record = JSON.parse(text) as Partial<ContentRecord> | null;
    return typeof record?.size === 'number' && typeof record.sha256 === 'string' && record.extra
      ? (record as ContentRecord)
      : undefined;
  } catch {
    return undefined;
  }
}

const types: Readonly<Record<string, string>> = {
  zip: 'application/zip',
  mod: 'text/plain; charset=utf-8',
  list: 'text/plain; charset=utf-8',
  info: 'application/json',
  json: 'application/json',
};
const UNKNOWN = 'application/octet-stream';

/** The media type of a key's bytes, for whoever reads the bucket past Larder. */
export function contentTypeOf(key: string, record?: ContentRecord): string {
  const ending = /\.([a-z]+)$/.exec(key)?.[1] ?? '';
  return types[ending] ?? record?.extra['mediaType'] ?? UNKNOWN;
}
