/** What an upstream tells of its limit, in requests. */
export interface ToldLimit {
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
}

/**
 * `RateLimit-Limit` and `-Remaining` (draft-ietf-httpapi-ratelimit-headers-06, and as Docker Hub writes them: `100;w=21600`), else the
 * same with `X-`. Undefined where there is neither.
 */
export function toldLimit(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): ToldLimit | undefined {
  const limit = numberOf(headers['ratelimit-limit'] ?? headers['x-ratelimit-limit']);
  const remaining = numberOf(headers['ratelimit-remaining'] ?? headers['x-ratelimit-remaining']);
  return limit === undefined && remaining === undefined ? undefined : { limit, remaining };
}

function numberOf(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  const text = Array.isArray(value) ? value[0] : value;
  const [, digits] = /^\s*(\d{1,15})\s*(?:[;,]|$)/.exec(text ?? '') ?? [];
  return digits === undefined ? undefined : Number(digits);
}
