import type { Collector, CollectResult } from '../references/collect.ts';
import type { Job, Jobs } from '../references/jobs.ts';

/** How often a replica looks whether it is time; a quarter of the interval where that is less. Milliseconds. */
const LONGEST_LOOK_MS = 5 * 60_000;
const SHORTEST_LOOK_MS = 1000;

export interface CollectScheduleParts {
  readonly jobs: Jobs;
  readonly collector: Pick<Collector, 'isDue' | 'run'>;
  /** 0: never. */
  readonly intervalMs: number;
  /** Told what went; must not throw, as the other. */
  readonly ended: (counts: Omit<CollectResult, 'collected'>) => void;
  readonly failed: (error: unknown) => void;
}

/** Collects by itself, whichever replica comes first. */
export class CollectSchedule {
  readonly #parts: CollectScheduleParts;
  readonly #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(parts: CollectScheduleParts) {
    this.#parts = parts;
    const { intervalMs } = parts;
    if (intervalMs === 0) return;
    const lookMs = Math.min(LONGEST_LOOK_MS, Math.max(SHORTEST_LOOK_MS, intervalMs / 4));
    this.#timer = setInterval(() => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    }, lookMs).unref();
  }

  /** Resolves when no look is under way. What it has started is a job. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { jobs, collector, intervalMs, failed } = this.#parts;
    try {
      if (jobs.isRunning('collect') || !(await collector.isDue(intervalMs))) return;
      jobs.start(
        'collect',
        (signal, progress) => collector.run({ dryRun: false, dueMs: intervalMs }, signal, progress),
        (job) => {
          this.#ended(job);
        },
      );
    } catch (error) {
      failed(error);
    }
  }

  #ended({ state, result, error }: Job): void {
    if (state === 'failed') this.#parts.failed(error);
    if (state !== 'done') return;
    const { collected, ...counts } = result as CollectResult;
    if (collected.length > 0) this.#parts.ended(counts);
  }
}
