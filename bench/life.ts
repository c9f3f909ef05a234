// What it costs to look after a large store: `larder verify` over 100,000 pieces of content on files, sound ones, then with a
// bit flipped in one of a hundred, then with no edges left.

import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { FileStore } from '../src/storage/file.ts';
import { keepImage, keepModule, seeded, type Kept } from '../test/support/filled-store.ts';
import { count, fixed, mebibytes, progress, table } from './support/figures.ts';
import { timeVerb } from './support/verb.ts';

const MODULES = 2500;
const VERSIONS = 4;
const IMAGES = 14_000;
const LAYERS = 4;
/** Bytes of each of them. */
const LAYER = 20_000;

interface Verified {
  readonly checked: number;
  readonly corrupt: readonly string[];
  readonly repaired: number;
  readonly edgesRestored: number;
}

/** `dir`: an empty folder. Resolves to Markdown. */
export async function benchLife(dir: string): Promise<string> {
  progress('filling a store');
  const store = new FileStore(dir, (key, error) => {
    throw new Error(`${key} was not synced`, { cause: error });
  });
  await store.sweep();
  const kept = await fill(store);
  const rows: string[][] = [];
  const measure = async (what: string, ...args: string[]): Promise<Verified> => {
    progress(what);
    const timed = await timeVerb(['verify', ...args], {
      LARDER_STORAGE_DIR: dir,
      LARDER_GO_UPSTREAM: 'off',
      LARDER_GO_SUMDB: 'off',
    });
    const { seconds, peakBytes } = timed;
    const result = timed.result as Verified;
    const { checked, corrupt, edgesRestored } = result;
    rows.push([
      what,
      count(checked),
      fixed(seconds, 1),
      count(checked / seconds),
      count(corrupt.length),
      count(edgesRestored),
      mebibytes(peakBytes),
    ]);
    return result;
  };
  await measure(`${count(kept.length)} pieces of content`);
  const flipped = flipSome(dir, kept);
  const found = await measure('one of a hundred wrong, repaired', '--repair');
  const names = new Set(flipped.map(({ name }) => name));
  const asExpected = found.corrupt.filter((name) => names.has(name)).length;
  if (asExpected !== names.size || found.corrupt.length !== names.size)
    throw new Error(
      `${String(names.size)} are wrong, and ${String(found.corrupt.length)} were found, ${String(asExpected)} of these`,
    );
  await rm(path.join(dir, 'oci/references'), { recursive: true });
  await measure('no edges left, restored', '--repair');
  return table(
    ['larder verify', 'checked', 'seconds', 'a second', 'wrong', 'edges restored', 'memory'],
    rows,
  );
}

async function fill(store: FileStore): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (let i = 0; i < MODULES; i++)
    kept.push(...(await keepModule(store, `example.com/m${String(i)}`, VERSIONS)));
  for (let i = 0; i < IMAGES; i++) {
    const repository = { upstream: { name: 'registry.test' }, path: `team/app${String(i)}` };
    const layers = Array.from({ length: LAYERS }, (_, n) =>
      `${String(i)}-${String(n)} `.repeat(LAYER / 10),
    );
    kept.push(...(await keepImage(store, repository, 'v1', layers)));
  }
  await store.writeDocument('format.json', Buffer.from('{"format":1}\n'));
  return kept;
}

function flipSome(dir: string, kept: readonly Kept[]): Kept[] {
  const random = seeded(1);
  const chosen = kept.filter(() => random() < 0.01);
  for (const { key } of chosen) {
    const file = path.join(dir, key);
    const bytes = readFileSync(file);
    const bit = Math.floor(random() * bytes.length * 8);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    writeFileSync(file, bytes);
  }
  return chosen;
}
