/** Redis did not answer, or not in time, or refused. */
export class RedisAway extends Error {}
