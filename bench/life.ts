// What it costs to look after a large store of files: `larder verify` over 100,000 pieces of content, sound ones, then with a
// bit flipped in one of a hundred, then with no edges left; collections of it, with nothing to take, of a thousand images and of all others; a
// purge of one image of 100 layers among 14,000. And what references cost when a manifest is stored, in calls of the store.

import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Answers } from '../src/engine/answers.ts';
import { parseDigest } from '../src/oci/digest.ts';
import { Links } from '../src/oci/links.ts';
import { parseManifest } from '../src/oci/manifest.ts';
import { childrenOf } from '../src/oci/repository-view.ts';
import { FileStore } from '../src/storage/file.ts';
import { keepImage, keepModule, seeded, type Kept } from '../test/support/filled-store.ts';
import { imageManifest } from '../test/support/images.ts';
import { count, fixed, mebibytes, progress, table } from './support/figures.ts';
import { timeVerb } from './support/verb.ts';

const MODULES = 2500;
const VERSIONS = 4;
const IMAGES = 14_000;
const LAYERS = 4;
/** Images that a collection is to take. */
const ORPHANS = 1000;
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
    const { result: said, seconds, peakBytes } = await larder(dir, ['verify', ...args]);
    const result = said as Verified;
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
  const verified = table(
    ['larder verify', 'checked', 'seconds', 'a second', 'wrong', 'edges restored', 'memory'],
    rows,
  );
  return [verified, await purgeAndCollect(dir, store), await storeCalls(store)].join('\n\n');
}

async function purgeAndCollect(dir: string, store: FileStore): Promise<string> {
  const rows: string[][] = [];
  const measure = async (what: string, ...args: string[]) => {
    progress(what);
    const { result, seconds, peakBytes } = await larder(dir, args);
    const { count: collected, freedBytes, purged } = result as Freed;
    const names = collected ?? purged?.length ?? 0;
    const rate = names > 1000 ? count(names / seconds) : '';
    rows.push([
      what,
      count(names),
      mebibytes(freedBytes),
      fixed(seconds, 2),
      rate,
      mebibytes(peakBytes),
    ]);
  };
  const repository = { upstream: { name: 'registry.test' }, path: 'team/large' };
  const layers = Array.from({ length: 100 }, (_, n) => `layer ${String(n)} `.repeat(LAYER / 10));
  await keepImage(store, repository, 'v1', layers);
  await measure('purge of an image of 100 layers', 'purge', 'oci:registry.test/team/large:v1');
  await measure('the same, not there', 'purge', 'oci:registry.test/team/large:v1');
  await measure('collection, nothing to take', 'collect');
  // all of them name the same config, which is not looked through for each
  const untag = async (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      const tags = `oci/repos/registry.test/team/app${String(i)}/_tags`;
      await rm(path.join(dir, tags), { recursive: true });
    }
  };
  await untag(0, ORPHANS);
  await measure(`collection, ${count(ORPHANS)} images without a tag`, 'collect');
  await untag(ORPHANS, IMAGES);
  await measure(`collection, all others without a tag`, 'collect');
  return table(['the command line', 'names', 'freed', 'seconds', 'names a second', 'memory'], rows);
}

interface Freed {
  readonly count?: number;
  readonly purged?: readonly string[];
  readonly freedBytes: number;
}

/** An image of ten layers as its manifest and blobs come in by a tag: what of the calls is for links and edges. */
async function storeCalls(files: FileStore): Promise<string> {
  const repository = { upstream: { name: 'registry.test' }, path: 'team/counted' };
  const layers = Array.from({ length: 10 }, (_, n) => `counted ${String(n)}`);
  const made = imageManifest({ layers });
  const rows: string[][] = [];
  const { store, calls } = counted(files);
  const failed = ({ error }: { error: unknown }) => {
    throw new Error('a link was not written', { cause: error });
  };
  const listener = { storeFailed: failed };
  const links = new Links({ store, answers: new Answers(store), listener });
  const measure = async (what: string, run: () => void) => {
    calls.length = 0;
    run();
    await links.settled();
    const of = (kind: RegExp) => count(calls.filter((call) => kind.test(call)).length);
    const kinds = [/^writeDocument .*_links/, /^writeDocument oci\/references/];
    rows.push([what, ...[...kinds, /^(readDocument|record|open) /, /^list /].map(of)]);
  };
  const digestOf = (text: string) => {
    const digest = parseDigest(text);
    if (digest === undefined) throw new Error(`${text} is no digest`);
    return digest;
  };
  const manifest = digestOf(made.digest);
  await measure('the manifest, by its tag', () => {
    links.tagged(repository, manifest, 'v1');
    const { bytes, mediaType } = made;
    links.filled(repository, manifest, childrenOf(parseManifest(bytes, mediaType)));
  });
  await measure('its config and ten layers', () => {
    for (const { digest } of [made.config, ...made.layers])
      links.filled(repository, digestOf(digest), undefined);
  });
  await measure('all of it again', () => {
    links.tagged(repository, manifest, 'v1');
    links.read(repository, manifest);
  });
  return table(['calls of the store', 'links', 'edges', 'reads', 'lists'], rows);
}

/** The same store, which writes down what it is asked for, as `operation key`. */
function counted(files: FileStore): { readonly store: FileStore; readonly calls: string[] } {
  const calls: string[] = [];
  const store = new Proxy(files, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        calls.push(`${String(name)} ${String(args[0])}`);
        return Reflect.apply(member, target, args);
      };
    },
  });
  return { store, calls };
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

/** Runs a verb on the store to its end. */
const larder = (dir: string, args: readonly string[]) =>
  timeVerb(args, {
    LARDER_STORAGE_DIR: dir,
    LARDER_GO_UPSTREAM: 'off',
    LARDER_GO_SUMDB: 'off',
    LARDER_ORPHAN_GRACE: '0s',
    LARDER_LOG_LEVEL: 'silent',
  });
