// Answers that a replica found out of date before their time: the others, which may have them in memory, look into the store
// then. Told once: who misses it has an answer until its time to live ends.

import { randomUUID } from 'node:crypto';
import { RedisAway } from './redis-away.ts';
import type { RedisService } from './redis.ts';

export class RedisExpiries {
  readonly #redis: RedisService;
  readonly #channel: string;
  readonly #self = randomUUID();

  /** `heard` gets the keys that other replicas tell, from now on; it must not throw. The caller closes `redis`. */
  constructor(redis: RedisService, heard: (key: string) => void) {
    this.#redis = redis;
    this.#channel = `${redis.prefix}expired`;
    redis.subscribe(this.#channel, (message) => {
      const space = message.indexOf(' ');
      if (space > 0 && message.slice(0, space) !== this.#self) heard(message.slice(space + 1));
    });
  }

  /** Resolves when Redis has it, or is away. */
  async tell(key: string): Promise<void> {
    try {
      await this.#redis.run('larderAnnounce', [this.#channel, `${this.#self} ${key}`]);
    } catch (error) {
      if (!(error instanceof RedisAway)) throw error;
    }
  }
}
