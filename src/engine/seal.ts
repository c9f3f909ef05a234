// Small JSON documents that show by themselves whether they are as they were written: their last member is a checksum of
// what stands before it. What was written before there were checksums has none, and is taken as it stands.

import { hash } from 'node:crypto';

/** Hex digits: enough against accidents, which is all that it is for. */
const DIGITS = 16;
const SEALED = /^([^]*),"sum":"([0-9a-f]{16})"\}$/;

/** The JSON of an object with one member at least, with its checksum. */
export function seal(fields: Readonly<Record<string, unknown>>): string {
  const open = JSON.stringify(fields).slice(0, -1);
  return `${open},"sum":"${sumOf(open)}"}`;
}

/**
 * The object that was sealed; undefined for what is none, is not as it was written, or has no checksum and a member that is
 * not one of `members`.
 */
export function unseal(
  text: string,
  members: readonly string[],
): Readonly<Record<string, unknown>> | undefined {
  const [, open, sum] = SEALED.exec(text) ?? [];
  if (open !== undefined && sumOf(open) !== sum) return undefined;
  try {
    const fields: unknown = JSON.parse(open === undefined ? text : `${open}}`);
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return undefined;
    // a checksum of which a bit is lost is a member that nobody knows
    const isKnown = open !== undefined || Object.keys(fields).every((key) => members.includes(key));
    return isKnown ? (fields as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes of any kind behind a line with their checksum. */
export const sealBytes = (bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`${sumOf(bytes)}\n`), bytes]);

/** The bytes that were sealed; undefined for what is not as it was written. */
export function unsealBytes(document: Uint8Array): Uint8Array | undefined {
  const bytes = document.subarray(DIGITS + 1);
  const line = Buffer.from(document.subarray(0, DIGITS + 1)).toString();
  return line === `${sumOf(bytes)}\n` ? bytes : undefined;
}

const sumOf = (text: string | Uint8Array): string => hash('sha256', text).slice(0, DIGITS);
