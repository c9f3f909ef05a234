// One process a folder: who uses it listens on a socket in it. The system closes a socket with its process, however that
// ends, so that a lock never outlives its holder; and it is seen from every container that has the folder on this machine.

import { randomUUID } from 'node:crypto';
import { link, open, unlink, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';

const NAME = '.lock';
/** Held while a leftover is taken away. */
const SWEEP = `${NAME}.sweep`;
/** While another one takes a leftover away, which takes it no time. */
const TRIES = 50;
const PAUSE_MS = 20;

export interface FolderLock {
  /** To be called when nothing uses the folder any more. */
  release(): Promise<void>;
}

/**
 * Undefined where another process has it. `folder`: absolute, existing. Where the file system has no sockets nobody is kept
 * out, and `unlocked` is told why. Throws what the system says of any other trouble.
 */
export async function lockFolder(
  folder: string,
  unlocked: (error: unknown) => void,
): Promise<FolderLock | undefined> {
  const reach = await Reach.open(folder);
  const own = `${NAME}.${randomUUID()}`;
  let server: Server | undefined;
  try {
    server = await listen(reach.at(own));
    const isOurs = await takeName(folder, reach, own);
    if (!isOurs) {
      await end(server, reach);
      return undefined;
    }
    const held = server;
    return {
      async release() {
        await unlink(path.join(folder, NAME));
        await end(held, reach);
      },
    };
  } catch (error) {
    await end(server, reach);
    if (!hasNoSockets(error)) throw error;
    unlocked(error);
    return { release: () => Promise.resolve() };
  }
}

/** Gives our socket the name that is the lock, unless somebody answers under it. */
async function takeName(folder: string, reach: Reach, own: string): Promise<boolean> {
  const name = path.join(folder, NAME);
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      await link(path.join(folder, own), name);
      await unlink(path.join(folder, own));
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    if (await answers(reach.at(NAME))) return false;
    await removeLeftover(folder, reach, own);
  }
  return false;
}

/**
 * Of a process that was killed. By one at a time, who looks again: of two, the slower one would take away what the faster one
 * has put there in its place.
 */
async function removeLeftover(folder: string, reach: Reach, own: string): Promise<void> {
  const sweep = path.join(folder, SWEEP);
  try {
    await link(path.join(folder, own), sweep);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    // of one that was killed just there
    if (!(await answers(reach.at(SWEEP)))) await unlink(sweep).catch(unlessGone);
    await setTimeout(PAUSE_MS);
    return;
  }
  try {
    if (!(await answers(reach.at(NAME)))) await unlink(path.join(folder, NAME)).catch(unlessGone);
  } finally {
    await unlink(sweep);
  }
}

function unlessGone(error: unknown): void {
  if (codeOf(error) !== 'ENOENT') throw error;
}

/** The addresses of sockets are short: on Linux a folder is reached by its handle, however long its path is. */
class Reach {
  readonly #folder: string;
  readonly #handle: FileHandle | undefined;

  private constructor(folder: string, handle: FileHandle | undefined) {
    this.#folder = folder;
    this.#handle = handle;
  }

  static async open(folder: string): Promise<Reach> {
    const handle = process.platform === 'linux' ? await open(folder) : undefined;
    return new Reach(folder, handle);
  }

  at(name: string): string {
    const folder =
      this.#handle === undefined ? this.#folder : `/proc/self/fd/${String(this.#handle.fd)}`;
    return `${folder}/${name}`;
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }
}

function listen(address: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ path: address }, () => {
      // it keeps no process alive
      server.unref();
      resolve(server);
    });
  });
}

/** Whether a process listens there. */
function answers(address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: address });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'ENOTSOCK') resolve(false);
      // its queue is full: it lives
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

/** Node takes the socket's first name away with it, where that is still there. */
async function end(server: Server | undefined, reach: Reach): Promise<void> {
  if (server) await new Promise((resolve) => server.close(resolve));
  await reach.close();
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const hasNoSockets = (error: unknown): boolean =>
  ['ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'EINVAL', 'EACCES'].includes(codeOf(error) ?? '');
