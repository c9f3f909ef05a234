// One upstream host, as all who talk to it share it: how often it may be asked, when it wants to be asked again, and
// whether it can be reached at all. Sockets are the client's.

import { LarderError } from '../engine/errors.ts';
import type { Listener } from '../engine/ports.ts';
import { Breaker, type Pass } from './breaker.ts';
import type { Patience } from './patience.ts';
import { holdMs } from './retry-after.ts';
import { toldLimit } from './rate-headers.ts';
import type { Timing } from './timing.ts';
import { TokenBucket, type Rate, type SharedBuckets } from './token-bucket.ts';

export interface HostParts {
  readonly timing: Timing;
  /** How often the host may be asked, where that is known; looked up anew for each request. */
  readonly rateOf: (host: string) => Rate | undefined;
  /** Where several processes share the buckets. */
  readonly shared?: SharedBuckets | undefined;
  /** Whether a 429 is one for all that the host is asked. */
  readonly holds: boolean;
  readonly listener: Pick<Required<Listener>, 'upstreamHeld' | 'upstreamLimit' | 'upstreamDown'>;
}

export class UpstreamHost {
  readonly #host: string;
  readonly #parts: HostParts;
  readonly #bucket = new TokenBucket();
  readonly #breaker: Breaker;
  /** Look again whether it is their turn. */
  readonly #waiting = new Set<() => void>();
  /** The host has said so. */
  #heldUntil = -Infinity;

  constructor(host: string, parts: HostParts) {
    this.#host = host;
    this.#parts = parts;
    this.#breaker = new Breaker(host, parts.timing, (isDown, reason) => {
      parts.listener.upstreamDown({ host, isDown, reason });
    });
  }

  /**
   * Waits until it is this request's turn, first come, first served. Throws at once LarderError `rate_limited` where that would
   * be later than `patience` allows, and `upstream_failed` where the host is left alone; and the signal's reason.
   */
  async turn(patience: Patience): Promise<Pass> {
    this.#check();
    const rate = this.#parts.rateOf(this.#host);
    if (rate !== undefined || this.#parts.timing.now() < this.#heldUntil)
      await this.#wait(rate, patience);
    this.#check();
    return this.#breaker.enter();
  }

  /** From now until it may be asked once more, as far as is known here. Milliseconds. */
  waitMs(): number {
    const { timing, rateOf } = this.#parts;
    const now = timing.now();
    const rate = rateOf(this.#host);
    return Math.max(0, this.#heldUntil - now, rate ? this.#bucket.waitMs(rate, now) : 0);
  }

  /** What an answer says of the limits. */
  note(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    const told = toldLimit(headers);
    if (told) this.#parts.listener.upstreamLimit({ host: this.#host, ...told });
    if (status !== 429 || !this.#parts.holds) return;
    const ms = holdMs(headers);
    const now = this.#parts.timing.now();
    const rate = this.#parts.rateOf(this.#host);
    if (rate) {
      this.#bucket.drain(rate, now, ms);
      void this.#parts.shared?.drain(this.#host, rate, ms);
    }
    if (ms === 0 || now + ms <= this.#heldUntil) return;
    this.#heldUntil = now + ms;
    for (const look of [...this.#waiting]) look();
  }

  #check(): void {
    try {
      this.#breaker.check();
    } catch (error) {
      this.#parts.listener.upstreamHeld({ host: this.#host, why: 'down' });
      throw error;
    }
  }

  async #wait(rate: Rate | undefined, patience: Patience): Promise<void> {
    const { timing } = this.#parts;
    const { signal } = patience;
    let slot = timing.now();
    // what need not wait may go however late it is
    const until = Math.max(patience.rateUntil, slot);
    // before a token is taken for it
    if (this.#heldUntil > until) throw this.#refusal(this.#heldUntil - slot);
    if (rate) {
      const mostMs = until - slot;
      const ms = (await this.#takeShared(rate, mostMs)) ?? this.#bucket.take(rate, slot, mostMs);
      if (ms > mostMs) throw this.#refusal(ms);
      slot = timing.now() + ms;
    }
    const left = () => {
      if (rate) this.#giveBack(rate);
    };
    if (slot > timing.now() || this.#heldUntil > timing.now())
      await patience.standStill(this.#stand(slot, until, signal, left));
  }

  async #takeShared(rate: Rate, mostMs: number): Promise<number | undefined> {
    const taken = await this.#parts.shared?.take(this.#host, rate, mostMs);
    if (taken === undefined) return undefined;
    // for when the others cannot be asked any more
    this.#bucket.follow(this.#parts.timing.now(), taken.fullInMs);
    return taken.waitMs;
  }

  #giveBack(rate: Rate): void {
    this.#bucket.giveBack(rate);
    void this.#parts.shared?.giveBack(this.#host, rate);
  }

  /** Until `slot`, and until the host may be asked. */
  #stand(slot: number, until: number, signal: AbortSignal, left: () => void): Promise<void> {
    const { timing } = this.#parts;
    return new Promise((resolve, reject) => {
      let callOff: (() => void) | undefined;
      const end = () => {
        callOff?.();
        this.#waiting.delete(look);
        signal.removeEventListener('abort', aborted);
      };
      const aborted = () => {
        end();
        left();
        reject(signal.reason as Error);
      };
      const look = () => {
        callOff?.();
        const now = timing.now();
        const at = Math.max(slot, this.#heldUntil);
        if (at > until) {
          end();
          left();
          reject(this.#refusal(at - now));
        } else if (at > now) callOff = timing.after(at - now, look);
        else {
          end();
          resolve();
        }
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', aborted, { once: true });
      if (signal.aborted) aborted();
      else look();
    });
  }

  #refusal(retryAfterMs: number): LarderError {
    this.#parts.listener.upstreamHeld({ host: this.#host, why: 'rate' });
    return new LarderError(
      'rate_limited',
      `${this.#host} is not to be asked more often than it is now; try again later`,
      { retryAfterMs },
    );
  }
}
