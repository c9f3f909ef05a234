// The one place that chooses implementations and puts them together.

import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

import type { DataPlane } from '../http/context.ts';
import type { Logger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import type { Config } from './config.ts';
import { createServer } from './server.ts';
import type { LarderServer } from './server.ts';
import { StartError, fileReason } from './start-error.ts';

export interface App {
  /** Does not listen yet. */
  readonly server: LarderServer;
  /** Lets requests in flight finish, then frees everything. */
  stop(): Promise<void>;
}

const noProtocol: DataPlane = () => false;

/** Throws StartError when a folder or a TLS file cannot be used. */
export async function compose(
  config: Config,
  logger: Logger,
  go: DataPlane = noProtocol,
): Promise<App> {
  prepareFolder('LARDER_STORAGE_DIR', config.storageDir);
  prepareFolder('LARDER_SPOOL_DIR', config.spoolDir);
  const metrics = new Metrics();
  const readiness = () => Promise.resolve({ ready: true, reasons: [] });
  const server = createServer({ config, logger, metrics, readiness, go });
  return Promise.resolve({ server, stop: () => server.stop() });
}

function prepareFolder(name: string, folder: string): void {
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

/** Step by step: mkdir's `recursive` never returns below a folder that takes no entries (seen on /proc with Node 26). */
function makeFolder(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  mkdirSync(folder);
}
