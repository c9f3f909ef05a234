// What must hold of the modules in the store: each file is what its name and record say, a version is of one source, and
// what tells of them is as it was written.

import { createHash, hash } from 'node:crypto';
import { decodeAnswer } from '../engine/answers.ts';
import { LarderError } from '../engine/errors.ts';
import type { ContentRecord, Store, StoredContent } from '../engine/ports.ts';
import { unsealBytes } from '../engine/seal.ts';
import { SpoolFile } from '../engine/spool-file.ts';
import {
  documentsBelow,
  type DocumentItem,
  type Verifiable,
  type VerifyItem,
} from '../engine/verify-plan.ts';
import { readAll } from '../http/download.ts';
import { hasModuleLine } from './go-mod.ts';
import { isEntry } from './index-feed.ts';
import { parseInfo } from './info.ts';
import { isMade } from './made-versions.ts';
import { keyOf, type GoFileName } from './names.ts';
import type { StoredFile } from './stored-files.ts';
import { goModHash } from './sumdb/check.ts';
import { treeLines, treeListKey, type TreeList } from './tree-list.ts';
import { modules } from './walk.ts';
import type { ZipChecker } from './zip-checker.ts';

/** Of a zip in memory; a larger one is checked from a file. Bytes. */
const IN_MEMORY = 1024 * 1024;
/** The largest .info or .mod that is kept, bytes. */
const MAX_TEXT = 16 * 1024 * 1024;

export interface GoVerifyParts {
  readonly store: Store;
  readonly treeList: TreeList;
  readonly zips: Pick<ZipChecker, 'check'>;
  /** Folder for a zip that is checked. */
  readonly spoolDir: string;
}

export function goVerifiable(parts: GoVerifyParts): Verifiable {
  const { store } = parts;
  /** One large zip after another, so that those of fills find a thread. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn: InTurn = (run) => {
    const done = turn.then(run);
    turn = done.catch(() => undefined);
    return done;
  };
  return {
    contents: { items: () => files(parts, inTurn) },
    documents: [
      { items: () => documentsBelow(store, 'answers/go', isAnswer) },
      { items: () => documentsBelow(store, 'answers/index', isIndexEntry) },
      { items: () => documentsBelow(store, 'answers/sumdb', isProved) },
    ],
    owners: [{ items: () => lateLists(store) }],
  };
}

type InTurn = <T>(run: () => Promise<T>) => Promise<T>;

async function* files(parts: GoVerifyParts, inTurn: InTurn): AsyncGenerator<VerifyItem> {
  for await (const { module, files } of modules(parts.store)) {
    // before any of them is found wrong and taken out of it
    yield treeList(parts, module);
    for (const file of files) {
      yield {
        kind: 'content',
        key: file.key,
        name: () => Promise.resolve(`go:${module}@${file.name.version}`),
        check: (stored, signal) => check(parts, file, stored, inTurn, signal),
        removed: () => parts.treeList.write(module),
      };
    }
  }
}

async function check(
  parts: GoVerifyParts,
  { name }: StoredFile,
  { record, body }: StoredContent,
  inTurn: InTurn,
  signal: AbortSignal,
): Promise<void> {
  if (name.ext === 'zip' && body.bytes === undefined && record.size > IN_MEMORY) {
    await inTurn(() => checkLargeZip(parts, name, { record, body }, signal));
    return;
  }
  const bytes = body.bytes ?? (await readAll(body.read(0, undefined, signal), MAX_TEXT));
  mustBe(record, bytes.length, hash('sha256', bytes));
  if (name.ext === 'zip') await checkZip(parts, name, { bytes }, record, signal);
  else if (name.ext === 'info') checkInfo(name, bytes);
  else checkMod(bytes, record);
}

function mustBe({ size, sha256 }: ContentRecord, length: number, found: string): void {
  if (size !== length || sha256 !== found) wrong('its bytes are not those that were stored');
}

function checkInfo(name: GoFileName, bytes: Uint8Array): void {
  if (parseInfo(bytes).version !== name.version) wrong('it is of another version');
}

function checkMod(bytes: Uint8Array, { extra }: ContentRecord): void {
  if (!hasModuleLine(Buffer.from(bytes).toString())) wrong('it has no module line');
  const { h1 } = extra;
  if (h1 !== undefined && h1 !== goModHash(bytes)) wrong('its hash is not the one in its record');
}

async function checkLargeZip(
  parts: GoVerifyParts,
  name: GoFileName,
  { record, body }: StoredContent,
  signal: AbortSignal,
): Promise<void> {
  const spool = await SpoolFile.create(parts.spoolDir);
  try {
    const sha256 = createHash('sha256');
    for await (const chunk of body.read(0, undefined, signal)) {
      sha256.update(chunk);
      await spool.append([chunk]);
    }
    mustBe(record, spool.written, sha256.digest('hex'));
    await checkZip(parts, name, { path: spool.path }, record, signal);
  } finally {
    await spool.unlink();
    spool.close();
  }
}

async function checkZip(
  { store, zips }: GoVerifyParts,
  name: GoFileName,
  source: { readonly bytes: Uint8Array } | { readonly path: string },
  { size, extra }: ContentRecord,
  signal: AbortSignal,
): Promise<void> {
  const { module, version } = name;
  const { h1, goModSha256 } = await zips.check({ source, size, module, version }, signal);
  if (extra['h1'] !== undefined && extra['h1'] !== h1)
    wrong('its hash is not the one in its record');
  if (extra['goMod'] !== goModSha256) wrong('its go.mod is not the one in its record');
  const mod = await store.record(keyOf({ ...name, ext: 'mod' }));
  if (goModSha256 !== undefined && mod !== undefined && mod.sha256 !== goModSha256)
    wrong('its go.mod differs from the .mod of its version');
}

function wrong(why: string): never {
  throw new LarderError('bad_content', why);
}

/** The list of versions as a GOPROXY tree has it. One that names a version which is not there, or one twice, is wrong. */
function treeList({ store, treeList }: GoVerifyParts, module: string): DocumentItem {
  return {
    kind: 'document',
    key: treeListKey(module),
    async isSound(bytes) {
      const there = Buffer.from(bytes)
        .toString()
        .split(/(?<=\n)/);
      const lines = new Set(await treeLines(store, module));
      return there.every((line) => lines.delete(line));
    },
    rewrite: () => treeList.write(module),
  };
}

/** Those that lack a version. */
async function* lateLists(store: Store): AsyncGenerator<VerifyItem> {
  for await (const { module } of modules(store)) {
    const key = treeListKey(module);
    yield {
      kind: 'owner',
      key,
      async *missing() {
        const there = await store.readDocument(key);
        const lines = await treeLines(store, module);
        const bytes = Buffer.from(lines.join(''));
        if (lines.length === 0 || (there !== undefined && bytes.equals(there))) return;
        const stays = async () => (await treeLines(store, module)).length > 0;
        yield { key, bytes, isEdge: false, stays };
      },
    };
  }
}

const isAnswer = (bytes: Uint8Array, key: string): boolean =>
  key.endsWith('.made') ? isMade(bytes) : decodeAnswer(bytes) !== undefined;

const isIndexEntry = (line: Uint8Array, key: string): boolean =>
  isEntry(key.slice(key.lastIndexOf('/') + 1), line);

const isProved = (bytes: Uint8Array): boolean => unsealBytes(bytes) !== undefined;
