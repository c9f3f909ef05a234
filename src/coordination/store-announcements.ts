// Announcements to all replicas that share a store, for when Redis is not there to carry them: a document each, found by
// looking. Clocks of replicas differ: what counts is which names were seen, and when by the own clock.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { keysBelow } from '../engine/keys-below.ts';
import type { Store } from '../engine/ports.ts';
import {
  EVERYTHING,
  type Announcements,
  type PurgeHandler,
  type PurgeScope,
} from '../engine/purge-plan.ts';
import type { DocumentItem } from '../engine/verify-plan.ts';
import { decodeScope, encodeScope } from './announced.ts';
import type { LocalAnnouncements } from './local-announcements.ts';

export const FOLDER = 'answers/purges';
const LOOK_MS = 5000;
/** Longest wait for the store at the start. Milliseconds. */
const START_MS = 1000;
/** After which everybody has seen an announcement. Milliseconds. */
const KEPT_MS = 10 * 60_000;

export interface StoreAnnouncementsParts {
  readonly store: Pick<Store, 'list' | 'readDocument' | 'writeDocument' | 'delete'>;
  /** Whose handlers are called for what is found. */
  readonly local: LocalAnnouncements;
  /** What carries them beside: all of them, within this process at least. */
  readonly carrier: Announcements;
  /** As of RedisService. Without it nothing but the store tells. */
  readonly redis?: { readonly hearing: number | undefined } | undefined;
  readonly now: () => number;
  /** Told of a store that fails, and of what is found and cannot be followed; must not throw. */
  readonly failed: (error: unknown) => void;
}

export class StoreAnnouncements implements Announcements {
  readonly #parts: StoreAnnouncementsParts;
  readonly #self = randomUUID();
  /** Names that need not be followed any more. */
  readonly #followed = new Set<string>();
  /** When each name was seen first. */
  readonly #since = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  /** What Redis said of itself before the last look that went well. */
  #heardBefore: number | undefined;
  #looking: Promise<void> | undefined;

  private constructor(parts: StoreAnnouncementsParts) {
    this.#parts = parts;
  }

  /** Whatever is announced already is no news. A store that is slow is waited for a second. Close it. */
  static async open(parts: StoreAnnouncementsParts): Promise<StoreAnnouncements> {
    const announcements = new StoreAnnouncements(parts);
    await announcements.#begin();
    return announcements;
  }

  async announce(scope: PurgeScope): Promise<void> {
    await Promise.all([this.#parts.carrier.announce(scope), this.#write(scope)]);
  }

  subscribe(handler: PurgeHandler): void {
    this.#parts.carrier.subscribe(handler);
  }

  /** Resolves when no look is under way. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #begin(): Promise<void> {
    const { failed, redis } = this.#parts;
    const hearing = redis?.hearing;
    const waiting = new AbortController();
    const { signal } = waiting;
    const names = await Promise.race([
      this.#list().catch((error: unknown) => {
        failed(error);
        return undefined;
      }),
      sleep(START_MS, undefined, { signal }).catch(() => undefined),
    ]);
    waiting.abort();
    // without an answer all that is found later is followed: that forgets too much, and not too little
    if (names) {
      for (const name of names) this.#followed.add(name);
      this.#heardBefore = hearing;
    }
    this.#timer = setInterval(() => {
      this.#looking ??= this.#lookIfNeeded().finally(() => {
        this.#looking = undefined;
      });
    }, LOOK_MS).unref();
  }

  async #write(scope: PurgeScope): Promise<void> {
    const { store, failed, now } = this.#parts;
    const lines = encodeScope(this.#self, scope);
    if (lines.length === 0) return;
    const name = `${new Date(now()).toISOString()}-${randomUUID()}`;
    this.#followed.add(name);
    try {
      await store.writeDocument(`${FOLDER}/${name}`, Buffer.from(lines.join('\n')));
      await this.#removeOld();
    } catch (error) {
      failed(error);
    }
  }

  async #removeOld(): Promise<void> {
    const { store, now } = this.#parts;
    const before = now() - KEPT_MS;
    for (const name of await this.#list()) {
      if ((this.#since.get(name) ?? Infinity) <= before) await store.delete(`${FOLDER}/${name}`);
    }
  }

  async #list(): Promise<string[]> {
    const { store, now } = this.#parts;
    const names = await store.list(FOLDER);
    const there = new Set(names);
    for (const name of this.#since.keys()) {
      if (there.has(name)) continue;
      this.#since.delete(name);
      this.#followed.delete(name);
    }
    for (const name of names) if (!this.#since.has(name)) this.#since.set(name, now());
    return names;
  }

  async #lookIfNeeded(): Promise<void> {
    const hearing = this.#parts.redis?.hearing;
    if (hearing !== undefined && hearing === this.#heardBefore) return;
    try {
      await this.#look();
      this.#heardBefore = hearing;
    } catch (error) {
      this.#heardBefore = undefined;
      this.#parts.failed(error);
    }
  }

  async #look(): Promise<void> {
    for (const name of await this.#list()) {
      if (this.#followed.has(name)) continue;
      const document = await this.#parts.store.readDocument(`${FOLDER}/${name}`);
      if (document) await this.#follow(document);
      this.#followed.add(name);
    }
  }

  async #follow(document: Uint8Array): Promise<void> {
    const { local, failed } = this.#parts;
    for (const line of linesIn(document)) {
      try {
        await local.announce(this.#scopeIn(line));
      } catch (error) {
        failed(error);
      }
    }
  }

  /** What cannot be read may have been of anything. */
  #scopeIn(line: string): PurgeScope {
    try {
      return decodeScope(line);
    } catch (error) {
      this.#parts.failed(error);
      return EVERYTHING;
    }
  }
}

const linesIn = (document: Uint8Array): string[] => Buffer.from(document).toString().split('\n');

/** For a verification. One that is wrong has whoever finds it forget everything. */
export async function* announcementDocuments(
  store: Pick<Store, 'list' | 'writeDocument'>,
): AsyncGenerator<DocumentItem> {
  for await (const key of keysBelow(store, FOLDER)) {
    const isSound = (document: Uint8Array) => {
      try {
        linesIn(document).forEach(decodeScope);
        return true;
      } catch {
        return false;
      }
    };
    const lines = encodeScope(randomUUID(), EVERYTHING);
    const rewrite = () => store.writeDocument(key, Buffer.from(lines.join('\n')));
    yield { kind: 'document', key, isSound, rewrite };
  }
}
