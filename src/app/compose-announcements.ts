// How purges reach all replicas: the announcements' part of the composition.

import { LocalAnnouncements } from '../coordination/local-announcements.ts';
import { RedisAnnouncements } from '../coordination/redis-announcements.ts';
import type { RedisService } from '../coordination/redis.ts';
import { StoreAnnouncements } from '../coordination/store-announcements.ts';
import { systemClock, type Listener, type Store } from '../engine/ports.ts';
import type { Announcements } from '../engine/purge-plan.ts';

export interface ComposedAnnouncements {
  readonly announcements: Announcements;
  /** To be called before the store and Redis are closed. */
  close(): Promise<void>;
}

/** `sharedStore`: a store that other replicas use too. */
export async function composeAnnouncements(
  redis: RedisService | undefined,
  sharedStore: Store | undefined,
  listener: Pick<Required<Listener>, 'storeFailed'>,
): Promise<ComposedAnnouncements> {
  const failed = (error: unknown) => {
    listener.storeFailed({ key: '', operation: 'purges', error });
  };
  const local = new LocalAnnouncements();
  const inRedis = redis && new RedisAnnouncements({ redis, local, failed });
  const carrier = inRedis ?? local;
  const inStore =
    sharedStore &&
    (await StoreAnnouncements.open({
      store: sharedStore,
      local,
      carrier,
      redis,
      now: systemClock.now,
      failed,
    }));
  return {
    announcements: inStore ?? carrier,
    async close() {
      inRedis?.close();
      await inStore?.close();
    },
  };
}
