// Settings: environment variables in, one checked and frozen object out, or every problem at once.
// `.env.example` lists the same names; a test holds the two together.

import { resolve } from 'node:path';
import { z } from 'zod';

import { MODES, type Mode } from '../engine/policy.ts';
import { OUTSIDE } from '../go/vcs/environment.ts';
import { adminProblems, adminTokenOf } from './admin-token.ts';
import { durationGrammar, parseDuration } from './duration.ts';
import { goDefaults, usualSumdb } from './go-defaults.ts';
import { proxyProblems } from './proxy-variables.ts';
import { s3Of, s3Problems, urlProblem, type S3Settings } from './s3-settings.ts';
import { withSecretFiles } from './secret-files.ts';
import { unknownSetting } from './setting-names.ts';
import { pairProblems } from './setting-pairs.ts';
import { parseSize, sizeGrammar } from './size.ts';
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

/** Says what is wrong with a value and what would be right, as an end of the sentence `NAME="value" …`; undefined: all is well. */
export type Check = (value: string) => string | undefined;

/** Grammars that belong to a protocol. */
export interface Checks {
  readonly checkUpstream?: Check;
  readonly checkSumdb?: Check;
  /** One GOPRIVATE pattern. */
  readonly checkPattern?: Check;
  readonly checkOciUpstreams?: Check;
  readonly checkOciRealms?: Check;
  readonly checkRedisUrl?: Check;
}

/** Longer ones overflow a timer of Node, which then fires at once. */
const longestTimerMs = 24 * 86_400_000;

const durationHint = 'a whole number with ms, s, m, h or d, such as 250ms, 30s, 15m or 7d';

/** Told to whoever reads the settings as a JSON schema; what is wrong is said where the text is read. */
const written = ({ source }: RegExp) => z.string().meta({ pattern: source });

function duration(fallback: string, longestMs: number) {
  return written(durationGrammar)
    .default(fallback)
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms !== undefined && ms <= longestMs) return ms;
      context.addIssue(
        ms === undefined
          ? `is not a duration: give ${durationHint}`
          : 'is too long: give 24d at most',
      );
      return z.NEVER;
    });
}
const timer = (fallback: string) => duration(fallback, longestTimerMs);
/** A lease without an end would outlive whoever was killed with it, and a shorter one every hiccup. */
const leaseTime = timer('10s').refine((ms) => ms >= 1000, {
  error: 'is too short: give 1s at least, such as 10s',
});
const lifetime = (fallback: string) => duration(fallback, Number.MAX_SAFE_INTEGER);

function word<const T extends readonly [string, ...string[]]>(words: T, fallback: T[number]) {
  return z.enum(words, { error: `is not known: give ${listOf(words)}` }).default(fallback);
}

const text = (fallback: string) => z.string().default(fallback);
const optionalText = z.string().optional();
const path = (fallback: string) => text(fallback).transform((value) => resolve(value));
const optionalPath = z
  .string()
  .transform((value) => resolve(value))
  .optional();

const flag = word(['true', 'false'], 'false').transform((value) => value === 'true');

const size = written(sizeGrammar)
  .default('0')
  .transform((value, context) => {
    const bytes = parseSize(value);
    if (bytes !== undefined) return bytes;
    context.addIssue(
      'is not a size: give bytes, or a whole number with a unit, such as 50GB or 50GiB',
    );
    return z.NEVER;
  });

function checked(check: Check | undefined) {
  return z.string().superRefine((value, context) => {
    const problem = check?.(value);
    if (problem !== undefined) context.addIssue(problem);
  });
}
const grammar = (check: Check | undefined) => checked(check).optional();

function patterns(check: Check | undefined) {
  return text('').transform((value, context) => {
    const items = value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
    for (const item of items) {
      const problem = check?.(item);
      if (problem !== undefined) context.addIssue(`has a bad pattern: ${item} ${problem}`);
    }
    return items;
  });
}

/** The public registries that most images come from, Docker Hub by the address of its API. */
const publicRegistries = [
  'docker.io=https://registry-1.docker.io',
  ...['ghcr.io', 'quay.io', 'gcr.io', 'registry.k8s.io', 'mcr.microsoft.com', 'public.ecr.aws'].map(
    (name) => `${name}=https://${name}`,
  ),
].join(',');

const portNumber = (value: string, context: z.RefinementCtx): number => {
  const number = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= 65_535) return number;
  context.addIssue('is not a port: give a whole number from 1 to 65535, or 0 for any free port');
  return z.NEVER;
};

