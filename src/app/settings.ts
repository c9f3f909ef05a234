// Every setting by its name, with its default and what it may be. `.env.example` lists the same names; a test holds the two
// together.

import { z } from 'zod';
import { MODES } from '../engine/policy.ts';
import { urlProblem } from './s3-settings.ts';
import {
  checked,
  flag,
  grammar,
  leaseTime,
  lifetime,
  optionalPath,
  optionalText,
  path,
  patterns,
  portNumber,
  size,
  text,
  timer,
  word,
  type Check,
} from './setting-values.ts';

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

/** The public registries that most images come from, Docker Hub by the address of its API. */
const publicRegistries = [
  'docker.io=https://registry-1.docker.io',
  ...['ghcr.io', 'quay.io', 'gcr.io', 'registry.k8s.io', 'mcr.microsoft.com', 'public.ecr.aws'].map(
    (name) => `${name}=https://${name}`,
  ),
].join(',');

export const settings = (checks: Checks) =>
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

/** What was given, read. */
export type Settings = z.output<ReturnType<typeof settings>>;
