// A fetcher of one registry, as the composition makes it, with a clock that a test moves.

import type { Credential } from '../../src/oci/auth-file.ts';
import { RegistryFetcher } from '../../src/oci/fetch-registry.ts';
import { RegistryAuth } from '../../src/oci/registry-auth.ts';
import { upstreamClient } from './origin.ts';

interface FetcherOptions {
  readonly credential?: Credential;
  /** Token servers that may get it. */
  readonly realms?: readonly string[];
  readonly firstByteMs?: number;
  /** Default: none, so that a 429 is an answer. */
  readonly rateWaitMs?: number;
  readonly stallMs?: number;
}

export function registryFetcher(
  url: string,
  {
    credential,
    realms = [],
    firstByteMs = 20_000,
    rateWaitMs = 0,
    stallMs = 20_000,
  }: FetcherOptions = {},
) {
  const upstream = { name: 'registry.test', url: new URL(url) };
  const { client } = upstreamClient();
  const clock = { ms: 1_000_000, now: () => clock.ms };
  const timeouts = { firstByteMs, rateWaitMs, stallMs };
  const auth = new RegistryAuth(client, {
    credentials: new Map(credential ? [[upstream.name, credential]] : []),
    realms: new Map([[upstream.name, new Set(realms)]]),
    timeouts,
    clock,
  });
  return { fetcher: new RegistryFetcher(upstream, client, auth, timeouts), clock };
}
