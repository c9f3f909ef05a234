// The one place that chooses implementations and puts them together.

import { randomUUID } from 'node:crypto';
import { readdirSync, unlinkSync } from 'node:fs';
import path from 'node:path';

import { RedisBuckets } from '../coordination/redis-buckets.ts';
import { messageOf } from '../engine/errors.ts';
import { fanOut } from '../engine/listeners.ts';
import { systemClock, type Clock, type Listener, type Lock, type Store } from '../engine/ports.ts';
import { within } from '../engine/purge-plan.ts';
import { goDoor } from '../go/door.ts';
import { GoHoldings } from '../go/holdings.ts';
import { TreeList } from '../go/tree-list.ts';
import { ZipChecker } from '../go/zip-checker.ts';
import { UpstreamClient } from '../http/client.ts';
import type { RequestContext } from '../http/context.ts';
import { PeerClient, peerPlane } from '../http/peers.ts';
import { ociDoor } from '../oci/door.ts';
import type { Logger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { Pins } from '../references/pins.ts';
import { composeAdmin } from './compose-admin.ts';
import { composeAdmission } from './compose-admission.ts';
import { composeAnnouncements } from './compose-announcements.ts';
import { composeAuth } from './compose-auth.ts';
import { composeEviction, composeTally, watchStore } from './compose-evict.ts';
import { composeGo, composeGoUpstreams } from './compose-go.ts';
import { composeLimits } from './compose-limits.ts';
import { composeLock } from './compose-lock.ts';
import { composeOci } from './compose-oci.ts';
import { composePull } from './compose-pull.ts';
import { composeRules } from './compose-rules.ts';
import { composeStore, prepareFolder } from './compose-store.ts';
import { composeUpkeep } from './compose-upkeep.ts';
import { upgraderBy } from './compose-upgrade.ts';
import { warmKind } from './compose-warm.ts';
import type { Config } from './config.ts';
import { createServer } from './server.ts';
import type { LarderServer } from './server.ts';
import { userAgent } from './version.ts';

export interface App {
  /** Does not listen yet. */
  readonly server: LarderServer;
  /** Reads the files again that may change while it runs. Never throws: what is wrong is logged, and changes nothing. */
  reload(): void;
  /** Lets requests in flight finish, then frees everything. */
  stop(): Promise<void>;
}

/** Throws StartError when a folder or a TLS file cannot be used, LarderError when the store cannot be read. */
export async function compose(
  config: Config,
  logger: Logger,
  clock: Clock = systemClock,
): Promise<App> {
  const metrics = new Metrics();
  const after: Listener = {};
  const watched = watchStore(clock, config.keepsAll ? undefined : config.maxSize);
  const listener = fanOut([metrics.listener, logging(logger), watched.listener, after], (error) => {
    logger.error({ err: error }, 'a listener failed');
  });

  const rules = composeRules(config, logger);
  const locks = await composeLock(config, listener);
  const { lock } = locks;
  const storage = await composeStore(config, listener, upgradeAtStart(config, lock, logger));
  const { store } = storage;
  prepareFolder('LARDER_SPOOL_DIR', config.spoolDir);
  sweepSpool(config.spoolDir);
  const told = await composeAnnouncements(locks.redis, config.s3 && store, listener);
  const { announcements } = told;
  const peers = config.peer && new PeerClient(config.peer.secret);
  const via = `larder-${randomUUID().slice(0, 8)}`;
  const limits = composeLimits(config.oci.upstreams, rules);
  const client = new UpstreamClient({
    userAgent: userAgent(config.userAgentSuffix),
    via,
    listener,
    limitsOf: limits.of,
    shared: locks.redis && new RedisBuckets(locks.redis),
    offline: rules.offline,
  });
  const admission = composeAdmission(config.admission, client, logger);
  const { answers, fills, pull } = composePull(config, {
    store,
    lock,
    peers,
    listener,
    admission,
    clock,
    redis: locks.redis,
    usage: watched.lastUse,
    room: watched.room,
  });
  metrics.observeFills(() => ({ inFlight: fills.inFlight, queued: fills.queued }));
  metrics.observeSize(() => watched.size.now?.bytes);
  metrics.observeDisks({
    spool: config.spoolDir,
    ...(config.storage === 'file' && { store: config.storageDir }),
  });

  const upstreams = await composeGoUpstreams(config, { client, rules, logger });
  const zips = new ZipChecker();
  const treeList = new TreeList(store);
  const onMistake = (error: unknown, { requestId }: RequestContext) => {
    logger.error({ err: error, requestId }, 'a request failed by a mistake of Larder');
  };
  const shared = {
    store,
    answers,
    pull,
    announcements,
    clock,
    client,
    listener,
    rules,
    via,
    onMistake,
  };
  announcements.subscribe(async (scope) => {
    const isPurged = within(scope);
    storage.forgetAll(isPurged);
    go.forget(scope);
    await pull.forget(isPurged);
  });
  const go = composeGo(config, { ...shared, admission, zips, treeList }, upstreams);
  after.stored = ({ key }) => {
    go.stored(key);
  };
  const readiness = () =>
    storage.check().then(
      () => ({ ready: true, reasons: [], warnings: locks.warnings() }),
      (error: unknown) => ({
        ready: false,
        reasons: [messageOf(error)],
        warnings: locks.warnings(),
      }),
    );
  const oci = composeOci(config, shared);
  const auth =
    config.htpasswdFile === undefined
      ? undefined
      : composeAuth(config.htpasswdFile, logger, onMistake);
  const planes = auth
    ? [auth.guard(go.plane, goDoor), auth.guard(oci.plane, ociDoor)]
    : [go.plane, oci.plane];
  if (config.peer) planes.push(peerPlane(config.peer.secret, (key) => fills.get(key)));
  const holdings = {
    modules: new GoHoldings({ store: storage.place, treeList }),
    images: oci.holdings(storage.place),
  };
  const pins = new Pins(storage.place, clock.now);
  const counting = {
    watched,
    holdings: [holdings.modules, holdings.images],
    store: storage.place,
    lock,
    clock,
    listener,
  };
  const counted = composeTally(counting);
  const upkeep = composeUpkeep(config, {
    store,
    place: storage.place,
    answers,
    lock,
    announcements,
    treeList,
    links: oci.links,
    pins,
    zips,
    removed: (key, bytes) => {
      listener.removed({ key, bytes });
    },
    recount: (signal) => counted.recount(signal),
  });
  const eviction = composeEviction(config, {
    ...counting,
    counted,
    pins,
    purger: upkeep.purger,
    isFilled: (key) => fills.get(key) !== undefined,
    logger,
  });
  const admin = composeAdmin(config, logger, upkeep, {
    holdings,
    lastUse: watched.lastUse,
    pins,
    fills,
    size: watched.size,
    maxBytes: config.maxSize,
    traffic: () => metrics.traffic(),
    now: clock.now,
    warm: warmKind({ go: go.keep, images: oci.warmer, upstreams: oci.upstreams }),
  });
  const server = createServer({
    config,
    logger,
    metrics,
    readiness,
    planes,
    admin: admin.routes,
  });
  const stop = async () => {
    await server.stop();
    const filled = fills.stop();
    await eviction.stop();
    await admin.stop();
    pull.close();
    await upstreams.close();
    await client.close();
    await filled;
    await go.settled();
    await oci.settled();
    await eviction.close();
    await peers?.close();
    await zips.close();
    await auth?.close();
    await told.close();
    locks.close();
    await storage.close();
  };
  const reload = () => {
    rules.reload();
    limits.renew();
    client.limitsChanged();
    admission?.forget();
  };
  return { server, reload, stop };
}

/** Of an older store, where the settings say so. */
function upgradeAtStart({ migrate }: Config, lock: Lock, logger: Logger) {
  if (migrate !== 'auto') return undefined;
  const upgrade = upgraderBy(lock, new AbortController().signal);
  return async (store: Store) => {
    logger.info('the store is of an older format: it is upgraded first');
    const formats = await upgrade(store);
    logger.info({ formats }, 'the store is upgraded');
  };
}

function logging(logger: Logger): Listener {
  return {
    fillEnded(event) {
      if (event.outcome === 'failed') logger.warn(event, 'a fill failed');
      else logger.debug(event, 'a fill ended');
    },
    storeFailed({ key, operation, error }) {
      logger.error({ key, operation, reason: messageOf(error) }, 'the store failed');
    },
    evicted(event) {
      logger.info(event, 'evicted');
    },
    staleServed({ key, error }) {
      logger.warn({ key, reason: messageOf(error) }, 'a stale answer was served');
    },
    upstreamDown({ host, isDown, reason }) {
      if (isDown)
        logger.warn({ host, reason }, 'an upstream failed again and again: it is left alone');
      else logger.info({ host }, 'an upstream answers again');
    },
    lockService({ up, reason }) {
      if (up) logger.info('Redis is used again');
      else logger.warn({ reason }, 'Redis is away: locks hold within this process');
    },
    unverified(event) {
      logger.warn(event, 'kept without a word of the checksum database');
    },
  };
}

/** Bodies that a killed process left: files that have the name of a spool, and no others. */
function sweepSpool(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (isSpoolName(name)) unlinkSync(path.join(folder, name));
  }
}

const isSpoolName = (name: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(name);
