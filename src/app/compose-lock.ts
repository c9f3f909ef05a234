// The lock service's part of the composition.

import { LocalLock } from '../coordination/local-lock.ts';
import { RedisLock } from '../coordination/redis-lock.ts';
import { parseRedisUrl } from '../coordination/redis-url.ts';
import type { RedisService } from '../coordination/redis.ts';
import type { Listener, Lock } from '../engine/ports.ts';
import type { Config } from './config.ts';

export interface ComposedLock {
  readonly lock: Lock;
  /** Where Redis is in the settings. */
  readonly redis: RedisService | undefined;
  /** What is wrong with it, for people; empty when all is well. */
  warnings(): string[];
  /** To be called when no lease is held any more. */
  close(): void;
}

/** Without Redis in the settings, within the process. A Redis that is away is waited for a second, and no reason not to start. */
export async function composeLock(
  { redisUrl, redisPrefix: prefix, leaseTimeMs, peer }: Config,
  listener: Pick<Required<Listener>, 'lockService'>,
): Promise<ComposedLock> {
  if (redisUrl === undefined)
    return {
      lock: new LocalLock(),
      redis: undefined,
      warnings: () => [],
      close: () => undefined,
    };
  // read only where there is one, as its library takes some megabytes
  const redis = await import('../coordination/redis.ts');
  const target = parseRedisUrl(redisUrl);
  const service = await redis.RedisService.open({ target, prefix, listener });
  return {
    lock: new RedisLock(service, leaseTimeMs, peer?.url),
    redis: service,
    warnings: () =>
      service.connected ? [] : ['Redis cannot be used: each replica fetches for itself meanwhile.'],
    close: () => {
      service.close();
    },
  };
}
