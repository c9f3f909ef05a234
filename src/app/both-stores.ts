// Two stores at once, for a copy from one to the other.

import { messageOf } from '../engine/errors.ts';
import { parseGoPath } from '../go/names.ts';
import { copyStore, type CopyResult } from '../references/copy.ts';
import type { Progress } from '../references/jobs.ts';
import { checkCopy, FORMAT_KEY } from '../storage/format.ts';
import { composePlace, prepareFolder, type Place } from './compose-store.ts';
import { loadConfig, type Config } from './config.ts';
import { ConfigError } from './start-error.ts';
import type { Checks } from './settings.ts';

export interface BothStores {
  /** The one that LARDER_STORAGE names. */
  readonly from: Config;
  readonly to: Config;
}

/** Settings of two stores in one environment, each as `loadConfig` reads them. Throws ConfigError. */
export function loadBothStores(
  target: Config['storage'],
  env: Readonly<NodeJS.ProcessEnv>,
  checks: Checks,
): BothStores {
  const source = env['LARDER_STORAGE'] === 's3' ? 's3' : 'file';
  if (source === target)
    throw new ConfigError(
      `LARDER_STORAGE is ${target} already: it names the store that is copied, and the other one is where it goes.`,
    );
  const only = (kind: Config['storage']) => {
    const others = kind === 'file' ? /^LARDER_S3_/ : /^LARDER_STORAGE_DIR$/;
    const own = Object.entries(env).filter(([name]) => !others.test(name));
    return loadConfig({ ...Object.fromEntries(own), LARDER_STORAGE: kind }, checks);
  };
  return { from: only(source), to: only(target) };
}

/**
 * `said` is told, as a sentence, of what went wrong and stops nothing. Throws as `copyStore` does, StartError, and LarderError
 * `unsupported` for formats that differ.
 */
export async function copyBetween(
  configs: BothStores,
  said: (sentence: string) => void,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<CopyResult> {
  const listener = {
    storeFailed: ({ error }: { error: unknown }) => {
      said(messageOf(error));
    },
  };
  const from = await composePlace(configs.from, listener);
  try {
    const to = await composePlace(configs.to, listener);
    try {
      return await copy(from, to, configs.from, signal, onProgress);
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

async function copy(
  from: Place,
  to: Place,
  { spoolDir }: Config,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<CopyResult> {
  prepareFolder('LARDER_SPOOL_DIR', spoolDir);
  await checkCopy(from.place, to.place);
  for (const { sweep } of [from, to]) await sweep();
  const parts = { from: from.place, to: to.place, isContent, last: FORMAT_KEY, spoolDir };
  return copyStore(parts, signal, onProgress);
}

/** Of either protocol. */
function isContent(key: string): boolean {
  if (key.startsWith('oci/blobs/')) return true;
  return key.startsWith('go/') && parseGoPath(key.slice('go'.length))?.kind === 'file';
}