const settings = (checks: Checks) =>
  z.object({
    LARDER_HOST: text('0.0.0.0').refine((value) => !/\s/.test(value), {
      error: 'is not an address: give one, such as 127.0.0.1 or ::, or a name',
    }),
    LARDER_PORT: text('3000').transform(portNumber),
    LARDER_TLS_CERT_FILE: optionalPath,
    LARDER_TLS_KEY_FILE: optionalPath,
    LARDER_AUTH_HTPASSWD: optionalPath,
    LARDER_STORAGE: word(['file', 's3'], 'file'),
    LARDER_STORAGE_DIR: path('./data'),
    LARDER_SPOOL_DIR: optionalPath,
    LARDER_MIGRATE: word(['manual', 'auto'], 'manual'),
    LARDER_S3_BUCKET: optionalText,
    LARDER_S3_PREFIX: text(''),
    LARDER_S3_REGION: text('us-east-1'),
    LARDER_S3_ENDPOINT: checked(urlProblem).optional(),
    LARDER_S3_FORCE_PATH_STYLE: flag,
    LARDER_S3_REDIRECT: flag,
    LARDER_S3_DISK_CACHE: size,
    LARDER_S3_ACCESS_KEY_ID: optionalText,
    LARDER_S3_ACCESS_KEY_ID_FILE: optionalPath,
    LARDER_S3_SECRET_ACCESS_KEY: optionalText,
    LARDER_S3_SECRET_ACCESS_KEY_FILE: optionalPath,
    LARDER_REDIS_URL: grammar(checks.checkRedisUrl),
    LARDER_REDIS_URL_FILE: optionalPath,
    LARDER_REDIS_PREFIX: text('larder:'),
    LARDER_LEASE_TIME: leaseTime,
    LARDER_PEER_URL: checked(urlProblem).optional(),
    LARDER_PEER_SECRET: optionalText,
    LARDER_PEER_SECRET_FILE: optionalPath,
    LARDER_GO_UPSTREAM: grammar(checks.checkUpstream),
    LARDER_GO_UPSTREAM_FILE: optionalPath,
    LARDER_GO_PRIVATE: patterns(checks.checkPattern),
    LARDER_NETRC: optionalPath,
    LARDER_GIT_CONFIG: optionalPath,
    LARDER_SSH_KEY_FILE: optionalPath,
    LARDER_SSH_KNOWN_HOSTS_FILE: optionalPath,
    LARDER_GO_READ_AHEAD: word(['none', 'mod', 'all'], 'mod'),
    LARDER_GO_SUMDB: grammar(checks.checkSumdb),
    LARDER_GO_NOSUMDB: patterns(checks.checkPattern),
    LARDER_GO_SUMDB_POLICY: word(['keep', 'require'], 'keep'),
    LARDER_OCI_UPSTREAMS: checked(checks.checkOciUpstreams).default(publicRegistries),
    LARDER_OCI_AUTH_FILE: optionalPath,
    LARDER_OCI_REALMS: checked(checks.checkOciRealms).default(''),
    LARDER_OCI_FIRST_BYTE_TIMEOUT: timer('10s'),
    LARDER_RATE_WAIT: timer('5s'),
    LARDER_RATE_STATUS: word(['429', '503'], '429'),
    LARDER_USER_AGENT_SUFFIX: text('').refine((value) => /^[\x20-\x7e]*$/.test(value), {
      error: 'cannot stand in a header: give printable ASCII alone',
    }),
    LARDER_RULES_FILE: optionalPath,
    LARDER_MODE: word(MODES, 'sync'),
    LARDER_OFFLINE: flag,
    LARDER_ADMISSION_URL: checked(urlProblem).optional(),
    LARDER_ADMISSION_URL_FILE: optionalPath,
    LARDER_ADMISSION_FAIL: word(['deny', 'allow'], 'deny'),
    LARDER_LIST_TTL: lifetime('60s'),
    LARDER_TAG_TTL: lifetime('60s'),
    LARDER_NEGATIVE_TTL: lifetime('30s'),
    LARDER_STALE_IF_ERROR: lifetime('7d'),
    LARDER_GO_FIRST_BYTE_TIMEOUT: timer('60s'),
    LARDER_VCS_TIMEOUT: timer('10m'),
    LARDER_STALL_TIMEOUT: timer('30s'),
    LARDER_FILL_TIMEOUT: timer('15m'),
    LARDER_STORE_TIMEOUT: timer('10s'),
    LARDER_DRAIN_TIMEOUT: timer('20s'),
    LARDER_ORPHAN_GRACE: lifetime('1h'),
    LARDER_KEEP: word(['used', 'all'], 'used'),
    LARDER_ADMIN_TOKEN: optionalText,
    LARDER_ADMIN_TOKEN_FILE: optionalPath,
    LARDER_ADMIN_PORT: z.string().transform(portNumber).optional(),
    LARDER_MAX_SIZE: size,
    LARDER_MAX_AGE: lifetime('0s'),
    LARDER_COLLECT_INTERVAL: timer('1h'),
    LARDER_LOG_LEVEL: word(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info'),
  });

/** What may be given, by name: texts, as the environment has them. With every default that is the same on every machine. */
export const settingsSchema = () =>
  z.toJSONSchema(settings({}), { io: 'input', target: 'draft-7' });

/** Every name that is a setting. */
export const settingNames: readonly string[] = Object.keys(settings({}).shape);

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

type Settings = z.output<ReturnType<typeof settings>>;

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

function listOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}
