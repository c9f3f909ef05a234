// Manifests: what kinds there are, what one names, and what it must be before it is kept (image-spec, distribution-spec).

import { LarderError } from '../engine/errors.ts';
import { parseDigest, type Digest } from './digest.ts';
import type { SaidPlatform } from './platforms.ts';

/** Bytes of a manifest: the least that the specification wants of registries, and the most that they take. */
export const MAX_MANIFEST = 4 * 1024 * 1024;

const ARTIFACT_TYPE = 'application/vnd.oci.artifact.manifest.v1+json';
const IMAGE_TYPES = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  ARTIFACT_TYPE,
]);
const INDEX_TYPES = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
/** BuildKit's annotation of an attestation, whose platform is `unknown/unknown`. */
const ATTESTS = 'vnd.docker.reference.digest';
const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+(?:json|prettyjws)$/;

export const isIndexType = (mediaType: string): boolean => INDEX_TYPES.has(mediaType);

/** What a client that can take everything sends as `Accept`. */
export const ACCEPT_MANIFESTS = [...IMAGE_TYPES, ...INDEX_TYPES].join(', ');

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** What it is for, where an index says it. */
  readonly platform?: SaidPlatform | undefined;
  /** Digest of the manifest that this one attests, where an index says it as BuildKit does. */
  readonly attests?: string;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly mediaType: string;
  /** Of an index: manifests. */
  readonly manifests: readonly Descriptor[];
  readonly config: Descriptor | undefined;
  /** Config, layers, blobs of an artifact. */
  readonly blobs: readonly Descriptor[];
  readonly subject: Descriptor | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
}

/**
 * Reads a manifest. `contentType`: what the upstream sent, which counts where the manifest itself says nothing.
 * Throws LarderError `bad_content` for what is none, and for schema 1.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): Manifest {
  const json = parse(bytes);
  if (json['schemaVersion'] === 1 || 'fsLayers' in json) throw schema1();
  const declared = text(json['mediaType']);
  const sent = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  if (sent !== undefined && SCHEMA_1.test(sent)) throw schema1();
  const mediaType = declared ?? known(sent) ?? guess(json);
  const manifests = descriptors(json['manifests'], 'manifests');
  const layers = descriptors(json['layers'], 'layers');
  const others = descriptors(json['blobs'], 'blobs');
  const config = json['config'] === undefined ? undefined : descriptor(json['config'], 'config');
  return {
    mediaType,
    manifests,
    config,
    blobs: [...(config ? [config] : []), ...layers, ...others],
    subject: json['subject'] === undefined ? undefined : descriptor(json['subject'], 'subject'),
    artifactType: text(json['artifactType']),
    annotations: strings(json['annotations']),
  };
}

/** What a media type says of a manifest; undefined where it is not that of one. */
export function manifestKind(mediaType: string): 'image' | 'artifact' | 'index' | undefined {
  if (INDEX_TYPES.has(mediaType)) return 'index';
  if (mediaType === ARTIFACT_TYPE) return 'artifact';
  return IMAGE_TYPES.has(mediaType) ? 'image' : undefined;
}

const known = (type: string | undefined): string | undefined =>
  type !== undefined && (IMAGE_TYPES.has(type) || INDEX_TYPES.has(type)) ? type : undefined;

/** OCI 1.0 manifests need not say what they are. */
function guess(json: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(json['manifests'])) return 'application/vnd.oci.image.index.v1+json';
  if ('config' in json) return 'application/vnd.oci.image.manifest.v1+json';
  throw bad('it has neither config nor manifests');
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad('it is no JSON', cause);
  }
  if (isObject(json)) return json;
  throw bad('it is no JSON object');
}

function descriptors(value: unknown, where: string): Descriptor[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw bad(`its ${where} are no list`);
  return value.map((one: unknown) => descriptor(one, where));
}

function descriptor(value: unknown, where: string): Descriptor {
  if (!isObject(value)) throw bad(`an entry of its ${where} is no object`);
  const digest = parseDigest(text(value['digest']) ?? '');
  if (digest === undefined) throw bad(`an entry of its ${where} has no digest that is known here`);
  const { size } = value;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw bad(`an entry of its ${where} has no size`);
  }
  const mediaType = text(value['mediaType']) ?? 'application/octet-stream';
  const platform = platformOf(value['platform']);
  const artifactType = text(value['artifactType']);
  const annotations = strings(value['annotations']);
  const attests = annotations?.[ATTESTS];
  return {
    mediaType,
    digest,
    size,
    ...(platform && { platform }),
    ...(attests !== undefined && { attests }),
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  };
}

/** Of a descriptor, or of a config, where the same names stand. */
export function platformOf(value: unknown): SaidPlatform | undefined {
  if (!isObject(value)) return undefined;
  const osVersion = text(value['os.version']);
  const features = value['os.features'];
  const isList = Array.isArray(features) && features.every((one) => typeof one === 'string');
  return {
    os: text(value['os']),
    architecture: text(value['architecture']),
    variant: text(value['variant']),
    ...(osVersion !== undefined && { osVersion }),
    ...(isList && { osFeatures: features }),
  };
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

function strings(value: unknown): Record<string, string> | undefined {
  if (!isObject(value)) return undefined;
  return Object.fromEntries(
    Object.entries(value).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    ),
  );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (why: string, cause?: unknown): LarderError =>
  new LarderError('bad_content', `the upstream's manifest is refused: ${why}`, { cause });

const schema1 = (): LarderError =>
  new LarderError(
    'bad_content',
    'this image has a manifest of schema 1 alone, which was given up in 2023: push it again with a newer client',
  );
