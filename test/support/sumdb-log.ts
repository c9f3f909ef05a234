// A checksum database in memory, whose hashes are computed by RFC 6962's own recursion and not by the code under test.

import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { LarderError } from '../../src/engine/errors.ts';
import { parseVerifierKey, type VerifierKey } from '../../src/go/sumdb/note.ts';
import { parseTilePath, type Tile } from '../../src/go/sumdb/tile.ts';
import type { SumdbAnswer, SumdbSource } from '../../src/go/sumdb/tile-source.ts';

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

export interface Signer {
  readonly name: string;
  readonly vkey: string;
  readonly verifier: VerifierKey;
  /** A note over a text, which ends in a newline. */
  note(text: string): string;
  /** The signature line alone. */
  line(text: string): string;
}

export function newSigner(name: string): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const encoded = Buffer.concat([Buffer.of(1), rawKey(publicKey)]);
  const id = sha256(`${name}\n`, encoded).subarray(0, 4);
  const vkey = `${name}+${id.toString('hex')}+${encoded.toString('base64')}`;
  const line = (text: string) => {
    const signature = sign(null, Buffer.from(text), privateKey);
    return `— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
  };
  return { name, vkey, verifier: parseVerifierKey(vkey), line, note: (t) => `${t}\n${line(t)}` };
}

const rawKey = (key: KeyObject): Buffer =>
  Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');

const memo = new WeakMap<readonly string[], Map<string, Buffer>>();

/** The root over records [start, end), by the definition. Results are remembered: records may be added, not changed. */
export function directHash(records: readonly string[], start = 0, end = records.length): Buffer {
  if (end === start) return sha256('');
  if (end === start + 1) return sha256(Buffer.of(0), records[start] ?? '');
  const known = memo.get(records) ?? new Map<string, Buffer>();
  memo.set(records, known);
  const range = `${String(start)}-${String(end)}`;
  let hash = known.get(range);
  if (hash) return hash;
  let split = 1;
  while (2 * split < end - start) split *= 2;
  const left = directHash(records, start, start + split);
  hash = sha256(Buffer.of(1), left, directHash(records, start + split, end));
  known.set(range, hash);
  return hash;
}

/** The bytes of a tile, by the definition. */
export function directTile(records: readonly string[], { level, index, width }: Tile): Buffer {
  if (level === 'data') {
    const texts = records.slice(256 * index, 256 * index + width);
    return Buffer.from(texts.map((text) => `${text}\n`).join(''));
  }
  const span = 256 ** level;
  const hashes = Array.from({ length: width }, (_, i) => {
    const start = (256 * index + i) * span;
    return directHash(records, start, start + span);
  });
  return Buffer.concat(hashes);
}

export const recordText = (module: string, version: string, sum = 'h1:zip'): string =>
  `${module} ${version} ${sum}\n${module} ${version}/go.mod h1:mod\n`;

/** Records of `example.com/m<n>` in version v1.0.0. */
export const someRecords = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => recordText(`example.com/m${String(i)}`, 'v1.0.0'));

/** A database that can be asked as a source, with a log of what was asked and of what it was told to keep. */
export class MemorySumdb implements SumdbSource {
  readonly signer: Signer;
  records: string[];
  readonly asked: string[] = [];
  readonly kept = new Map<string, Uint8Array>();
  /** Partial tiles that were to be kept. */
  readonly edge: string[] = [];
  /** Replaces or breaks answers. Returns undefined to leave one as it is. */
  tamper: (path: string, bytes: Uint8Array) => Uint8Array | undefined = () => undefined;
  /** Awaited before every answer. */
  gate: (path: string, signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  /** Tree size of the heads in lookups; the newest by default. */
  headSize: number | undefined;

  constructor(signer: Signer, records: string[]) {
    this.signer = signer;
    this.records = records;
  }

  head(size = this.headSize ?? this.records.length): string {
    const root = directHash(this.records, 0, size).toString('base64');
    return this.signer.note(`go.sum database tree\n${String(size)}\n${root}\n`);
  }

  async read(path: string, signal: AbortSignal): Promise<SumdbAnswer> {
    this.asked.push(path);
    await this.gate(path, signal);
    signal.throwIfAborted();
    const bytes = this.#answer(path);
    if (!bytes) throw new LarderError('not_found', `No ${path} here.`);
    return { bytes: this.tamper(path, bytes) ?? bytes, kept: false };
  }

  keep(path: string, bytes: Uint8Array): void {
    if (path.includes('.p/')) {
      this.edge.push(path);
      return;
    }
    if (this.kept.has(path)) throw new Error(`${path} was to be kept twice`);
    this.kept.set(path, bytes);
  }

  #answer(path: string): Uint8Array | undefined {
    if (path === '/latest') return Buffer.from(this.head());
    const tile = parseTilePath(path.slice(1));
    if (tile) {
      const span = tile.level === 'data' ? 1 : 256 ** tile.level;
      const there = (256 * tile.index + tile.width) * span <= this.records.length;
      return there ? directTile(this.records, tile) : undefined;
    }
    const [module = '', version = ''] = path.replace('/lookup/', '').split('@');
    const id = this.records.findIndex((text) => text.startsWith(`${module} ${version} `));
    return id < 0
      ? undefined
      : Buffer.from(`${String(id)}\n${this.records[id] ?? ''}\n${this.head()}`);
  }
}

/** A place for the newest head. */
export class MemoryHead {
  text: string | undefined;
  readonly saved: string[] = [];

  constructor(text?: string) {
    this.text = text;
  }

  load(): Promise<string | undefined> {
    return Promise.resolve(this.text);
  }

  save(text: string): void {
    this.text = text;
    this.saved.push(text);
  }
}
