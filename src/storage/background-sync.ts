// Brings files to the disk after they have been handed out. A kill loses nothing that was written, a power cut may:
// until a file is synced its store does not believe it unhashed, so nobody has to wait for the disk.

import { open } from 'node:fs/promises';

/** Files are synced when none came for so long, or when one has waited for too long. Milliseconds. */
const QUIET_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** At once: they share the work of the file system. */
const LANES = 4;
/** Past this the oldest is left to the operating system. */
const MAX_WAITING = 50_000;

export class BackgroundSync {
  /** By file, what is to be done once it is synced. */
  readonly #waiting = new Map<string, () => Promise<void>>();
  readonly #failed: (file: string, error: unknown) => void;
  #since = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  /** `failed` is told of a file that could not be synced; it must not throw. */
  constructor(failed: (file: string, error: unknown) => void) {
    this.#failed = failed;
  }

  /** Whether this process has written it, and it is not synced yet. */
  has(file: string): boolean {
    return this.#waiting.has(file);
  }

  add(file: string, synced: () => Promise<void>): void {
    const [oldest] = this.#waiting.keys();
    if (oldest === undefined) this.#since = Date.now();
    else if (this.#waiting.size >= MAX_WAITING) this.#waiting.delete(oldest);
    this.#waiting.set(file, synced);
    if (Date.now() - this.#since > LONGEST_WAIT_MS) void this.flush();
    else this.#arm();
  }

  /** A file that is deleted needs no sync. */
  forget(file: string): void {
    this.#waiting.delete(file);
  }

  /** Syncs what waits now. Never rejects. */
  flush(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.#since = Date.now();
      if (this.#waiting.size > 0) this.#arm();
    });
    return this.#running;
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => void this.flush(), QUIET_MS).unref();
    this.#timer.refresh();
  }

  async #run(): Promise<void> {
    const files = [...this.#waiting.keys()];
    const lane = async () => {
      for (let file = files.shift(); file !== undefined; file = files.shift()) {
        await this.#sync(file);
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  async #sync(file: string): Promise<void> {
    try {
      if (this.#waiting.has(file)) await syncFile(file);
      // deleted meanwhile, it must not come back
      await this.#waiting.get(file)?.();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#failed(file, error);
    }
    this.#waiting.delete(file);
  }
}

/** Throws what the system says. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
