// How full the disk of a folder is. A disk that hangs holds up no scrape, and no more than one thread.

import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DiskSpace {
  /** Bytes of the whole disk. */
  readonly size: number;
  /** Bytes that this process may still write. */
  readonly free: number;
}

const longestMs = 1000;

export class Disk {
  readonly #folder: string;
  #asked: Promise<DiskSpace | undefined> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined: not known, since the folder is gone or its disk does not answer within a second. */
  async space(): Promise<DiskSpace | undefined> {
    this.#asked ??= this.#ask();
    const timer = new AbortController();
    const late = sleep(longestMs, undefined, { signal: timer.signal }).catch(() => undefined);
    const space = await Promise.race([this.#asked, late]);
    timer.abort();
    return space;
  }

  async #ask(): Promise<DiskSpace | undefined> {
    try {
      const { blocks, bavail, bsize } = await statfs(this.#folder);
      return { size: blocks * bsize, free: bavail * bsize };
    } catch {
      return undefined;
    } finally {
      this.#asked = undefined;
    }
  }
}
