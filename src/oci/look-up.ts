// What a registry has under a tag or digest, for whoever wants to know and not to keep it.

import { createHash } from 'node:crypto';
import { LarderError } from '../engine/errors.ts';
import { readAll } from '../http/download.ts';
import { digestText, parseDigest, type Digest, type DigestAlgorithm } from './digest.ts';
import type { RegistryFetcher } from './fetch-registry.ts';
import { MAX_MANIFEST, parseManifest, type Manifest } from './manifest.ts';
import { RefusalError } from './refusals.ts';

export interface Found {
  readonly digest: string;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
}

/** What holds it. */
export interface Place {
  readonly fetcher: RegistryFetcher;
  /** Of the repository, as the registry calls it. */
  readonly path: string;
}

/**
 * By HEAD, and by GET where that does not tell all. `reference`: a tag or a digest. Undefined for what is not there or may not
 * be read: 401, 403 and 404 are no two things to tell apart. Throws as the fetcher does for all else, and LarderError
 * `bad_content`, `checksum_mismatch`.
 */
export function lookUp(
  { fetcher, path }: Place,
  reference: string,
  signal: AbortSignal,
): Promise<Found | undefined> {
  return ifThere(async () => {
    const head = await fetcher.headManifest(path, reference, signal);
    const asked = parseDigest(reference);
    const digest = head.digest ?? (asked && digestText(asked));
    const mediaType = head.contentType?.split(';', 1)[0]?.trim().toLowerCase();
    if (digest === undefined || !mediaType || head.size === undefined) {
      const read = await readManifest({ fetcher, path }, reference, signal);
      const { size, manifest } = read;
      return { digest: digestText(read.digest), mediaType: manifest.mediaType, size };
    }
    if (parseDigest(digest) === undefined)
      throw new LarderError('bad_content', 'the registry gives a tag a digest that is none');
    if (asked && digest !== reference) throw otherBytes();
    return { digest, mediaType, size: head.size };
  });
}

export interface ReadManifest {
  readonly manifest: Manifest;
  /** Of the very bytes. */
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/** Throws as the fetcher does, and LarderError `bad_content` for what is no manifest, `checksum_mismatch`. */
export async function readManifest(
  { fetcher, path }: Place,
  reference: string,
  signal: AbortSignal,
): Promise<ReadManifest> {
  const { body, contentType } = await fetcher.manifest(path, reference, signal);
  const bytes = await readAll(body, MAX_MANIFEST);
  const asked = parseDigest(reference);
  const digest = digestOfBytes(bytes, asked?.algorithm ?? 'sha256');
  if (asked && digest.hex !== asked.hex) throw otherBytes();
  return { manifest: parseManifest(bytes, contentType), digest, size: bytes.length };
}

/** A blob that is small, such as a config. Throws as `readManifest` does. */
export async function readBlob(
  { fetcher, path }: Place,
  digest: Digest,
  signal: AbortSignal,
): Promise<Buffer> {
  const { body } = await fetcher.blob(path, digestText(digest), signal);
  const bytes = await readAll(body, MAX_MANIFEST);
  if (digestOfBytes(bytes, digest.algorithm).hex !== digest.hex) throw otherBytes();
  return bytes;
}

/** Undefined where a registry says that it is not there, or not for us; a Larder that refuses by itself knows nothing of that. */
export async function ifThere<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    const code = error instanceof LarderError ? error.code : undefined;
    const isGone =
      code === 'not_found' || code === 'upstream_unauthorized' || code === 'upstream_forbidden';
    if (isGone && !(error instanceof RefusalError && error.byLarder)) return undefined;
    throw error;
  }
}

const digestOfBytes = (bytes: Uint8Array, algorithm: DigestAlgorithm): Digest => ({
  algorithm,
  hex: createHash(algorithm).update(bytes).digest('hex'),
});

const otherBytes = (): LarderError =>
  new LarderError('checksum_mismatch', 'the registry gives other bytes than this digest has');
