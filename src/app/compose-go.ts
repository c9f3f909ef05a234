// The modules' part of the composition.

import { compileModulePatterns } from '../go/module-patterns.ts';
import type { Admission, Clock, Listener, Store } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import { within, type Announcements, type PurgeScope } from '../engine/purge-plan.ts';
import type { UpstreamClient } from '../http/client.ts';
import type { DataPlane } from '../http/context.ts';
import type { OnMistake } from '../http/mistakes.ts';
import { Completion } from '../go/completion.ts';
import type { ContentParts } from '../go/content.ts';
import { VcsFetcher } from '../go/fetch-vcs.ts';
import { VersionIndex } from '../go/index-feed.ts';
import { MadeVersions } from '../go/made-versions.ts';
import { parseGoPath } from '../go/names.ts';
import { goPlane, type GoPlane } from '../go/routes.ts';
import type { GoTarget } from '../go/rules.ts';
import { Sources } from '../go/sources.ts';
import { SumGate } from '../go/sum-gate.ts';
import { SumdbRoutes, type SumdbProxied } from '../go/sumdb-routes.ts';
import { CachedSumdb } from '../go/sumdb-source.ts';
import { SumdbClient } from '../go/sumdb/client.ts';
import { parseSumdbSetting } from '../go/sumdb/config.ts';
import type { TreeList } from '../go/tree-list.ts';
import type { UpstreamStep } from '../go/upstream-list.ts';
import type { ZipChecker } from '../go/zip-checker.ts';
import type { Logger } from '../observability/logger.ts';
import { sourcesByRule, type RulesInForce } from './compose-rules.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';
import { composeGoCommand, fetcherOf, goSteps, readSettingFile } from './go-fetchers.ts';

/** How long past its time an answer of version control is served while go looks for a newer one, milliseconds. */
const REFRESHED_BEHIND_MS = 5 * 60_000;

export interface GoUpstreams {
  /** Those of the settings, where no rule says otherwise. */
  readonly usual: Sources;
  readonly sourcesOf: (target: GoTarget) => Sources;
  readonly direct: VcsFetcher;
  /** Whether a version is never looked up in the checksum database. */
  readonly exempt: (module: string, version: string) => boolean;
  /** Ends what the go command still does. */
  close(): Promise<void>;
}

/** Throws StartError for a file or a go command that is needed and not there. */
export async function composeGoUpstreams(
  config: Config,
  { client, rules, logger }: { client: UpstreamClient; rules: RulesInForce; logger: Logger },
): Promise<GoUpstreams> {
  const isPrivate = compileModulePatterns(config.go.private);
  const unlisted = compileModulePatterns(config.go.noSumdb);
  const exempt = (module: string, version: string) =>
    isPrivate(module) ||
    unlisted(module) ||
    rules.go.decide({ module, version }).rule?.sumdb === false;
  const { vcs } = config.go;
  const netrc = readSettingFile('LARDER_NETRC', vcs.netrc);
  readSettingFile('LARDER_GIT_CONFIG', vcs.gitConfig);
  readSettingFile('LARDER_SSH_KEY_FILE', vcs.sshKeyFile);
  readSettingFile('LARDER_SSH_KNOWN_HOSTS_FILE', vcs.sshKnownHostsFile);
  const goCommand = await composeGoCommand(config);
  const direct = new VcsFetcher(goCommand);
  const timeouts = timeoutsOf(config);
  const sourcesBy = (steps: readonly UpstreamStep[]) =>
    new Sources({
      steps,
      isPrivate,
      fetcherOf: (url) => fetcherOf(url, { client, timeouts, netrc }),
      direct,
    });
  const usual = sourcesBy(goSteps(config, logger, rules.needDirect));
  const sourcesOf = sourcesByRule(rules.go, usual, sourcesBy);
  return { usual, sourcesOf, direct, exempt, close: () => goCommand.close() };
}

export interface ContentShared {
  readonly store: Store;
  readonly pull: PullThrough;
  readonly client: UpstreamClient;
  readonly listener: Required<Listener>;
  readonly clock: Clock;
  readonly admission: Admission | undefined;
  readonly zips: ZipChecker;
  readonly treeList: TreeList;
}

