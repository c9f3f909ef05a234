// Token buckets in Redis, for all replicas: each upstream host with a known limit has one key. A library's counters of fixed
// windows would let twice the limit through where two windows meet, hence the scripts.

import { RedisAway } from './redis-away.ts';
import type { RedisService } from './redis.ts';

/** From one token to the next in milliseconds, and tokens of a full bucket. */
interface Rate {
  readonly intervalMs: number;
  readonly burst: number;
}

/** Never rejects for a Redis that is away. The caller closes `redis`. */
export class RedisBuckets {
  readonly #redis: RedisService;

  constructor(redis: RedisService) {
    this.#redis = redis;
  }

  /**
   * Takes a token, unless it would take longer than `mostMs`: how long to wait for it, and until the bucket is full again,
   * milliseconds. Undefined when Redis is away.
   */
  async take(
    host: string,
    { intervalMs, burst }: Rate,
    mostMs: number,
  ): Promise<{ waitMs: number; fullInMs: number } | undefined> {
    // a token that comes when nobody waits for it any more is not used
    const late = (reply: unknown) => {
      const taken = takenOf(reply);
      if (taken && taken.waitMs <= mostMs) void this.giveBack(host, { intervalMs });
    };
    return takenOf(await this.#run('larderTakeToken', [host, intervalMs, burst, mostMs], late));
  }

  /** A token that was taken and will not be used. */
  async giveBack(host: string, { intervalMs }: Pick<Rate, 'intervalMs'>): Promise<void> {
    await this.#run('larderGiveToken', [host, intervalMs]);
  }

  /** No token is left; the next one comes in `ms`, or an interval if that is longer. */
  async drain(host: string, { intervalMs, burst }: Rate, ms: number): Promise<void> {
    await this.#run('larderDrainTokens', [host, intervalMs, burst, ms]);
  }

  async #run(
    script: 'larderTakeToken' | 'larderGiveToken' | 'larderDrainTokens',
    [host, ...rest]: [string, ...number[]],
    late?: (reply: unknown) => void,
  ): Promise<unknown> {
    try {
      return await this.#redis.run(script, [`${this.#redis.prefix}bucket:${host}`, ...rest], late);
    } catch (error) {
      if (error instanceof RedisAway) return undefined;
      throw error;
    }
  }
}

function takenOf(reply: unknown): { waitMs: number; fullInMs: number } | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [waitMs = Number.NaN, fullInMs = Number.NaN] = reply.map(Number);
  return { waitMs, fullInMs };
}
