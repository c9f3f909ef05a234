// A token bucket, as the time at which it will be full again (the generic cell rate algorithm): whoever takes a token is
// told when it may leave, so that all leave in the order in which they came, and nobody waits in vain.

/** How often a host may be asked. */
export interface Rate {
  /** From one token to the next, milliseconds. */
  readonly intervalMs: number;
  /** Tokens of a full bucket. */
  readonly burst: number;
}

/** Times in milliseconds, `now` of one clock that is never set. */
export class TokenBucket {
  /** Later than now by one interval for each token that is out. */
  #fullAt = 0;

  /** How long the next one would wait. */
  waitMs({ intervalMs, burst }: Rate, now: number): number {
    return Math.max(0, this.#fullAt - (burst - 1) * intervalMs - now);
  }

  /** Takes a token: how long to wait for it. One that would take longer than `mostMs` is not taken. */
  take(rate: Rate, now: number, mostMs: number): number {
    const ms = this.waitMs(rate, now);
    if (ms <= mostMs) this.#fullAt = Math.max(this.#fullAt, now) + rate.intervalMs;
    return ms;
  }

  /** A token that was taken and will not be used. */
  giveBack({ intervalMs }: Rate): void {
    this.#fullAt -= intervalMs;
  }

  /** No token is left, and the next one comes in `ms`, or an interval if that is longer. */
  drain({ intervalMs, burst }: Rate, now: number, ms: number): void {
    const next = now + Math.max(ms, intervalMs);
    this.#fullAt = Math.max(this.#fullAt, next + (burst - 1) * intervalMs);
  }

  /** As another one is that is full again in `ms`. */
  follow(now: number, ms: number): void {
    this.#fullAt = now + ms;
  }
}

/** What a shared bucket said. */
export interface SharedTake {
  /** How long to wait for the token; it was not taken if that is longer than was asked for. */
  readonly waitMs: number;
  /** Until the bucket is full again. */
  readonly fullInMs: number;
}

/** Buckets that several processes share. No method rejects: a service that is away is done without. */
export interface SharedBuckets {
  /** As of TokenBucket; undefined where the service is away. */
  take(host: string, rate: Rate, mostMs: number): Promise<SharedTake | undefined>;
  giveBack(host: string, rate: Rate): Promise<void>;
  drain(host: string, rate: Rate, ms: number): Promise<void>;
}
