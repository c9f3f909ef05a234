const units: Readonly<Record<string, number>> = {
  '': 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

/** A whole number and one unit, or none. */
export const sizeGrammar = /^(\d{1,15})([kMGT]B|[KMGT]iB|)$/;

/** Bytes of `1048576`, `500MB`, `50GB` or `50GiB`: a whole number and one unit, or none. Undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = sizeGrammar.exec(text);
  const unit = units[match?.[2] ?? '?'];
  if (match === null || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
