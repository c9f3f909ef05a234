import { stat } from 'node:fs/promises';

import { messageOf } from '../engine/errors.ts';
import type { Logger } from '../observability/logger.ts';

const EVERY_MS = 1000;

export interface Watched {
  /** What is logged of them: the names of their settings. */
  readonly name: string;
  readonly files: readonly string[];
  /** Reads them and takes over what is in them: true where that is new. Throws when they cannot be used as they are. */
  readonly reload: () => Promise<boolean>;
}

/**
 * Reloads files that were read before when they change, as looked up once a second by their names: what Kubernetes swaps,
 * it swaps by a link that a watch of the file would not see. What cannot be used leaves all as it was, and is tried again
 * every second. Does not keep the process alive.
 */
export class FileWatch {
  readonly #watched: Watched;
  readonly #logger: Logger;
  /** Of the files as they were taken over. None at first: they may have changed since they were read at the start. */
  #taken = '';
  /** Logged last, so that each is logged once. */
  #problem = '';
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(watched: Watched, logger: Logger) {
    this.#watched = watched;
    this.#logger = logger;
    this.#again();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #again(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        this.#again();
      });
    }, EVERY_MS).unref();
  }

  async #look(): Promise<void> {
    const { name, files, reload } = this.#watched;
    try {
      const seen = (await Promise.all(files.map(stateOf))).join(' ');
      if (seen === this.#taken) return;
      if (await reload()) this.#logger.info(`${name} changed and was read again`);
      this.#taken = seen;
      this.#problem = '';
    } catch (error) {
      const reason = messageOf(error);
      if (reason === this.#problem) return;
      this.#problem = reason;
      this.#logger.warn(
        { reason },
        `${name} changed and cannot be used: what was read before holds`,
      );
    }
  }
}

/** What is another one whenever the bytes are. */
async function stateOf(file: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join();
}
