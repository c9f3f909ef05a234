// Announcements to all replicas that share a Redis, on a channel of their own. What Redis does not take is said again until
// it does: the others may hear it all the time, and look nowhere else.

import { randomUUID } from 'node:crypto';
import type { Announcements, PurgeHandler, PurgeScope } from '../engine/purge-plan.ts';
import { decodeScope, encodeScope } from './announced.ts';
import type { LocalAnnouncements } from './local-announcements.ts';
import { RedisAway } from './redis-away.ts';
import type { RedisService } from './redis.ts';

const AGAIN_MS = 500;
/** Messages that wait for Redis; past it the oldest are left unsaid. */
const MAX_UNSAID = 1000;

export interface RedisAnnouncementsParts {
  /** The caller closes it. */
  readonly redis: RedisService;
  /** Whose handlers are called. */
  readonly local: LocalAnnouncements;
  /** Told of messages that are none, and of handlers that fail for another replica's; must not throw. */
  readonly failed: (error: unknown) => void;
}

export class RedisAnnouncements implements Announcements {
  readonly #parts: RedisAnnouncementsParts;
  readonly #self = randomUUID();
  readonly #channel: string;
  readonly #unsaid: string[] = [];
  #saying: Promise<void> | undefined;
  #again: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** Hears the others from now on. Close it. */
  constructor(parts: RedisAnnouncementsParts) {
    this.#parts = parts;
    this.#channel = `${parts.redis.prefix}purged`;
    parts.redis.subscribe(this.#channel, (message) => {
      this.#heard(message).catch((error: unknown) => {
        parts.failed(error);
      });
    });
  }

  async announce(scope: PurgeScope): Promise<void> {
    this.#unsaid.push(...encodeScope(this.#self, scope));
    this.#unsaid.splice(0, this.#unsaid.length - MAX_UNSAID);
    await Promise.all([this.#parts.local.announce(scope), this.#say()]);
  }

  subscribe(handler: PurgeHandler): void {
    this.#parts.local.subscribe(handler);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
  }

  async #heard(message: string): Promise<void> {
    const scope = decodeScope(message);
    if (scope.from !== this.#self) await this.#parts.local.announce(scope);
  }

  /** Resolves when Redis has all that is unsaid, or is away. */
  #say(): Promise<void> {
    this.#saying ??= this.#sayAll().finally(() => {
      this.#saying = undefined;
    });
    return this.#saying;
  }

  async #sayAll(): Promise<void> {
    clearTimeout(this.#again);
    for (;;) {
      const message = this.#unsaid.shift();
      if (message === undefined) return;
      try {
        await this.#parts.redis.run('larderAnnounce', [this.#channel, message]);
      } catch (error) {
        if (!(error instanceof RedisAway)) throw error;
        this.#unsaid.unshift(message);
        if (!this.#isClosed) this.#again = setTimeout(() => void this.#say(), AGAIN_MS).unref();
        return;
      }
    }
  }
}
