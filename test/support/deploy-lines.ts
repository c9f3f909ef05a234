// Lines of what is to be deployed, as tests make them.

import { createHash } from 'node:crypto';
import { MEDIA_TYPES } from './real-registry.ts';

export const digestOf = (bytes: string | Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const describeBytes = (mediaType: string, bytes: string | Uint8Array) => ({
  mediaType,
  digest: digestOf(bytes),
  size: Buffer.byteLength(bytes),
});

/** A manifest of these blobs. */
export const manifestOf = (
  config: string | Uint8Array,
  layers: readonly (string | Uint8Array)[],
) => ({
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.manifest,
  config: describeBytes(MEDIA_TYPES.config, config),
  layers: layers.map((layer) => describeBytes(MEDIA_TYPES.layer, layer)),
});

/** An index of these manifests, for an architecture each. */
export const indexOf = (manifests: Readonly<Record<string, object>>) => ({
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.index,
  manifests: Object.entries(manifests).map(([architecture, manifest]) => ({
    ...describeBytes(MEDIA_TYPES.manifest, JSON.stringify(manifest)),
    platform: { architecture, os: 'linux' },
  })),
});

/** As its compact JSON has it. */
export const digestOfManifest = (manifest: object): string => digestOf(JSON.stringify(manifest));

export const jsonLines = (lines: readonly object[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');
