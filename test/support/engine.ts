// What the engine's own tests need around it: a store in memory that can be slow or refuse, a source whose bytes a test
// sends by hand, a clock that a test moves, and a listener that remembers.

import { createHash } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { LocalLock } from '../../src/coordination/local-lock.ts';
import { Answers, type AnswerBytes } from '../../src/engine/answers.ts';
import { LarderError, type CacheOutcome, type ErrorCode } from '../../src/engine/errors.ts';
import { Failures } from '../../src/engine/failures.ts';
import type { ContentRequest } from '../../src/engine/fill.ts';
import { Fills } from '../../src/engine/fills.ts';
import type { Freshness } from '../../src/engine/freshness.ts';
import { memoryBody } from '../../src/engine/memory-body.ts';
import type {
  Body,
  Clock,
  ContentRecord,
  Listener,
  Lock,
  StashSource,
  Store,
  StoredContent,
} from '../../src/engine/ports.ts';
import {
  PullThrough,
  type AnswerRequest,
  type Ask,
  type ServedAnswer,
} from '../../src/engine/pull-through.ts';
import { readFile } from 'node:fs/promises';
import { Gate } from './faults.ts';
import { tempDir } from './tmp.ts';

/** Stands still until a test moves it. */
export class ManualClock implements Clock {
  #now = Date.parse('2026-01-02T03:04:05.000Z');

  readonly now = (): number => this.#now;

  advance(ms: number): void {
    this.#now += ms;
  }
}

export const never = new AbortController().signal;

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** All that a body gives of [start, end), which is copied as a chunk lives only until the next. */
export async function bytesOf(
  body: Body,
  start = 0,
  end?: number,
  signal = never,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body.read(start, end, signal)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

type Operation =
  'open' | 'record' | 'stash' | 'readDocument' | 'writeDocument' | 'spoil' | 'delete';

/** A store whose calls a test can hold back, refuse and count. */
export class MemoryStore implements Store {
  readonly content = new Map<string, { record: ContentRecord; bytes: Uint8Array }>();
  readonly documents = new Map<string, Uint8Array>();
  readonly spoiled = new Set<string>();
  /** Calls so far, as `operation key`. */
  readonly calls: string[] = [];
  readonly #refused = new Map<Operation, Error>();
  readonly #gates = new Map<Operation, Gate>();

  /** From now on these calls throw. */
  refuse(...operations: Operation[]): void {
    const error = new LarderError('store_failed', 'the store of this test is down');
    for (const operation of operations) this.#refused.set(operation, error);
  }

  /** Calls that have done their work answer only when the gate opens. */
  hold(operation: Operation): Gate {
    const gate = new Gate();
    this.#gates.set(operation, gate);
    return gate;
  }

  /** Later calls pass; those at the gate still wait. */
  holdNoMore(operation: Operation): void {
    this.#gates.delete(operation);
  }

  recover(): void {
    this.#refused.clear();
  }

  open(key: string): Promise<StoredContent | undefined> {
    return this.#run('open', key, () => {
      const found = this.content.get(key);
      return found && { record: found.record, body: memoryBody(found.bytes) };
    });
  }

  record(key: string): Promise<ContentRecord | undefined> {
    return this.#run('record', key, () => this.content.get(key)?.record);
  }

  async stash(
    key: string,
    source: StashSource,
    record: ContentRecord,
  ): Promise<'stored' | 'present'> {
    const bytes = 'bytes' in source ? Buffer.from(source.bytes) : await readFile(source.path);
    return this.#run('stash', key, () => {
      if (this.content.has(key)) return 'present';
      this.spoiled.delete(key);
      this.content.set(key, { record, bytes });
      return 'stored';
    });
  }

  readDocument(key: string): Promise<Uint8Array | undefined> {
    return this.#run('readDocument', key, () => this.documents.get(key));
  }

  writeDocument(key: string, bytes: Uint8Array): Promise<void> {
    return this.#run('writeDocument', key, () => void this.documents.set(key, bytes));
  }

  spoil(key: string): Promise<void> {
    return this.#run('spoil', key, () => {
      if (this.content.delete(key)) this.spoiled.add(key);
    });
  }

  isSpoiled(key: string): Promise<boolean> {
    return Promise.resolve(this.spoiled.has(key));
  }

  delete(key: string): Promise<void> {
    return this.#run('delete', key, () => {
      this.spoiled.delete(key);
      this.content.delete(key);
      this.documents.delete(key);
    });
  }

  list(folder: string): Promise<string[]> {
    this.calls.push(`list ${folder}`);
    const below = [...this.content.keys(), ...this.spoiled, ...this.documents.keys()]
      .filter((key) => key.startsWith(folder === '' ? '' : `${folder}/`))
      .map((key) => key.slice(folder === '' ? 0 : folder.length + 1).replace(/\/.*/s, '/'));
    return Promise.resolve([...new Set(below)].sort());
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  async #run<T>(operation: Operation, key: string, run: () => T): Promise<T> {
    this.calls.push(`${operation} ${key}`);
    await Promise.resolve();
    const refused = this.#refused.get(operation);
    if (refused) throw refused;
    const result = run();
    const gate = this.#gates.get(operation);
    if (gate) await gate.pass(never);
    return result;
  }
}

