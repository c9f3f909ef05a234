import type { Announcements, PurgeHandler, PurgeScope } from '../engine/purge-plan.ts';

/** Announcements within one process. */
export class LocalAnnouncements implements Announcements {
  readonly #handlers: PurgeHandler[] = [];

  async announce(scope: PurgeScope): Promise<void> {
    const ends = await Promise.allSettled(this.#handlers.map(async (handle) => handle(scope)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  subscribe(handler: PurgeHandler): void {
    this.#handlers.push(handler);
  }
}
