// Digests, as the OCI image specification writes them: algorithm, colon, value.

/** The registered algorithms that are computed here, with the length of their values in hex digits. */
const HEX_LENGTHS = { sha256: 64, sha512: 128 } as const;

export type DigestAlgorithm = keyof typeof HEX_LENGTHS;

export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** Lower case. */
  readonly hex: string;
}

const DIGEST = /^([a-z0-9]+):([a-f0-9]+)$/;

/** Undefined for what is no digest, or of an algorithm that is not computed here. */
export function parseDigest(text: string): Digest | undefined {
  const [, algorithm = '', hex = ''] = DIGEST.exec(text) ?? [];
  if (!isKnown(algorithm) || hex.length !== HEX_LENGTHS[algorithm]) return undefined;
  return { algorithm, hex };
}

export const digestText = ({ algorithm, hex }: Digest): string => `${algorithm}:${hex}`;

const isKnown = (algorithm: string): algorithm is DigestAlgorithm =>
  Object.hasOwn(HEX_LENGTHS, algorithm);