/** Bytes of an upstream, sent by hand. */
export class Feed {
  /** Whether the reader has gone before the end. */
  left = false;
  readonly #chunks: Uint8Array[] = [];
  #over = false;
  #error: Error | undefined;
  #wake = Promise.withResolvers<undefined>();

  send(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#tell();
  }

  end(): void {
    this.#over = true;
    this.#tell();
  }

  fail(error: Error): void {
    this.#error = error;
    this.end();
  }

  #tell(): void {
    this.#wake.resolve(undefined);
    this.#wake = Promise.withResolvers();
  }

  /** Breaks with the signal's reason, as every source does. */
  async *body(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let done = false;
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });
    aborted.catch(() => undefined);
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) yield chunk;
        else if (this.#over) break;
        else await Promise.race([this.#wake.promise, aborted]);
      }
      done = true;
      if (this.#error) throw this.#error;
    } finally {
      this.left = !done;
    }
  }
}

export interface Content extends ContentRequest {
  /** Fetches so far. */
  fetches: number;
  /** Questions for the size alone so far. */
  sizeFetches: number;
}

export interface ContentOptions {
  readonly upstream?: string;
  /** What the upstream announces. Default: for bytes their length, for a feed nothing. */
  readonly size?: number | undefined;
  readonly maxBytes?: number;
  /** Thrown by the fetch. */
  readonly error?: Error;
  /** Thrown by the check. */
  readonly bad?: Error;
  /** Where the fetch waits before there is an answer. */
  readonly gate?: Gate;
  /** Where the check waits. */
  readonly checkGate?: Gate;
}

/** Something that may be fetched. */
export function content(
  key: string,
  from: Uint8Array | Feed,
  options: ContentOptions = {},
): Content {
  const size = 'size' in options || from instanceof Feed ? options.size : from.length;
  return {
    key,
    failureKey: key,
    fetches: 0,
    sizeFetches: 0,
    upstream: options.upstream ?? 'http://upstream.test',
    maxBytes: options.maxBytes ?? 1024 ** 3,
    async fetch(signal) {
      this.fetches++;
      await options.gate?.pass(signal);
      if (options.error) throw options.error;
      let feed = from;
      if (!(feed instanceof Feed)) {
        feed = new Feed();
        feed.send(from as Uint8Array);
        feed.end();
      }
      return { size, source: 'http://upstream.test', body: feed.body(signal) };
    },
    async fetchSize(signal) {
      this.sizeFetches++;
      await options.gate?.pass(signal);
      if (options.error) throw options.error;
      return size;
    },
    beginCheck: (signal) => ({
      async verify() {
        await options.checkGate?.pass(signal);
        if (options.bad) throw options.bad;
        return { checked: 'yes' };
      },
    }),
  };
}

