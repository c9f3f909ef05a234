// Compares passwords with bcrypt hashes off the event loop: each takes from some milliseconds to a second of a core.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { LarderError } from '../engine/errors.ts';
import type { PasswordQuestion } from './password-worker.ts';

interface Job {
  readonly question: PasswordQuestion;
  readonly settle: (outcome: boolean | LarderError) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | undefined;
}

/** Passwords that may wait, and how long one may take with its wait. */
const MAX_WAITING = 1024;
const DEADLINE_MS = 15_000;
/** The program runs from its sources in development, and compiled elsewhere. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './password-worker.ts' : './password-worker.js',
  import.meta.url,
);

export class PasswordChecker {
  /** One core at least is left to those who are known already. */
  readonly #limit = Math.max(1, Math.min(2, availableParallelism() - 1));
  readonly #maxWaiting: number;
  readonly #threads = new Set<Thread>();
  readonly #queue: Job[] = [];
  #closed = false;

  constructor({ maxWaiting = MAX_WAITING }: { maxWaiting?: number } = {}) {
    this.#maxWaiting = maxWaiting;
  }

  /**
   * Whether the hash is one of this password. First come, first served. Throws LarderError `overloaded` when too many
   * wait, the deadline passes, the thread dies or the checker is closed.
   */
  async matches(question: PasswordQuestion): Promise<boolean> {
    if (this.#closed || this.#queue.length >= this.#maxWaiting) throw tooMany();
    return new Promise((resolve, reject) => {
      const job: Job = {
        question,
        settle: (outcome) => {
          clearTimeout(timer);
          if (typeof outcome === 'boolean') resolve(outcome);
          else reject(outcome);
        },
      };
      const timer = setTimeout(() => {
        const at = this.#queue.indexOf(job);
        if (at >= 0) this.#queue.splice(at, 1);
        job.settle(tooMany());
      }, DEADLINE_MS);
      this.#queue.push(job);
      this.#dispatch();
    });
  }

  /** Ends the threads. What waits or is under way fails. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.settle(tooMany());
    await Promise.all(Array.from(this.#threads, ({ worker }) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idleThread();
      if (thread === undefined) return;
      thread.job = this.#queue.shift();
      // busy, it keeps the process open: somebody waits for the answer
      thread.worker.ref();
      thread.worker.postMessage(thread.job?.question);
    }
  }

  #idleThread(): Thread | undefined {
    for (const thread of this.#threads) if (thread.job === undefined) return thread;
    return this.#threads.size < this.#limit ? this.#start() : undefined;
  }

  #start(): Thread {
    const worker = new Worker(WORKER, { name: 'passwords', execArgv: [] });
    const thread: Thread = { worker, job: undefined };
    let death: unknown;
    worker.on('message', (matches: boolean) => {
      const { job } = thread;
      thread.job = undefined;
      worker.unref();
      job?.settle(matches);
      this.#dispatch();
    });
    worker.on('error', (error) => {
      death = error;
    });
    worker.on('exit', () => {
      this.#threads.delete(thread);
      thread.job?.settle(tooMany(death));
      if (!this.#closed) this.#dispatch();
    });
    this.#threads.add(thread);
    return thread;
  }
}

const tooMany = (cause?: unknown): LarderError =>
  new LarderError('overloaded', 'too many passwords are being checked; try again in a moment', {
    cause,
    retryAfterMs: 2000,
    outcome: 'bypass',
  });
