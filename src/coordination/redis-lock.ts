// Leases that replicas share through Redis: owner and fencing token under the key, renewed while the work lives. Its end is
// announced, and kept for a moment for who missed that. While Redis is away each process locks for itself: that costs
// duplicate work and nothing else.

import { randomUUID } from 'node:crypto';
import type { Lease, LeaseRequest, Lock, Outcome } from '../engine/ports.ts';
import { LocalLock } from './local-lock.ts';
import { RedisAway } from './redis-away.ts';
import type { RedisService } from './redis.ts';

/** How long an outcome is kept for waiters, and for how long it is news to others. Milliseconds. */
const KEPT_MS = 5000;
const NEWS_MS = 1000;
/** Waiters look by themselves so often, as an announcement may be missed. */
const POLL_MS = 1000;

/** What is announced and kept. */
interface Ended {
  readonly key: string;
  readonly scope: string;
  readonly outcome?: Outcome;
}

type Reply = ['told', string] | ['held', number, string] | ['granted', string, number];

export class RedisLock implements Lock {
  readonly #redis: RedisService;
  readonly #leaseMs: number;
  readonly #address: string;
  readonly #local = new LocalLock();
  readonly #waiters = new Map<string, Set<(ended: Ended) => void>>();

  /**
   * `leaseMs`: life of a lease between renewals, milliseconds. `address`: where other replicas reach this one, empty for
   * nowhere. The caller closes `redis`, when no lease is held.
   */
  constructor(redis: RedisService, leaseMs: number, address = '') {
    this.#redis = redis;
    this.#leaseMs = leaseMs;
    this.#address = address;
    redis.subscribe(this.#channel, (message) => {
      const ended = JSON.parse(message) as Ended;
      for (const wake of this.#waiters.get(ended.key) ?? []) wake(ended);
    });
  }

  async acquire(request: LeaseRequest): Promise<Lease | Outcome> {
    const { key, scope, signal } = request;
    for (let waited = false; this.#redis.up; waited = true) {
      signal.throwIfAborted();
      // from before the question on, so that no announcement falls in between
      const wait = this.#listen(key);
      try {
        const reply = await this.#ask(key, scope, waited);
        if (reply[0] === 'told') return (JSON.parse(reply[1]) as Required<Ended>).outcome;
        if (reply[0] === 'granted') {
          const lease = this.#lease({ key, scope }, reply[1], waited || reply[2] === 1);
          if (!signal.aborted) return lease;
          await lease.release();
          throw signal.reason;
        }
        const [, , address] = reply[2].split(' ');
        if (address) request.onHeld?.(address);
        const ended = await wait.next(Math.min(POLL_MS, Math.max(reply[1], 0) + 20), signal);
        const { outcome } = ended ?? {};
        if (outcome && (outcome.kind === 'stored' || ended?.scope === scope)) return outcome;
      } catch (error) {
        if (!(error instanceof RedisAway)) throw error;
      } finally {
        wait.end();
      }
    }
    return this.#local.acquire(request);
  }

  get #channel(): string {
    return `${this.#redis.prefix}ended`;
  }

  #keys(key: string): [string, string] {
    const tagged = `${this.#redis.prefix}{${key}}`;
    return [`${tagged}:lease`, `${tagged}:outcome`];
  }

  async #ask(key: string, scope: string, waited: boolean): Promise<Reply> {
    const args = [
      ...this.#keys(key),
      randomUUID(),
      this.#leaseMs,
      scope,
      waited ? 1 : 0,
      KEPT_MS - NEWS_MS,
      this.#address,
    ];
    // granted too late, it would keep everybody out until it runs out
    const giveBack = (reply: unknown) => {
      const [word, value] = reply as Reply;
      if (word === 'granted') void this.#release({ key, scope }, value);
    };
    return (await this.#redis.run('larderAcquire', args, giveBack)) as Reply;
  }

  #lease(about: Ended, value: string, waited: boolean): Lease {
    const losing = new AbortController();
    const timer = setInterval(() => {
      void this.#renew(about.key, value).then((ours) => {
        if (ours) return;
        clearInterval(timer);
        losing.abort(new Error('the lease was lost'));
      });
    }, this.#leaseMs / 3).unref();
    let released: Promise<void> | undefined;
    return {
      waited,
      lost: losing.signal,
      release: (outcome) => {
        clearInterval(timer);
        return (released ??= this.#release({ ...about, ...(outcome && { outcome }) }, value));
      },
    };
  }

  /** False only when it is known to be somebody else's. */
  async #renew(key: string, value: string): Promise<boolean> {
    try {
      return (
        (await this.#redis.run('larderRenew', [...this.#keys(key), value, this.#leaseMs])) === 1
      );
    } catch (error) {
      if (error instanceof RedisAway) return true;
      throw error;
    }
  }

  async #release(ended: Ended, value: string): Promise<void> {
    const message = JSON.stringify(ended);
    const kept = ended.outcome ? message : '';
    const args = [...this.#keys(ended.key), value, kept, KEPT_MS, this.#channel, message];
    try {
      await this.#redis.run('larderRelease', args);
    } catch (error) {
      if (!(error instanceof RedisAway)) throw error;
    }
  }

  /** Announcements about a key, from now on. Call `end`. */
  #listen(key: string) {
    const { promise, resolve } = Promise.withResolvers<Ended | undefined>();
    const wakers = this.#waiters.get(key) ?? new Set();
    this.#waiters.set(key, wakers);
    wakers.add(resolve);
    return {
      /** The next one, or undefined after so many milliseconds. Throws the signal's reason. */
      async next(ms: number, signal: AbortSignal): Promise<Ended | undefined> {
        const aborted = () => {
          resolve(undefined);
        };
        const timer = setTimeout(aborted, ms);
        signal.addEventListener('abort', aborted, { once: true });
        try {
          const ended = await promise;
          signal.throwIfAborted();
          return ended;
        } finally {
          clearTimeout(timer);
          signal.removeEventListener('abort', aborted);
        }
      },
      end: () => {
        wakers.delete(resolve);
        if (wakers.size === 0) this.#waiters.delete(key);
      },
    };
  }
}
