const units: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** How often in which time, as `200/m` says it; `off` for no such limit. Throws an error with the end of a sentence. */
export function parseRate(text: string): { intervalMs: number; tokens: number } | 'off' {
  if (text === 'off') return 'off';
  const [, digits = '', unit = ''] = /^([1-9]\d{0,8})\/([smhd])$/.exec(text) ?? [];
  const ms = units[unit];
  if (ms === undefined) {
    throw new Error(
      `${JSON.stringify(text)} is no rate: give requests and a time, such as 10/s, 200/m or 5000/h, or off`,
    );
  }
  const tokens = Number(digits);
  return { intervalMs: ms / tokens, tokens };
}
