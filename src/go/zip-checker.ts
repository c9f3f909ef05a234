// Checks module zips off the event loop, on a few threads that are started when first needed and then kept.
// Tiny zips are checked on the spot: that takes less than a message to a thread and back, and does not queue
// behind large ones.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { LarderError, messageOf } from '../engine/errors.ts';
import { checkTinyZip, type ZipCheckRequest, type ZipCheckResult } from './zip-check.ts';
import type { ZipWorkerAnswer } from './zip-worker.ts';

interface Job {
  readonly request: ZipCheckRequest;
  readonly resolve: (result: ZipCheckResult) => void;
  readonly reject: (error: LarderError) => void;
}

interface Thread {
  readonly worker: Worker;
  job: Job | undefined;
}

/** MiB of heap a thread: several times what the longest directory that is taken needs. */
const HEAP_MIB = 512;
/** Few objects live on, and their large buffers are freed with them: a small nursery keeps memory low. */
const YOUNG_MIB = 8;
/** The program runs from its sources in development, and compiled elsewhere. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './zip-worker.ts' : './zip-worker.js',
  import.meta.url,
);

export class ZipChecker {
  readonly #limit: number;
  readonly #threads = new Set<Thread>();
  readonly #queue: Job[] = [];
  #closed = false;

  /** `workers`: threads at most. By default one a core, no more than two. */
  constructor(options: { workers?: number } = {}) {
    this.#limit = options.workers ?? Math.min(2, availableParallelism());
  }

  /**
   * Checks a zip by the rules of module zips, and hashes it. First come, first served. The source must stay as it is
   * until the promise settles; a check under way is not interrupted by the signal, but nobody waits for it any more.
   * Throws LarderError: `bad_content` when the zip breaks a rule, `store_failed` when it cannot be read back,
   * `overloaded` when the thread dies or the checker is closed; and the signal's reason when it aborts.
   */
  async check(request: ZipCheckRequest, signal?: AbortSignal): Promise<ZipCheckResult> {
    signal?.throwIfAborted();
    if (this.#closed) throw stopping();
    if ('bytes' in request.source) {
      const result = checkTinyZip(request);
      if (result !== undefined) return result;
    }
    return await new Promise<ZipCheckResult>((resolve, reject) => {
      const job: Job = {
        request,
        resolve: (result) => {
          signal?.removeEventListener('abort', abort);
          resolve(result);
        },
        reject: (error) => {
          signal?.removeEventListener('abort', abort);
          reject(error);
        },
      };
      const abort = (): void => {
        const at = this.#queue.indexOf(job);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.push(job);
      this.#dispatch();
    });
  }

  /** Ends the threads. Checks that wait or are under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const job of this.#queue.splice(0)) job.reject(stopping());
    await Promise.all(Array.from(this.#threads, ({ worker }) => worker.terminate()));
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const thread = this.#idleThread();
      if (thread === undefined) return;
      const job = this.#queue.shift();
      if (job === undefined) return;
      thread.job = job;
      // Busy, it keeps the process open: somebody waits for the answer.
      thread.worker.ref();
      thread.worker.postMessage(...parcel(job.request));
    }
  }

  #idleThread(): Thread | undefined {
    for (const thread of this.#threads) if (thread.job === undefined) return thread;
    return this.#threads.size < this.#limit ? this.#start() : undefined;
  }

  #start(): Thread {
    const worker = new Worker(WORKER, {
      name: 'zip-check',
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB, maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    const thread: Thread = { worker, job: undefined };
    let death: unknown = 'its thread ended';
    worker.on('message', (answer: ZipWorkerAnswer) => {
      const job = thread.job;
      thread.job = undefined;
      worker.unref();
      settle(job, answer);
      this.#dispatch();
    });
    worker.on('error', (error) => {
      death = error;
    });
    worker.on('exit', () => {
      this.#threads.delete(thread);
      thread.job?.reject(this.#closed ? stopping() : broken(thread.job.request, death));
      if (!this.#closed) this.#dispatch();
    });
    this.#threads.add(thread);
    return thread;
  }
}

/** The message of a request, and what moves with it. Bytes go in a copy of their own: a part of a buffer takes all of it along. */
function parcel(request: ZipCheckRequest): [ZipCheckRequest, ArrayBuffer[]] {
  const { source, size, module, version } = request;
  if ('path' in source) return [{ source: { path: source.path }, size, module, version }, []];
  const bytes = new Uint8Array(source.bytes);
  return [{ source: { bytes }, size, module, version }, [bytes.buffer]];
}

function settle(job: Job | undefined, answer: ZipWorkerAnswer): void {
  if ('result' in answer) job?.resolve(answer.result);
  else job?.reject(new LarderError(answer.error.code, answer.error.message));
}

const stopping = (): LarderError => new LarderError('overloaded', 'Larder is being stopped');

const broken = ({ module, version }: ZipCheckRequest, cause: unknown): LarderError =>
  new LarderError(
    'overloaded',
    `the check of the zip of ${module}@${version} broke off, try again: ${messageOf(cause)}`,
    { cause },
  );
