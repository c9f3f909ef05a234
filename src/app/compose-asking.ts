// What a verb asks registries by: the server's client, settings, credentials and rules, and neither store nor server.

import { randomUUID } from 'node:crypto';
import { fanOut } from '../engine/listeners.ts';
import { systemClock } from '../engine/ports.ts';
import { UpstreamClient } from '../http/client.ts';
import { ociPolicy, type OciPolicy } from '../oci/rules.ts';
import { composeLimits } from './compose-limits.ts';
import { composeRegistries, type Registries } from './compose-registries.ts';
import { loadConfig, type Config } from './config.ts';
import { deadline } from './duration.ts';
import { grammarChecks } from './grammar-checks.ts';
import { readRules } from './rules-file.ts';
import { userAgent } from './version.ts';

export interface Asking extends Registries {
  readonly client: UpstreamClient;
  /** Where a server with these settings is reached from this machine. */
  readonly ownServer: URL;
  readonly policy: OciPolicy;
  close(): Promise<void>;
}

/**
 * `timeoutMs`: of one question, to the first byte of its answer. `through`: whether a running Larder is asked in place of
 * the registries, for which neither LARDER_OFFLINE nor rules are meant. Throws StartError.
 */
export function composeAsking(timeoutMs: number, through: 'registries' | 'server'): Asking {
  const { oci, rulesFile, mode, offline, stallTimeoutMs, userAgentSuffix, ...config } = loadConfig(
    undefined,
    grammarChecks,
    // images need no go command
    () => ({ goproxy: 'off', gosumdb: 'off' }),
  );
  const direct = through === 'registries';
  const policy = ociPolicy(mode);
  const rules = direct && rulesFile !== undefined ? readRules(rulesFile) : undefined;
  if (rules) policy.replace(rules.oci);
  const limits = composeLimits(oci.upstreams, { limits: () => rules?.upstreams ?? new Map() });
  const client = new UpstreamClient({
    userAgent: userAgent(userAgentSuffix),
    via: `larder-${randomUUID().slice(0, 8)}`,
    listener: fanOut([], () => undefined),
    limitsOf: direct ? limits.of : undefined,
    // a Larder says it of the one upstream that was asked for
    holds: direct,
    offline: direct && offline ? 'Larder is offline (LARDER_OFFLINE)' : undefined,
  });
  const timeouts = {
    firstByteMs: timeoutMs,
    rateWaitMs: timeoutMs,
    stallMs: deadline(stallTimeoutMs),
  };
  const registries = composeRegistries(oci, { client, clock: systemClock, timeouts });
  return {
    ...registries,
    client,
    ownServer: addressOf(config),
    policy,
    close: () => client.close(),
  };
}

function addressOf({ host, port, tls }: Pick<Config, 'host' | 'port' | 'tls'>): URL {
  const all: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const own = all[host] ?? host;
  const shown = own.includes(':') ? `[${own}]` : own;
  return new URL(`${tls === undefined ? 'http' : 'https'}://${shown}:${String(port)}`);
}
