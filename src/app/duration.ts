const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A whole number and one unit. */
export const durationGrammar = /^(\d{1,12})(ms|[smhd])$/;

/** Milliseconds of `250ms`, `30s`, `15m`, `1h`, `7d`, or `0s`: a whole number and one unit. Undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = durationGrammar.exec(text);
  const unit = units[match?.[2] ?? ''];
  if (match === null || unit === undefined) return undefined;
  const ms = Number(match[1]) * unit;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** A duration as a setting would be written, in the largest unit that it is a whole number of. */
export function formatDuration(ms: number): string {
  const [unit = 'ms', length = 1] =
    Object.entries(units).findLast(([, size]) => ms > 0 && ms % size === 0) ?? [];
  return `${String(ms / length)}${unit}`;
}

/** The longest timer that there is: what a deadline of 0, none, means. Milliseconds. */
const NO_DEADLINE = 2 ** 31 - 1;

export const deadline = (ms: number): number => (ms === 0 ? NO_DEADLINE : ms);
