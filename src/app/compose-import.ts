// Modules out of another proxy's folder, by the way on which fetched ones come in: the same rules, the same checks.

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { LarderError } from '../engine/errors.ts';
import { systemClock, type Listener } from '../engine/ports.ts';
import { within } from '../engine/purge-plan.ts';
import { FileRequest } from '../go/content.ts';
import type { AthensVersion } from '../go/fetch-athens.ts';
import type { GoFetcher } from '../go/fetcher.ts';
import { keyOf, type GoFileName } from '../go/names.ts';
import { Sources } from '../go/sources.ts';
import { EXTENSIONS } from '../go/stored-files.ts';
import { TreeList } from '../go/tree-list.ts';
import { ZipChecker } from '../go/zip-checker.ts';
import { UpstreamClient } from '../http/client.ts';
import { createLogger } from '../observability/logger.ts';
import { composeAdmission } from './compose-admission.ts';
import { openStore } from './compose-alone.ts';
import { composeGoContent, composeGoUpstreams } from './compose-go.ts';
import { composeLimits } from './compose-limits.ts';
import { composePull } from './compose-pull.ts';
import { composeRules } from './compose-rules.ts';
import { prepareFolder } from './compose-store.ts';
import type { Config } from './config.ts';
import { userAgent } from './version.ts';

export interface Importing {
  /**
   * Brings a version's three files in: `present` where all of them are in the store. Throws LarderError, `denied` for what a
   * rule keeps out.
   */
  version(name: AthensVersion): Promise<'stored' | 'present'>;
  /** Resolves when all that has begun is over, and the store is free. */
  close(): Promise<void>;
}

/** `from`: where all versions come from. The other arguments and the errors are as of `composeAlone`, and StartError. */
export async function composeImport(
  given: Config,
  from: GoFetcher,
  said: (sentence: string) => void,
  signal: AbortSignal,
): Promise<Importing> {
  const logger = createLogger('error', 2);
  prepareFolder('LARDER_SPOOL_DIR', given.spoolDir);
  // of its own, as a server may use the other one
  const spoolDir = await mkdtemp(path.join(given.spoolDir, 'import-'));
  const config = { ...given, spoolDir };
  const after: Listener = {};
  const opened = await openStore(config, said, signal, after);
  const { store, lock, redis, announcements, listener } = opened;
  const clock = systemClock;
  const rules = composeRules(config, logger);
  const client = new UpstreamClient({
    userAgent: userAgent(config.userAgentSuffix),
    via: `larder-${randomUUID().slice(0, 8)}`,
    listener,
    limitsOf: composeLimits(config.oci.upstreams, rules).of,
    offline: rules.offline,
  });
  const admission = composeAdmission(config.admission, client, logger);
  const { fills, pull } = composePull(config, {
    store,
    lock,
    redis,
    listener,
    admission,
    clock,
    usage: { used: () => undefined, reading: () => () => undefined },
  });
  const upstreams = await composeGoUpstreams(config, { client, rules, logger });
  const zips = new ZipChecker();
  const sources = Sources.of(from);
  const treeList = new TreeList(store);
  const go = composeGoContent(
    config,
    { store, pull, client, listener, clock, admission, zips, treeList },
    upstreams,
    () => sources,
  );
  after.stored = ({ key }) => {
    go.stored(key);
  };
  announcements.subscribe(async (scope) => {
    const isPurged = within(scope);
    opened.forgetAll(isPurged);
    go.forget(isPurged);
    await pull.forget(isPurged);
  });
  const content = { ...go.content, readAhead: () => undefined };
  return {
    async version(name) {
      rules.go.admit(name);
      const files = EXTENSIONS.map((ext): GoFileName => ({ kind: 'file', ...name, ext }));
      const missing: GoFileName[] = [];
      for (const file of files) if (!(await store.record(keyOf(file)))) missing.push(file);
      const kept = await Promise.all(
        missing.map((file) => pull.fill(new FileRequest(content, file))),
      );
      if (kept.includes(false)) throw new LarderError('store_failed', 'it could not be kept');
      return missing.length > 0 ? 'stored' : 'present';
    },
    async close() {
      pull.close();
      await upstreams.close();
      await fills.settled();
      await go.settled();
      await client.close();
      await zips.close();
      await opened.close();
      await rm(spoolDir, { recursive: true, force: true });
    },
  };
}
