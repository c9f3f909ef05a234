// An image that needs no registry to have it: blobs whose bytes follow from a number, and a manifest of the usual size.

import { createCipheriv, createHash } from 'node:crypto';

/** A blob of whole mebibytes that is made while it is sent. */
export interface MadeBlob {
  readonly digest: string;
  /** Of 0–255. Blobs of different numbers differ from their first byte on. */
  readonly seed: number;
  /** Bytes. */
  readonly size: number;
}

export interface Image {
  readonly manifest: string;
  readonly blobs: readonly MadeBlob[];
}

const REPOSITORY = 'library/bench';
export const TAG = 'latest';
export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';

const MEBIBYTE = 2 ** 20;
const LAYERS = 8;
/** Noise, the same in every process. */
const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
  Buffer.alloc(2 * MEBIBYTE),
);

/** The bytes of a blob, a mebibyte at a time: windows on the same noise, none is copied. */
export function* piecesOf(blob: Omit<MadeBlob, 'digest'>): Generator<Buffer> {
  for (let i = 0; i < blob.size / MEBIBYTE; i++) {
    const from = (blob.seed * 4096 + i) % MEBIBYTE;
    yield noise.subarray(from, from + MEBIBYTE);
  }
}

export function makeBlob(seed: number, size: number): MadeBlob {
  const hash = createHash('sha256');
  for (const piece of piecesOf({ seed, size })) hash.update(piece);
  return { digest: `sha256:${hash.digest('hex')}`, seed, size };
}

/** Of a config and layers that nobody is going to pull. */
export function makeManifest(): string {
  const descriptor = (mediaType: string, name: string, size: number) => {
    const digest = digestOf(name);
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest, size };
  };
  const layers = Array.from({ length: LAYERS }, (_, i) =>
    descriptor('layer.v1.tar+gzip', `layer ${String(i)}`, (i + 1) * 1_234_567),
  );
  const config = descriptor('config.v1+json', 'config', 4321);
  return JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers }, null, 2);
}

export const digestOf = (bytes: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export const manifestPath = (reference: string): string =>
  `/v2/${REPOSITORY}/manifests/${reference}`;
export const blobPath = (digest: string): string => `/v2/${REPOSITORY}/blobs/${digest}`;
