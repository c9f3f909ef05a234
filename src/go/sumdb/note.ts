// Signed notes: the form in which a checksum database publishes its tree head (golang.org/x/mod/sumdb/note).
// A note is text that ends in a newline, an empty line, and signature lines `— name base64(hash ‖ signature)`.

import { createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import { LarderError } from '../../engine/errors.ts';

/** A public key as it stands in GOSUMDB: `name+hash+base64(algorithm ‖ key)`. */
export interface VerifierKey {
  readonly name: string;
  /** First 32 bits of SHA-256 over name, newline, and the encoded key. */
  readonly hash: number;
  readonly key: KeyObject;
}

const ED25519 = 1;
const MAX_SIGNATURES = 100;
const SIGNATURE = /^— ([^\p{White_Space}+]+) (\S+)$/u;
const NOT_IN_A_NAME = /[\p{White_Space}+]/u;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
// eslint-disable-next-line no-control-regex -- notes and records forbid exactly these
const CONTROL = /[\0-\x09\x0b-\x1f]/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Standard base64 with its padding, or undefined. */
export function decodeBase64(text: string): Buffer | undefined {
  return BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
}

/** UTF-8 text without control characters other than newlines, or undefined. */
export function decodeText(bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return undefined;
  }
  return CONTROL.test(text) ? undefined : text;
}

/** Throws LarderError `invalid` with what is wrong with the key. */
export function parseVerifierKey(text: string): VerifierKey {
  const malformed = (why: string) =>
    new LarderError(
      'invalid',
      `"${text}" is no checksum database key (${why}): right is name+hash+key, with 8 hex digits and base64.`,
    );
  const [name = '', hex = '', ...rest] = text.split('+');
  const encoded = decodeBase64(rest.join('+')); // base64 has pluses of its own
  if (name === '' || NOT_IN_A_NAME.test(name)) throw malformed('no name');
  if (!/^[0-9a-fA-F]{8}$/.test(hex)) throw malformed('its hash is not 8 hex digits');
  if (encoded === undefined || encoded.length === 0) throw malformed('its key is not base64');
  const id = keyHash(name, encoded);
  if (id !== Number.parseInt(hex, 16)) throw malformed('its hash does not fit its name and key');
  if (encoded[0] !== ED25519) throw malformed('its algorithm is not Ed25519');
  if (encoded.length !== 33) throw malformed('an Ed25519 key has 32 bytes');
  const x = encoded.subarray(1).toString('base64url');
  return {
    name,
    hash: id,
    key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }),
  };
}

function keyHash(name: string, encoded: Uint8Array): number {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), encoded]);
  return hash('sha256', bytes, 'buffer').readUInt32BE(0);
}

interface Signature {
  readonly name: string;
  readonly hash: number;
  readonly bytes: Uint8Array;
}

/**
 * The text of a note that `key` has signed. Signatures by other keys are ignored.
 * Throws LarderError `bad_content` when it is no note, `checksum_mismatch` when `key` has not signed it.
 */
export function openNote(note: string, key: VerifierKey): string {
  const end = note.lastIndexOf('\n\n');
  const signatures =
    end < 0 || CONTROL.test(note) ? undefined : parseSignatures(note.slice(end + 2));
  if (!signatures) {
    throw new LarderError(
      'bad_content',
      `The checksum database ${key.name} answered with something that is no signed tree head.`,
    );
  }
  const text = note.slice(0, end + 1);
  const ours = signatures.find(({ name, hash: id }) => name === key.name && id === key.hash);
  if (ours && verify(null, Buffer.from(text), key.key, ours.bytes)) return text;
  throw new LarderError(
    'checksum_mismatch',
    `checksum mismatch: security error: a tree head of the checksum database ${key.name} ` +
      (ours ? 'has a wrong signature.' : 'is not signed by its key.'),
  );
}

/** Undefined unless every line is a signature, and there are some but not too many. */
function parseSignatures(block: string): Signature[] | undefined {
  const lines = block.split('\n');
  if (lines.pop() !== '' || lines.length === 0 || lines.length > MAX_SIGNATURES) return undefined;
  const signatures: Signature[] = [];
  for (const line of lines) {
    const [, name = '', base64 = ''] = SIGNATURE.exec(line) ?? [];
    const bytes = decodeBase64(base64);
    if (bytes === undefined || bytes.length < 5) return undefined;
    signatures.push({ name, hash: bytes.readUInt32BE(0), bytes: bytes.subarray(4) });
  }
  return signatures;
}
