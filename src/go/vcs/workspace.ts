// The folders of the go command: its home with the module cache, in which clones stay for the next version. A folder that has
// grown too large, or in which a run was killed, is given up for a new one: git leaves locks behind that nobody takes away.

import { randomUUID } from 'node:crypto';
import { lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

/** How often it is looked how large the folder is, milliseconds. */
const MEASURE_EVERY_MS = 10_000;

/** A place in the folder; to be left once. */
export interface Workplace {
  /** Home of the go command. */
  readonly home: string;
  /** An empty folder, without a go.mod in it or above. */
  readonly cwd: string;
  /** `spoiled`: the run was killed, and nobody knows what it left. */
  leave(spoiled: boolean): void;
}

/** What stands in a home from its beginning. */
export interface HomeContents {
  /** File with credentials. */
  readonly netrc: string | undefined;
  /** Texts by name. */
  readonly files: Readonly<Record<string, string>>;
}

interface Home {
  readonly folder: string;
  readonly ready: Promise<void>;
  users: number;
  retired: boolean;
}

export class Workspace {
  readonly #root: string;
  readonly #maxBytes: number;
  readonly #contents: HomeContents;
  readonly #removals = new Set<Promise<void>>();
  #home: Home | undefined;
  #measuredAt = -Infinity;

  /** `root` is this process's alone, and what is in it goes. `maxBytes`: of one home; up to twice that while it is replaced. */
  constructor(root: string, maxBytes: number, contents: HomeContents) {
    this.#root = root;
    this.#maxBytes = maxBytes;
    this.#contents = contents;
  }

  /** Takes away what an earlier process left. */
  async sweep(): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }

  async enter(): Promise<Workplace> {
    const home = (this.#home ??= this.#newHome());
    home.users++;
    try {
      await home.ready;
    } catch (error) {
      this.#leave(home, true);
      throw error;
    }
    return {
      home: home.folder,
      cwd: path.join(home.folder, 'empty'),
      leave: (spoiled) => {
        this.#leave(home, spoiled);
      },
    };
  }

  /** A folder for files on their way from the go command into the store. */
  async handOver(): Promise<string> {
    const folder = path.join(this.#root, 'made');
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Whoever enters next finds nothing of before. */
  renew(): void {
    const home = this.#home;
    if (home === undefined) return;
    this.#retire(home);
    if (home.users === 0) this.#remove(home.folder);
  }

  /** Takes all of it away; nobody works in it any more. */
  async close(): Promise<void> {
    await Promise.all(this.#removals);
    await this.sweep();
  }

  #newHome(): Home {
    const folder = path.join(this.#root, randomUUID());
    return { folder, ready: this.#prepare(folder), users: 0, retired: false };
  }

  async #prepare(folder: string): Promise<void> {
    const telemetry = path.join(folder, '.config/go/telemetry');
    for (const each of [telemetry, path.join(folder, 'empty'), path.join(folder, 'tmp')])
      await mkdir(each, { recursive: true });
    // else go leaves a process behind that counts
    await writeFile(path.join(telemetry, 'mode'), 'off\n');
    // where git looks for it
    const { netrc, files } = this.#contents;
    if (netrc !== undefined) await symlink(netrc, path.join(folder, '.netrc'));
    for (const [name, text] of Object.entries(files))
      await writeFile(path.join(folder, name), text);
  }

  #leave(home: Home, spoiled: boolean): void {
    if (spoiled) this.#retire(home);
    home.users--;
    if (home.retired && home.users === 0) this.#remove(home.folder);
    else if (!home.retired) void this.#measure(home);
  }

  #retire(home: Home): void {
    home.retired = true;
    if (this.#home === home) this.#home = undefined;
  }

  #remove(folder: string): void {
    const removal = rm(folder, { recursive: true, force: true, maxRetries: 3 })
      // what cannot be removed now is swept at the next start
      .catch(() => undefined)
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  async #measure(home: Home): Promise<void> {
    const now = performance.now();
    if (now - this.#measuredAt < MEASURE_EVERY_MS) return;
    this.#measuredAt = now;
    const bytes = await bytesBelow(home.folder);
    if (bytes <= this.#maxBytes || home.retired) return;
    this.#retire(home);
    if (home.users === 0) this.#remove(home.folder);
  }
}

/** Files that go away meanwhile count nothing. */
async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    bytes += entry.isDirectory()
      ? await bytesBelow(file)
      : await lstat(file).then(
          ({ size }) => size,
          () => 0,
        );
  }
  return bytes;
}
