// Long work that survives a client that leaves: it runs under an id, tells how far it is, and can be cancelled. Of each kind
// one runs at a time in this process; whoever asks for another one meanwhile gets an id too, and its turn after those before.

import { randomUUID } from 'node:crypto';
import { LarderError, messageOf } from '../engine/errors.ts';

/** Ended ones that are remembered. */
const ENDED = 100;
/** Of one kind, the running one included. */
const MAX_OF_KIND = 16;

/** How far it is, in whatever pieces the work counts. `total` may grow while it looks. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What a job does. Ends soon after the signal aborts, by throwing its reason. */
export type Work<R> = (signal: AbortSignal, progress: (now: Progress) => void) => Promise<R>;

/** The reason of the signal of a job that somebody has cancelled. */
export const CANCELLED = new LarderError('overloaded', 'the job was cancelled');

/** As the admin API shows it. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  /** `running` also while it waits for its turn. */
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  readonly progress: Progress;
  /** Null until it is done. */
  readonly result: unknown;
  /** A sentence; of those that failed alone. */
  readonly error?: string;
}

interface Entry {
  job: Job;
  readonly cancelling: AbortController;
}

export class Jobs {
  /** In the order in which they came. */
  readonly #entries = new Map<string, Entry>();
  /** The last one of each kind. None rejects. */
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #mistake: (error: unknown) => void;
  #closing = false;

  /** `mistake`: told of errors that are none of the domain; must not throw. */
  constructor(mistake: (error: unknown) => void) {
    this.#mistake = mistake;
  }

  /**
   * Starts one, or puts it behind those of its kind; `ended` is called with it at its end, and must not throw. Throws
   * LarderError `overloaded` when too many wait.
   */
  start(kind: string, work: Work<unknown>, ended?: (job: Job) => void): Job {
    const sameKind = this.list().filter((one) => one.kind === kind && one.state === 'running');
    if (this.#closing) throw new LarderError('overloaded', 'the server is stopping');
    if (sameKind.length >= MAX_OF_KIND)
      throw new LarderError('overloaded', `${String(MAX_OF_KIND)} jobs of this kind wait already`);
    const id = randomUUID();
    const job: Job = {
      id,
      kind,
      state: 'running',
      progress: { done: 0, total: 0 },
      result: null,
    };
    const entry: Entry = { job, cancelling: new AbortController() };
    this.#entries.set(id, entry);
    const before = this.#tails.get(kind) ?? Promise.resolve();
    // one that is cancelled does not wait for its turn
    const run = Promise.race([before, aborted(entry.cancelling.signal)])
      .then(() => this.#run(entry, work))
      .then((end) => {
        entry.job = { ...entry.job, ...end };
        this.#dropOld();
        ended?.(entry.job);
      });
    const tail = Promise.all([before, run]).then(() => {
      if (this.#tails.get(kind) === tail) this.#tails.delete(kind);
    });
    this.#tails.set(kind, tail);
    return job;
  }

  /** Whether one of this kind runs. */
  isRunning(kind: string): boolean {
    return this.#tails.has(kind);
  }

  get(id: string): Job | undefined {
    return this.#entries.get(id)?.job;
  }

  /** The newest first. */
  list(): Job[] {
    return [...this.#entries.values()].map(({ job }) => job).reverse();
  }

  /** Asks it to end; what it did until then stays done. False for one that has ended, or was never there. */
  cancel(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry?.job.state !== 'running') return false;
    entry.cancelling.abort(CANCELLED);
    return true;
  }

  /** Ends all; none can be started any more. Resolves when all have ended. */
  async close(): Promise<void> {
    this.#closing = true;
    const stopping = new LarderError('overloaded', 'the server is stopping');
    for (const { cancelling } of this.#entries.values()) cancelling.abort(stopping);
    await Promise.all(this.#tails.values());
  }

  async #run(entry: Entry, work: Work<unknown>): Promise<Partial<Job>> {
    const { signal } = entry.cancelling;
    try {
      signal.throwIfAborted();
      const result = await work(signal, (progress) => {
        entry.job = { ...entry.job, progress };
      });
      return { state: 'done', result };
    } catch (error) {
      if (signal.aborted) return { state: 'cancelled' };
      if (error instanceof LarderError) return { state: 'failed', error: messageOf(error) };
      this.#mistake(error);
      return { state: 'failed', error: 'Larder made a mistake; its log says more.' };
    }
  }

  #dropOld(): void {
    const ended = [...this.#entries.values()].filter(({ job }) => job.state !== 'running');
    for (const { job } of ended.slice(0, -ENDED)) this.#entries.delete(job.id);
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    signal.addEventListener(
      'abort',
      () => {
        resolve();
      },
      { once: true },
    );
  });
