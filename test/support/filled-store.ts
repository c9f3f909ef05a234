// A store with modules and images in it as the program stores them, of as many things as a test or a benchmark wants.

import { confirmed } from '../../src/engine/answers.ts';
import type { ContentRecord, Store } from '../../src/engine/ports.ts';
import { edgeDocument, edgeKey, linkDocument, repositoryHash } from '../../src/oci/edges.ts';
import type { Owner } from '../../src/oci/edges.ts';
import { parseDigest, type Digest } from '../../src/oci/digest.ts';
import { contentKey, linkKey, tagKey } from '../../src/oci/keys.ts';
import { Answers } from '../../src/engine/answers.ts';
import { keyOf, type FileExtension } from '../../src/go/names.ts';
import { goModHash } from '../../src/go/sumdb/check.ts';
import { TreeList } from '../../src/go/tree-list.ts';
import type { RepositoryName } from '../../src/oci/upstreams.ts';
import { hash } from 'node:crypto';
import { imageManifest } from './images.ts';
import { moduleVersion } from './modules.ts';

const time = '2026-01-02T03:04:05.000Z';

/** Content with what a flipped bit in it is to be called. */
export interface Kept {
  readonly key: string;
  readonly name: string;
}

/** Puts a module with this many versions in; of three pieces of content each. */
export async function keepModule(
  store: Store,
  module: string,
  versions: number,
  noise = 0,
): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (let i = 0; i < versions; i++) {
    const version = `v1.${String(i)}.0`;
    const made = moduleVersion(module, version, noise > 0 ? { noise } : {});
    const [, zipH1 = ''] = /^\S+ \S+ (h1:\S+)/.exec(made.sums) ?? [];
    const mod = made.mod.bytes();
    const extras: Record<FileExtension, Record<string, string>> = {
      info: {},
      mod: { h1: goModHash(mod) },
      zip: { h1: zipH1, goMod: hash('sha256', mod) },
    };
    for (const ext of ['info', 'mod', 'zip'] as const) {
      const key = keyOf({ kind: 'file', module, version, ext });
      await stash(store, key, made[ext].bytes(), extras[ext]);
      kept.push({ key, name: `go:${module}@${version}` });
    }
  }
  await new TreeList(store).write(module);
  return kept;
}

/** Puts a tagged image in, with a config, layers and edges. */
export async function keepImage(
  store: Store,
  repository: RepositoryName,
  tag: string,
  layers: readonly string[],
): Promise<Kept[]> {
  const image = imageManifest({ layers: [...layers] });
  const hashOf = repositoryHash(repository);
  const own = async (digest: Digest, owner: Owner) => {
    await store.writeDocument(linkKey(repository, digest), linkDocument(new Date(time)));
    await store.writeDocument(
      edgeKey(digest, hashOf, owner),
      edgeDocument(repository, new Date(time)),
    );
  };
  const nameOf = (text: string) => `oci:${repository.upstream.name}/${repository.path}@${text}`;
  const manifest = digestOf(image.digest);
  const kept: Kept[] = [{ key: contentKey(manifest), name: nameOf(image.digest) }];
  await stash(store, contentKey(manifest), image.bytes, { mediaType: image.mediaType });
  for (const { digest, body } of [image.config, ...image.layers]) {
    const child = digestOf(digest);
    await stash(store, contentKey(child), body.bytes(), {});
    await own(child, { kind: 'manifest', digest: manifest });
    // all images of these tests share one config
    if (digest !== image.config.digest) kept.push({ key: contentKey(child), name: nameOf(digest) });
  }
  await own(manifest, { kind: 'tag', tag });
  const bytes = Buffer.from(JSON.stringify({ digest: image.digest, mediaType: image.mediaType }));
  const answer = confirmed({ bytes, source: 'http://upstream.test' }, undefined, Date.parse(time));
  await new Answers(store).keep(tagKey(repository, tag), answer);
  return kept;
}

const digestOf = (text: string): Digest => {
  const digest = parseDigest(text);
  if (digest === undefined) throw new Error(`${text} is no digest`);
  return digest;
};

async function stash(
  store: Store,
  key: string,
  bytes: Uint8Array,
  extra: Record<string, string>,
): Promise<void> {
  const record: ContentRecord = {
    size: bytes.length,
    sha256: hash('sha256', bytes),
    time,
    source: 'http://upstream.test',
    extra,
  };
  await store.stash(key, { bytes }, record);
}

/** Numbers from 0 to 1, always the same for one seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