export interface GoContent {
  readonly content: Omit<ContentParts, 'readAhead'>;
  readonly database: SumdbProxied | undefined;
  readonly index: VersionIndex;
  /** What follows when something was stored, and when something is purged. */
  readonly stored: (key: string) => void;
  readonly forget: (isPurged: (key: string) => boolean) => void;
  /** Resolves when what followed so far is in the store. */
  settled(): Promise<void>;
}

/** What a file of a version is checked against, and what comes of it. `sourcesOf`: where it comes from. */
export function composeGoContent(
  config: Config,
  { store, pull, client, listener, clock, admission, zips, treeList }: ContentShared,
  { usual, exempt }: Pick<GoUpstreams, 'usual' | 'exempt'>,
  sourcesOf: (target: GoTarget) => Sources,
): GoContent {
  const setting = parseSumdbSetting(config.go.sumdb);
  let database: SumdbProxied | undefined;
  if (setting !== 'off') {
    const timeouts = timeoutsOf(config);
    const source = new CachedSumdb({ setting, store, sources: usual, client, timeouts, listener });
    database = { name: setting.name, source, client: new SumdbClient(setting.key, source, source) };
  }
  const sums = new SumGate({
    database: database?.client,
    policy: config.go.sumdbPolicy,
    exempt,
    listener,
  });
  const index = new VersionIndex(store, clock.now);
  const completion = new Completion({ store, pull, index, treeList });
  return {
    content: { pull, sourcesOf, zips, sums, admission, made: new MadeVersions(store) },
    database,
    index,
    stored: (key) => {
      const name = parseGoPath(key.replace(/^go/, ''));
      if (name?.kind !== 'file') return;
      completion.stored(name).catch((error: unknown) => {
        listener.storeFailed({ key, operation: 'completion', error });
      });
    },
    forget: (isPurged) => {
      completion.forgetAll(isPurged);
    },
    settled: () => completion.settled(),
  };
}

export interface GoShared extends ContentShared {
  readonly rules: RulesInForce;
  /** Of purges, which the plane is to forget. */
  readonly announcements: Announcements;
  /** Name of this server in `Via`. */
  readonly via: string;
  readonly onMistake: OnMistake;
}

export interface GoSide {
  readonly plane: DataPlane;
  readonly keep: GoPlane['keep'];
  readonly stored: GoContent['stored'];
  readonly forget: (scope: PurgeScope) => void;
  readonly settled: GoContent['settled'];
}

export function composeGo(config: Config, shared: GoShared, upstreams: GoUpstreams): GoSide {
  const { store, pull, rules, clock, announcements, via, onMistake } = shared;
  const { sourcesOf, direct, exempt } = upstreams;
  const kept = composeGoContent(config, shared, upstreams, sourcesOf);
  const quick = {
    ttlMs: config.listTtlMs,
    staleWhileRevalidateMs: 0,
    staleIfErrorMs: config.staleIfErrorMs,
  };
  const slow = { ...quick, staleWhileRevalidateMs: REFRESHED_BEHIND_MS };
  const freshness = (module: string) =>
    sourcesOf({ module }).first(module) === direct.source ? slow : quick;
  const { plane, keep } = goPlane({
    pull,
    content: kept.content,
    answers: { store, sourcesOf, freshness },
    sumdb: new SumdbRoutes(kept.database, rules.go, exempt),
    index: kept.index,
    readAhead: config.go.readAhead,
    policy: rules.go,
    offline: rules.offline,
    clock,
    patienceMs: timeoutsOf(config).firstByteMs,
    announcements,
    via,
    onMistake,
  });
  return {
    plane,
    keep,
    stored: kept.stored,
    forget: (scope) => {
      kept.forget(within(scope));
      if ([...scope.keys, ...scope.folders].some(isOfGo)) direct.forget();
    },
    settled: () => kept.settled(),
  };
}

/** Of a module's answers, which go with each of its purges; or of everything. */
const isOfGo = (key: string): boolean => key === '' || key.startsWith('answers/go/');

const timeoutsOf = (config: Config) => ({
  firstByteMs: deadline(config.go.firstByteTimeoutMs),
  rateWaitMs: config.limits.rateWaitMs,
  stallMs: deadline(config.stallTimeoutMs),
});
