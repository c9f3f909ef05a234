// Configuration: environment variables in, one checked and frozen object out, or every problem at once.

import type { z } from 'zod';

import type { Mode } from '../engine/policy.ts';
import { OUTSIDE } from '../go/vcs/environment.ts';
import { adminProblems, adminTokenOf } from './admin-token.ts';
import { goDefaults, usualSumdb } from './go-defaults.ts';
import { proxyProblems } from './proxy-variables.ts';
import { s3Of, s3Problems, type S3Settings } from './s3-settings.ts';
import { withSecretFiles } from './secret-files.ts';
import { unknownSetting } from './setting-names.ts';
import { pairProblems } from './setting-pairs.ts';
import { settingNames, settings, type Checks, type Settings } from './settings.ts';
import { spoolDirOf, spoolProblems } from './spool-dir.ts';
import { ConfigError } from './start-error.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

/** All times in milliseconds, all paths absolute. */
export interface Config {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Of a port of its own for the admin API, metrics and the page, 0 as above. Undefined: they are on the other. */
  readonly adminPort: number | undefined;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly storage: 'file' | 's3';
  /** Of the file store alone. */
  readonly storageDir: string;
  readonly spoolDir: string;
  /** What becomes of a store of an older format at the start. */
  readonly migrate: 'manual' | 'auto';
  readonly go: {
    /** In GOPROXY's grammar. May hold credentials. */
    readonly upstream: string;
    /** GOPRIVATE patterns. */
    readonly private: readonly string[];
    readonly readAhead: 'none' | 'mod' | 'all';
    /** In GOSUMDB's grammar. */
    readonly sumdb: string;
    /** GONOSUMDB patterns, beside the private ones. */
    readonly noSumdb: readonly string[];
    /** What happens to content about which the checksum database has no say. */
    readonly sumdbPolicy: 'keep' | 'require';
    /** 0: no deadline. */
    readonly firstByteTimeoutMs: number;
    /** Of the go command, which fetches from version control. */
    readonly vcs: {
      readonly netrc: string | undefined;
      readonly gitConfig: string | undefined;
      readonly sshKeyFile: string | undefined;
      readonly sshKnownHostsFile: string | undefined;
      /** What it may see of the environment. */
      readonly outside: Readonly<Record<string, string>>;
      /** 0: no deadline. */
      readonly timeoutMs: number;
    };
  };
  readonly oci: {
    /** `name=url` pairs. */
    readonly upstreams: string;
    /** In the format of Docker's config.json. */
    readonly authFile: string | undefined;
    /** `name=host` pairs. */
    readonly realms: string;
    /** 0: no deadline. */
    readonly firstByteTimeoutMs: number;
  };
  /** Undefined unless `storage` is s3. */
  readonly s3: S3Settings | undefined;
  /** May hold a password. Undefined: locks within the process. */
  readonly redisUrl: string | undefined;
  readonly redisPrefix: string;
  /** Life of a lease between renewals, 1000 at least. */
  readonly leaseTimeMs: number;
  /** Where other replicas reach this one, and what they prove themselves by. */
  readonly peer: { readonly url: string; readonly secret: string } | undefined;
  readonly limits: {
    /** How long a client's request waits until an upstream may be asked. 0: not at all. */
    readonly rateWaitMs: number;
    /** What clients of images are told then. */
    readonly status: 429 | 503;
  };
  /** Behind Larder's own words in `User-Agent`; may be empty. */
  readonly userAgentSuffix: string;
  readonly rulesFile: string | undefined;
  /** How a miss is handled where no rule says. */
  readonly mode: Mode;
  /** Whether no upstream is ever asked. */
  readonly offline: boolean;
  /** Who is asked before something is kept. The URL may hold a secret in its query. */
  readonly admission: { readonly url: string; readonly onFailure: 'deny' | 'allow' } | undefined;
  /** 0: an answer is stale at once. */
  readonly listTtlMs: number;
  /** 0: a tag is asked for every time. */
  readonly tagTtlMs: number;
  /** 0: what is not there is not remembered. */
  readonly negativeTtlMs: number;
  /** 0: nothing stale is served when an upstream fails. */
  readonly staleIfErrorMs: number;
  /** 0: no deadline. */
  readonly stallTimeoutMs: number;
  /** 0: no deadline. */
  readonly fillTimeoutMs: number;
  /** 0: no deadline. */
  readonly storeTimeoutMs: number;
  /** 0: a stop waits for no body. */
  readonly drainTimeoutMs: number;
  /** 0: what nobody owns may go at once. */
  readonly orphanGraceMs: number;
  /** Whether nothing is ever deleted but by a purge. */
  readonly keepsAll: boolean;
  /** Undefined: no admin API. */
  readonly adminToken: string | undefined;
  /** File of the users of both protocols. Undefined: reads are open. */
  readonly htpasswdFile: string | undefined;
  /** Bytes of content that are kept. Undefined: no limit. */
  readonly maxSize: number | undefined;
  /** Since its last use. Undefined: content is kept for ever. */
  readonly maxAgeMs: number | undefined;
  /** 0: nothing is collected or looked at for its age by itself. */
  readonly collectIntervalMs: number;
  readonly logLevel: LogLevel;
}

