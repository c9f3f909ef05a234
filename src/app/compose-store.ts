// The stores' part of the composition: where bytes are kept, and what is nearer than that.

import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { LarderError } from '../engine/errors.ts';
import type { Listener, Store } from '../engine/ports.ts';
import { diskCached } from '../storage/disk-cache.ts';
import { FileStore } from '../storage/file.ts';
import { lockFolder } from '../storage/folder-lock.ts';
import { withFormat } from '../storage/format.ts';
import { hot } from '../storage/hot.ts';
import { withTimeout } from '../storage/timeout.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';
import type { S3Settings } from './s3-settings.ts';
import { StartError, fileReason } from './start-error.ts';

/** Bytes from which on a client may be sent to the bucket itself. */
const REDIRECT_ABOVE = 1024 ** 2;

export interface ComposedStore {
  readonly store: Store;
  /** The same without anything near: what another replica has deleted is not there. */
  readonly place: Store;
  /** Has none of these near any more: what is purged, on whichever replica. */
  forgetAll(matches: (key: string) => boolean): void;
  /** Resolves when the place itself answers. Throws LarderError `store_failed`. */
  check(): Promise<void>;
  /** To be called when nothing uses the store any more. */
  close(): Promise<void>;
}

/**
 * Throws StartError when a folder cannot be used, and LarderError `unsupported` when another version wrote the store. A
 * bucket that cannot be reached is no reason not to start. `upgrade`: of a store of an older format, which is refused
 * without it.
 */
export async function composeStore(
  config: Config,
  listener: Pick<Required<Listener>, 'storeFailed'>,
  upgrade?: (store: Store) => Promise<unknown>,
): Promise<ComposedStore> {
  const { place, sweep, close } = await composePlace(config, listener);
  const formatted = withFormat(place, upgrade, sweep);
  await formatted.ready().catch(async (error: unknown) => {
    const isAway = error instanceof LarderError && error.code === 'store_failed';
    if (!isAway || config.s3 === undefined) {
      await close();
      throw error;
    }
    listener.storeFailed({ key: 'format.json', operation: 'start', error });
  });
  const diskCache = config.s3?.diskCache ?? 0;
  const disk =
    diskCache === 0
      ? undefined
      : diskCached(formatted, {
          folder: path.join(config.spoolDir, 'cache'),
          maxBytes: diskCache,
          failed: (error) => {
            listener.storeFailed({ key: '', operation: 'cache', error });
          },
        });
  const store = hot(disk ?? formatted);
  return {
    store,
    place: formatted,
    forgetAll(matches) {
      disk?.forgetAll(matches);
      store.forgetAll(matches);
    },
    check: () => formatted.check(),
    close: () => close(),
  };
}

export interface Place {
  readonly place: Store;
  /** Takes away what killed processes left behind: before anything is stored, and in no store that is refused. */
  readonly sweep: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Where bytes are kept, with deadlines, whatever its format. Throws StartError when a folder cannot be used. */
export async function composePlace(
  config: Config,
  listener: Pick<Required<Listener>, 'storeFailed'>,
): Promise<Place> {
  const timeouts = {
    call: deadline(config.storeTimeoutMs),
    stash: deadline(config.fillTimeoutMs),
  };
  const opened = config.s3
    ? await bucket(config.s3, timeouts.call, listener)
    : await folder(config.storageDir, listener);
  return { ...opened, place: withTimeout(opened.place, timeouts) };
}

async function folder(
  root: string,
  listener: Pick<Required<Listener>, 'storeFailed'>,
): Promise<Place> {
  prepareFolder('LARDER_STORAGE_DIR', root);
  const lock = await lockFolder(root, (error) => {
    listener.storeFailed({ key: '', operation: 'lock', error });
  });
  if (lock === undefined)
    throw new StartError(
      `LARDER_STORAGE_DIR="${root}" is used by another Larder, and a folder by one at a time: stop it, ask it by its address (larder purge, collect and verify take --server URL), or give another folder.`,
    );
  const files = new FileStore(root, (key, error) => {
    listener.storeFailed({ key, operation: 'sync', error });
  });
  return {
    place: files,
    sweep: () => files.sweep(),
    async close() {
      await files.close();
      await lock.release();
    },
  };
}

/** Its library is read only where there is a bucket: it takes some megabytes. */
async function bucket(
  { bucket: name, prefix, region, endpoint, forcePathStyle, credentials, redirect }: S3Settings,
  callTimeoutMs: number,
  listener: Pick<Required<Listener>, 'storeFailed'>,
): Promise<Place> {
  const { S3Store } = await import('../storage/s3-store.ts');
  const store = new S3Store({
    bucket: name,
    prefix,
    region,
    forcePathStyle,
    callTimeoutMs,
    ...(endpoint !== undefined && { endpoint }),
    ...(credentials !== undefined && { credentials }),
    ...(redirect && { redirectAbove: REDIRECT_ABOVE }),
  });
  // nothing waits for it: only what is older than a day goes
  const sweep = () => {
    store.sweep().catch((error: unknown) => {
      listener.storeFailed({ key: '', operation: 'sweep', error });
    });
    return Promise.resolve();
  };
  const close = () => {
    store.close();
    return Promise.resolve();
  };
  return { place: store, sweep, close };
}

/** Throws StartError. */
export function prepareFolder(name: string, folder: string): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new StartError(
      `${name}="${folder}" cannot be written: ${fileReason(error)}. Give a folder that can, or make this one so.`,
      { cause: error },
    );
  }
}

/** Step by step: Node's own recursive mkdir never returns below a folder such as /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(path.dirname(folder));
  mkdirSync(folder);
}
