// Answers: small documents that may change. Kept in the store with their age, and decoded in a bounded memory in front.

import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { AnswerAge } from './freshness.ts';
import type { ContentRecord, Store } from './ports.ts';
import { seal, unseal } from './seal.ts';

/** What an upstream said. */
export interface AnswerBytes {
  readonly bytes: Uint8Array;
  readonly source: string;
}

export interface Answer extends AnswerAge {
  readonly bytes: Uint8Array;
  /** `time` is when these bytes were first seen, so that it can serve as Last-Modified. */
  readonly record: ContentRecord;
}

/** Bytes of answers in memory. */
const MEMORY = 32 * 1024 * 1024;

export class Answers {
  readonly #store: Store;
  readonly #memory = new LRUCache<string, Answer>({
    maxSize: MEMORY,
    sizeCalculation: (answer) => answer.bytes.length + 512,
  });
  /** Writes under way. None rejects. */
  readonly #writes = new Set<{ readonly key: string; readonly done: Promise<void> }>();
  /** Grows with each: what was read at another number may be gone since. */
  #purges = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The answer as this process knows it, without a look into the store. */
  peek(key: string): Answer | undefined {
    return this.#memory.get(key);
  }

  /** The answer as the store has it. Throws LarderError `store_failed`. */
  async read(key: string): Promise<Answer | undefined> {
    for (;;) {
      const purges = this.#purges;
      const before = this.#memory.get(key);
      const document = await this.#store.readDocument(key);
      if (purges !== this.#purges) continue;
      // what was written meanwhile is newer than what was read
      const meanwhile = this.#memory.get(key);
      if (meanwhile !== undefined && meanwhile !== before) return meanwhile;
      const answer = document && decodeAnswer(document);
      if (answer) this.#memory.set(key, answer);
      else this.#memory.delete(key);
      return answer;
    }
  }

  /**
   * Keeps an answer; in the store not before `references` are there. Throws LarderError `store_failed`; memory has it all
   * the same.
   */
  async keep(
    key: string,
    answer: Answer,
    references?: () => Promise<void> | undefined,
  ): Promise<Answer> {
    this.#memory.set(key, answer);
    const write = this.#write(key, answer, references);
    const entry = { key, done: write.catch(() => undefined) };
    this.#writes.add(entry);
    try {
      await write;
      return answer;
    } finally {
      this.#writes.delete(entry);
    }
  }

  async #write(
    key: string,
    answer: Answer,
    references?: () => Promise<void> | undefined,
  ): Promise<void> {
    await references?.();
    await this.#store.writeDocument(key, encode(answer));
  }

  /** Moves the clock of a failing check on. Throws as `keep` does. */
  markFailed(key: string, answer: Answer, now: number): Promise<Answer> {
    return this.keep(key, { ...answer, failedAt: now });
  }

  /** Makes the next request ask the upstream, while the bytes stay for a stale answer. Throws as `keep` does. */
  async expire(key: string): Promise<void> {
    if (!this.peek(key)) await this.read(key);
    // as memory has it: what was purged since it was read stays away
    const answer = this.peek(key);
    if (answer) await this.keep(key, { ...answer, expired: true });
  }

  /** Looks into the store for it next time, as another replica has changed it there; a read under way may bring it as it was. */
  drop(key: string): void {
    this.#memory.delete(key);
  }

  /** Deletes one. Throws LarderError `store_failed`. */
  async forget(key: string): Promise<void> {
    this.#memory.delete(key);
    await this.#store.delete(key);
  }

  /** Has none of these in memory any more, for all that was read before. Resolves when none is being written. Never rejects. */
  async forgetAll(matches: (key: string) => boolean): Promise<void> {
    this.#purges++;
    for (const key of [...this.#memory.keys()]) if (matches(key)) this.#memory.delete(key);
    const written = [...this.#writes].filter(({ key }) => matches(key));
    await Promise.all(written.map(({ done }) => done));
  }
}

/** What an upstream has just said, as it is kept; `previous` is what it said before. */
export function confirmed(fresh: AnswerBytes, previous: Answer | undefined, now: number): Answer {
  const sha256 = sha256Of(fresh.bytes);
  const same = previous?.record.sha256 === sha256;
  return {
    bytes: fresh.bytes,
    confirmedAt: now,
    record: {
      size: fresh.bytes.length,
      sha256,
      time: same ? previous.record.time : new Date(now).toISOString(),
      source: fresh.source,
      extra: {},
    },
  };
}

const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

const NEWLINE = 0x0a;
const MEMBERS = ['confirmedAt', 'failedAt', 'expired', 'record'];

/** One line of JSON, then the bytes as they are. */
function encode({ bytes, ...head }: Answer): Uint8Array {
  return Buffer.concat([Buffer.from(`${seal(head)}\n`), bytes]);
}

/** Of a document in the store; undefined for what cannot be read: an answer can always be asked for again. */
export function decodeAnswer(document: Uint8Array): Answer | undefined {
  const end = document.indexOf(NEWLINE);
  const fields = unseal(Buffer.from(document.subarray(0, end)).toString(), MEMBERS);
  const head = fields as Partial<Omit<Answer, 'bytes'>> | undefined;
  const bytes = document.subarray(end + 1);
  if (head?.record?.sha256 !== sha256Of(bytes)) return undefined;
  return { ...(head as Omit<Answer, 'bytes'>), bytes };
}