/**
 * Reads the settings out of an environment and the files it names; an empty value counts as none. Where LARDER_GO_UPSTREAM or
 * LARDER_GO_SUMDB is missing the installed go command is asked for its default, which blocks for its short run, or `defaultsOf`.
 * Throws ConfigError with a line for every problem.
 */
export function loadConfig(
  env: Readonly<NodeJS.ProcessEnv> = environment(),
  checks: Checks = {},
  defaultsOf: typeof goDefaults = goDefaults,
): Config {
  const named = Object.fromEntries(
    Object.entries(env).filter(([name, value]) => /^LARDER_/i.test(name) && value !== ''),
  );
  const { values: given, problems: unread } = withSecretFiles(named);
  const parsed = settings(checks).safeParse(given);
  const go = goSources(given, defaultsOf.bind(undefined, env));
  const problems = [
    ...Object.keys(given)
      .filter((name) => !settingNames.includes(name))
      .map((name) => unknownSetting(name, settingNames)),
    ...unread,
    ...pairProblems(given),
    ...adminProblems(given),
    ...proxyProblems(env),
    ...valueProblems(given, parsed.error?.issues ?? []),
    ...(parsed.success ? [...spoolProblems(parsed.data), ...s3Problems(parsed.data, given)] : []),
    ...(go.upstream === undefined && unread.length === 0 ? [upstreamMissing] : []),
  ];
  if (problems.length > 0 || !parsed.success || go.upstream === undefined)
    throw new ConfigError(problems.join('\n'));
  return toConfig(parsed.data, go.upstream, go.sumdb, outsideOf(env));
}

/** Where settings come from. */
export const environment = (): Readonly<NodeJS.ProcessEnv> => process.env;

/** The token of the admin API alone; undefined where none is set. Throws ConfigError. */
export const loadAdminToken = (): string | undefined => adminTokenOf(environment());

function valueProblems(
  given: Readonly<NodeJS.ProcessEnv>,
  issues: readonly z.core.$ZodIssue[],
): string[] {
  return issues.map(({ path: [key], message }) => {
    const name = String(key);
    return `${name}=${JSON.stringify(withoutCredentials(given[name] ?? ''))} ${message}.`;
  });
}

function goSources(given: Readonly<NodeJS.ProcessEnv>, ask: () => ReturnType<typeof goDefaults>) {
  const { LARDER_GO_UPSTREAM: upstream, LARDER_GO_SUMDB: sumdb } = given;
  if (upstream !== undefined && sumdb !== undefined) return { upstream, sumdb };
  const defaults = ask();
  return {
    upstream: upstream ?? defaults?.goproxy,
    sumdb: sumdb ?? defaults?.gosumdb ?? usualSumdb,
  };
}

