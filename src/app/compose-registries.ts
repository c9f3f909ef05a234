// How registries are asked, with which credentials: for the server and for verbs alike.

import { readFileSync } from 'node:fs';
import { messageOf } from '../engine/errors.ts';
import type { Clock } from '../engine/ports.ts';
import type { UpstreamClient } from '../http/client.ts';
import { parseAuthFile, type Credentials } from '../oci/auth-file.ts';
import { RegistryFetcher, type Access, type RegistryTimeouts } from '../oci/fetch-registry.ts';
import { RegistryAuth } from '../oci/registry-auth.ts';
import { OciUpstreams, parseOciUpstreams, parseRealms, type Repository } from '../oci/upstreams.ts';
import type { Config } from './config.ts';
import { fileReason, StartError } from './start-error.ts';

export interface Registries {
  readonly upstreams: OciUpstreams;
  /** To read there alone, unless `access` says otherwise. */
  readonly fetcherOf: (
    repository: Pick<Repository, 'upstream' | 'from' | 'askedAt'>,
    access?: Access,
  ) => RegistryFetcher;
}

/** Throws StartError when the file with credentials cannot be used. */
export function composeRegistries(
  oci: Pick<Config['oci'], 'upstreams' | 'authFile' | 'realms'>,
  { client, clock, timeouts }: { client: UpstreamClient; clock: Clock; timeouts: RegistryTimeouts },
): Registries {
  const auth = new RegistryAuth(client, {
    credentials: credentials(oci.authFile),
    realms: parseRealms(oci.realms),
    timeouts,
    clock,
  });
  const fetchers = new Map<string, RegistryFetcher>();
  return {
    upstreams: new OciUpstreams(parseOciUpstreams(oci.upstreams)),
    fetcherOf: ({ upstream, from, askedAt }, access = 'pull') => {
      // credentials for the registry's own address are not for another one's
      const asked = from === undefined ? upstream : { name: from.host, url: from };
      const key = `${asked.name} ${asked.url.href} ${access}`;
      let fetcher = fetchers.get(key);
      if (fetcher === undefined)
        fetchers.set(key, (fetcher = new RegistryFetcher(asked, client, auth, timeouts, access)));
      return askedAt === undefined ? fetcher : fetcher.since(askedAt);
    },
  };
}

function credentials(file: string | undefined): Credentials {
  if (file === undefined) return new Map();
  const problem = (why: string, cause: unknown) =>
    new StartError(`LARDER_OCI_AUTH_FILE="${file}" cannot be used: ${why}.`, { cause });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw problem(fileReason(error), error);
  }
  try {
    return parseAuthFile(text);
  } catch (error) {
    throw problem(messageOf(error), error);
  }
}