export type Event = Readonly<Record<string, unknown>> & { readonly name: keyof Listener };

/** A listener that keeps what it is told. */
export function recorder(): { listener: Required<Listener>; events: Event[] } {
  const events: Event[] = [];
  const tell = (name: keyof Listener) => (event: object) => void events.push({ ...event, name });
  return {
    events,
    listener: {
      fillEnded: tell('fillEnded'),
      stored: tell('stored'),
      added: tell('added'),
      removed: tell('removed'),
      evicted: tell('evicted'),
      storeFailed: tell('storeFailed'),
      staleServed: tell('staleServed'),
      upstreamHeld: tell('upstreamHeld'),
      upstreamLimit: tell('upstreamLimit'),
      upstreamDown: tell('upstreamDown'),
      upstreamAnswered: tell('upstreamAnswered'),
      lockService: tell('lockService'),
      unverified: tell('unverified'),
    },
  };
}

export interface EngineOptions {
  readonly negativeTtlMs?: number;
  readonly fillTimeoutMs?: number;
  readonly lock?: Lock;
  /** One that another engine uses too, as a second replica would. */
  readonly store?: MemoryStore;
}

/** The whole engine around a store in memory. */
export function engine(options: EngineOptions = {}) {
  const store = options.store ?? new MemoryStore();
  const clock = new ManualClock();
  const { listener, events } = recorder();
  const failures = new Failures(clock, options.negativeTtlMs ?? 30_000);
  const spoolDir = tempDir();
  const lock = options.lock ?? new LocalLock();
  const fills = new Fills(
    {
      store,
      lock,
      listener,
      spoolDir,
      fillTimeoutMs: options.fillTimeoutMs ?? 60_000,
      now: clock.now,
    },
    failures,
  );
  const answers = new Answers(store);
  const used: string[] = [];
  const usage = { used: (key: string) => void used.push(key), reading: () => () => undefined };
  const pull = new PullThrough({ store, lock, answers, fills, failures, listener, clock, usage });
  return { store, clock, events, failures, fills, answers, pull, spoolDir, used };
}

export const online: Ask = { mode: 'sync', signal: never };
export const offline: Ask = { mode: 'none', signal: never };

const freshness: Freshness = {
  ttlMs: 60_000,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 600_000,
};

/** An answer whose upstream says what a test sets, and counts. */
export class Question implements AnswerRequest {
  readonly key: string;
  readonly freshness: Freshness;
  /** What the upstream says, or fails with. */
  says: string | Error;
  asked = 0;
  /** Where the upstream waits before it says anything. */
  gate: Gate | undefined;
  fallback?: () => Promise<AnswerBytes | undefined>;

  constructor(key: string, says: string | Error, of: Partial<Freshness> = {}) {
    this.key = key;
    this.says = says;
    this.freshness = { ...freshness, ...of };
  }

  readonly fetch = async (signal: AbortSignal): Promise<AnswerBytes> => {
    this.asked++;
    const { says } = this;
    await this.gate?.pass(signal);
    if (says instanceof Error) throw says;
    return { bytes: Buffer.from(says), source: 'http://upstream.test' };
  };
}

/** What a client sees of an answer. */
export async function told(answer: Promise<ServedAnswer>): Promise<[CacheOutcome, string, number]> {
  const { outcome, body, maxAgeMs } = await answer;
  return [outcome, (await bytesOf(body)).toString(), maxAgeMs];
}

export const failure = (code: ErrorCode): LarderError =>
  new LarderError(code, `a ${code} of the test`);

/** Descriptors of this process on files below a folder, those that are unlinked included. Linux alone can tell. */
export function openFilesBelow(dir: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(`${dir}/`) ? [target] : [];
    } catch {
      return []; // closed since it was listed
    }
  });
}