function outsideOf(env: Readonly<NodeJS.ProcessEnv>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    OUTSIDE.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function toConfig(
  values: Settings,
  upstream: string,
  sumdb: string,
  outside: Readonly<Record<string, string>>,
): Config {
  const certFile = values.LARDER_TLS_CERT_FILE;
  const keyFile = values.LARDER_TLS_KEY_FILE;
  const { LARDER_PEER_URL: url, LARDER_PEER_SECRET: secret } = values;
  return {
    host: values.LARDER_HOST,
    port: values.LARDER_PORT,
    adminPort: values.LARDER_ADMIN_PORT,
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    storage: values.LARDER_STORAGE,
    storageDir: values.LARDER_STORAGE_DIR,
    spoolDir: spoolDirOf(values),
    migrate: values.LARDER_MIGRATE,
    s3: s3Of(values),
    redisUrl: values.LARDER_REDIS_URL,
    redisPrefix: values.LARDER_REDIS_PREFIX,
    leaseTimeMs: values.LARDER_LEASE_TIME,
    peer: url === undefined || secret === undefined ? undefined : { url, secret },
    go: {
      upstream,
      private: values.LARDER_GO_PRIVATE,
      readAhead: values.LARDER_GO_READ_AHEAD,
      sumdb,
      noSumdb: values.LARDER_GO_NOSUMDB,
      sumdbPolicy: values.LARDER_GO_SUMDB_POLICY,
      firstByteTimeoutMs: values.LARDER_GO_FIRST_BYTE_TIMEOUT,
      vcs: {
        netrc: values.LARDER_NETRC,
        gitConfig: values.LARDER_GIT_CONFIG,
        sshKeyFile: values.LARDER_SSH_KEY_FILE,
        sshKnownHostsFile: values.LARDER_SSH_KNOWN_HOSTS_FILE,
        outside,
        timeoutMs: values.LARDER_VCS_TIMEOUT,
      },
    },
    oci: {
      upstreams: values.LARDER_OCI_UPSTREAMS,
      authFile: values.LARDER_OCI_AUTH_FILE,
      realms: values.LARDER_OCI_REALMS,
      firstByteTimeoutMs: values.LARDER_OCI_FIRST_BYTE_TIMEOUT,
    },
    limits: {
      rateWaitMs: values.LARDER_RATE_WAIT,
      status: values.LARDER_RATE_STATUS === '503' ? 503 : 429,
    },
    userAgentSuffix: values.LARDER_USER_AGENT_SUFFIX.trim(),
    rulesFile: values.LARDER_RULES_FILE,
    mode: values.LARDER_MODE,
    offline: values.LARDER_OFFLINE,
    admission:
      values.LARDER_ADMISSION_URL === undefined
        ? undefined
        : { url: values.LARDER_ADMISSION_URL, onFailure: values.LARDER_ADMISSION_FAIL },
    listTtlMs: values.LARDER_LIST_TTL,
    tagTtlMs: values.LARDER_TAG_TTL,
    negativeTtlMs: values.LARDER_NEGATIVE_TTL,
    staleIfErrorMs: values.LARDER_STALE_IF_ERROR,
    stallTimeoutMs: values.LARDER_STALL_TIMEOUT,
    fillTimeoutMs: values.LARDER_FILL_TIMEOUT,
    storeTimeoutMs: values.LARDER_STORE_TIMEOUT,
    drainTimeoutMs: values.LARDER_DRAIN_TIMEOUT,
    orphanGraceMs: values.LARDER_ORPHAN_GRACE,
    keepsAll: values.LARDER_KEEP === 'all',
    adminToken: values.LARDER_ADMIN_TOKEN,
    htpasswdFile: values.LARDER_AUTH_HTPASSWD,
    maxSize: values.LARDER_MAX_SIZE || undefined,
    maxAgeMs: values.LARDER_MAX_AGE || undefined,
    collectIntervalMs: values.LARDER_COLLECT_INTERVAL,
    logLevel: values.LARDER_LOG_LEVEL,
  };
}

const upstreamMissing =
  'LARDER_GO_UPSTREAM is not set, and no go command is installed whose default could be taken: ' +
  'set it to where Go modules come from, such as LARDER_GO_UPSTREAM=https://goproxy.example.com, or to off.';

/** Of each entry of a list whatever stands before its last @, also where its URL is malformed. */
const withoutCredentials = (value: string): string =>
  value.replace(/([a-z][a-z0-9+.-]*:\/\/)?[^,|\s]*@/gi, '$1***@');
