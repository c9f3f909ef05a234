import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeText, openNote, parseVerifierKey } from '../../../src/go/sumdb/note.ts';
import { newSigner } from '../../support/sumdb-log.ts';

const ours = newSigner('sum.example.com');
const other = newSigner('witness.example.com');
const TEXT = 'a tree\n\nwith an empty line\n';

/** The code of the error that `run` throws. */
const codeOf = (run: () => unknown): unknown => {
  try {
    return run();
  } catch (error) {
    return (error as { code: unknown }).code;
  }
};

describe('parseVerifierKey', () => {
  test('knows the public key of sum.golang.org', () => {
    const key = parseVerifierKey(
      'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8',
    );
    expect(key.name).toBe('sum.golang.org');
    expect(key.hash).toBe(0x033de0ae);
    expect(key.key.asymmetricKeyType).toBe('ed25519');
  });

  const [name = '', hex = '', ...rest] = ours.vkey.split('+');
  const base64 = rest.join('+');
  test.each([
    ['', /no name/],
    ['sum.example.com', /8 hex digits/],
    [`+${hex}+${base64}`, /no name/],
    [`sum example.com+${hex}+${base64}`, /no name/],
    [`${name}+${hex.slice(1)}+${base64}`, /8 hex digits/],
    [`${name}+0x${hex.slice(2)}+${base64}`, /8 hex digits/],
    [`${name}+${hex}+`, /not base64/],
    [`${name}+${hex}+${base64}=`, /not base64/],
    [`${name}+${hex}`, /not base64/],
    [`other.example.com+${hex}+${base64}`, /does not fit/],
    [`${name}+00000000+${base64}`, /does not fit/],
    [keyOf(name, Buffer.concat([Buffer.of(2), Buffer.alloc(32)])), /not Ed25519/],
    [keyOf(name, Buffer.concat([Buffer.of(1), Buffer.alloc(31)])), /32 bytes/],
  ])('refuses %j', (text, why) => {
    expect(() => parseVerifierKey(text)).toThrow(why);
    expect(codeOf(() => parseVerifierKey(text))).toBe('invalid');
  });
});

function keyOf(name: string, encoded: Buffer): string {
  const hash = createHash('sha256').update(`${name}\n`).update(encoded).digest('hex');
  return `${name}+${hash.slice(0, 8)}+${encoded.toString('base64')}`;
}

describe('openNote', () => {
  test('gives the text, up to the last empty line', () => {
    expect(openNote(ours.note(TEXT), ours.verifier)).toBe(TEXT);
  });

  test('ignores signatures by other keys, before and after', () => {
    const unknown = `— other.example.com ${Buffer.from('12345').toString('base64')}\n`;
    const note = `${TEXT}\n${other.line(TEXT)}${unknown}${ours.line(TEXT)}${other.line('another')}`;
    expect(openNote(note, ours.verifier)).toBe(TEXT);
  });

  test('takes 100 signatures and no more', () => {
    expect(openNote(ours.note(TEXT) + other.line(TEXT).repeat(99), ours.verifier)).toBe(TEXT);
    const tooMany = ours.note(TEXT) + other.line(TEXT).repeat(100);
    expect(codeOf(() => openNote(tooMany, ours.verifier))).toBe('bad_content');
  });

  const signature = ours.line(TEXT);
  const impostor = newSigner('sum.example.com').line(TEXT);
  test.each([
    ['a changed text', `${TEXT.replace('tree', 'trie')}\n${signature}`],
    ['only a signature by another key', other.note(TEXT)],
    ['a key of the same name', `${TEXT}\n${impostor}`],
    ['a wrong signature before a right one', `${TEXT}\n${ours.line('else\n')}${signature}`],
  ])('refuses %s as forged', (_, note) => {
    expect(() => openNote(note, ours.verifier)).toThrow(/^checksum mismatch: security error/);
    expect(codeOf(() => openNote(note, ours.verifier))).toBe('checksum_mismatch');
  });

  test.each([
    ['nothing', ''],
    ['HTML', '<html>\n\n</html>\n'],
    ['no signature', `${TEXT}\n`],
    ['no empty line before the signature', `tree\n${signature}`],
    ['no newline at the end', `${TEXT}\n${signature.trimEnd()}`],
    ['a hyphen for the dash', `${TEXT}\n${signature.replace('—', '-')}`],
    ['a signature that is no base64', `${TEXT}\n— sum.example.com !!!!\n`],
    ['a signature that is too short', `${TEXT}\n— sum.example.com AAAA\n`],
    ['a signature without a name', `${TEXT}\n— ${signature.split(' ')[2] ?? ''}`],
    ['a control character', ours.note('a\ttree\n')],
  ])('refuses %s as malformed', (_, note) => {
    expect(codeOf(() => openNote(note, ours.verifier))).toBe('bad_content');
  });
});

test('decodeText takes UTF-8 alone, keeps a byte order mark, and refuses control characters', () => {
  expect(decodeText(Buffer.from('\uFEFFä\n'))).toBe('\uFEFFä\n');
  expect(decodeText(Buffer.of(0xff))).toBeUndefined();
  expect(decodeText(Buffer.from('a\r\n'))).toBeUndefined();
  expect(decodeText(Buffer.from('a\0'))).toBeUndefined();
});
