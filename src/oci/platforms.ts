// Platforms: what an image is for, as indexes and people write it (image-spec, "Image Index", "Platform Variants").

import { LarderError } from '../engine/errors.ts';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** As far as an index says it. */
export interface SaidPlatform {
  readonly os: string | undefined;
  readonly architecture: string | undefined;
  readonly variant: string | undefined;
  /** Of Windows. */
  readonly osVersion?: string;
  readonly osFeatures?: readonly string[];
}

/** The variant of an architecture that is meant where none is written. */
const DEFAULT_VARIANTS = new Map([
  ['arm', 'v7'],
  ['arm64', 'v8'],
]);

export function withDefaultVariant(platform: SaidPlatform): SaidPlatform {
  const variant = platform.variant ?? DEFAULT_VARIANTS.get(platform.architecture ?? '');
  return { ...platform, variant };
}

/** Reads `linux/arm64` or `linux/arm/v7`. Throws LarderError `invalid` with a sentence. */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant, ...more] = text.split('/');
  const words = [os, architecture, ...(variant === undefined ? [] : [variant])];
  if (more.length > 0 || !words.every((word) => /^[a-z0-9._-]+$/.test(word)))
    throw new LarderError(
      'invalid',
      `${JSON.stringify(text)} is no platform: give one such as linux/amd64`,
    );
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

/** `linux/arm/v7`. */
export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');

/** Whether something is for all, or for one of these platforms; a platform without a variant stands for all of them. */
export function isFor(
  { platform }: { readonly platform?: SaidPlatform | undefined },
  platforms: readonly Platform[] | undefined,
): boolean {
  if (platforms === undefined || platform === undefined) return true;
  const said = withDefaultVariant(platform).variant;
  return platforms.some(
    ({ os, architecture, variant }) =>
      os === platform.os &&
      architecture === platform.architecture &&
      (variant === undefined || variant === said),
  );
}
