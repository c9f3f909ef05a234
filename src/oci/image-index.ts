// The full index of an image, of whatever the registry has under its name: one form for single images and for lists of them,
// with a platform wherever one can be had, in an order that does not depend on who pushed it.

import { mapBounded } from '../engine/bounded.ts';
import { digestText } from './digest.ts';
import { ordered, wanted } from './index-order.ts';
import { ifThere, readBlob, readManifest, type Place, type ReadManifest } from './look-up.ts';
import { isIndexType, platformOf, type Descriptor, type Manifest } from './manifest.ts';
import { withDefaultVariant, type SaidPlatform } from './platforms.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const IMAGE_CONFIGS = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);
/** Manifests that are read at once for their platforms. */
const AT_ONCE = 8;

/** One line of JSON; undefined for what is not there or may not be read. Throws as `lookUp` does. */
export function imageIndex(
  place: Place,
  reference: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  return ifThere(async () => {
    const read = await readManifest(place, reference, signal);
    const { manifest } = read;
    if (!isIndexType(manifest.mediaType)) {
      const one = await described(place, read, signal);
      return textOf(INDEX, [one]);
    }
    const entries = await mapBounded(wanted(manifest.manifests), AT_ONCE, async (entry) => {
      const platform = isWhole(entry.platform)
        ? entry.platform
        : await platformBelow(place, entry, signal);
      return withPlatform(entry, platform);
    });
    return textOf(manifest.mediaType, ordered(entries), manifest);
  });
}

/** What an index says of a manifest that none named. */
async function described(
  place: Place,
  { manifest, size, digest }: ReadManifest,
  signal: AbortSignal,
): Promise<Descriptor> {
  const { mediaType, artifactType } = manifest;
  const one = { mediaType, digest, size, ...(artifactType !== undefined && { artifactType }) };
  return withPlatform(one, await platformOfConfig(place, manifest, signal));
}

/** By what the entry leads to; undefined where that is no image, or is not there. */
function platformBelow(
  place: Place,
  { mediaType, digest }: Descriptor,
  signal: AbortSignal,
): Promise<SaidPlatform | undefined> {
  if (isIndexType(mediaType)) return Promise.resolve(undefined);
  return ifThere(async () => {
    const { manifest } = await readManifest(place, digestText(digest), signal);
    return platformOfConfig(place, manifest, signal);
  });
}

function platformOfConfig(
  place: Place,
  { config }: Manifest,
  signal: AbortSignal,
): Promise<SaidPlatform | undefined> {
  if (config === undefined || !IMAGE_CONFIGS.has(config.mediaType))
    return Promise.resolve(undefined);
  return ifThere(async () => {
    const bytes = await readBlob(place, config.digest, signal);
    const platform = platformOf(parsed(bytes));
    return isWhole(platform) ? platform : undefined;
  });
}

const isWhole = (platform: SaidPlatform | undefined): boolean =>
  platform?.os !== undefined && platform.architecture !== undefined;

/** Undefined for what is no JSON. */
function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    // then it tells no platform
    return undefined;
  }
}

const withPlatform = (entry: Descriptor, platform: SaidPlatform | undefined): Descriptor => ({
  ...entry,
  platform: platform && withDefaultVariant(platform),
});

/** Fields in their fixed order. */
function textOf(
  mediaType: string,
  manifests: readonly Descriptor[],
  { artifactType, subject, annotations }: Partial<Manifest> = {},
): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType,
    artifactType,
    manifests: manifests.map(fieldsOf),
    subject: subject && fieldsOf(subject),
    annotations,
  });
}

const fieldsOf = ({
  mediaType,
  artifactType,
  digest,
  size,
  platform,
  annotations,
}: Descriptor) => ({
  mediaType,
  artifactType,
  digest: digestText(digest),
  size,
  platform: platform && {
    architecture: platform.architecture,
    os: platform.os,
    'os.version': platform.osVersion,
    'os.features': platform.osFeatures,
    variant: platform.variant,
  },
  annotations,
});
