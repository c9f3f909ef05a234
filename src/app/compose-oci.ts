// The images' part of the composition.

import { readFileSync } from 'node:fs';
import { messageOf } from '../engine/errors.ts';
import { systemClock, type Listener, type Store } from '../engine/ports.ts';
import type { Announcements } from '../engine/purge-plan.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import type { UpstreamClient } from '../http/client.ts';
import type { DataPlane } from '../http/context.ts';
import type { OnMistake } from '../http/mistakes.ts';
import { parseAuthFile, type Credentials } from '../oci/auth-file.ts';
import { RegistryFetcher } from '../oci/fetch-registry.ts';
import { Links } from '../oci/links.ts';
import { RegistryAuth } from '../oci/registry-auth.ts';
import { ociPlane } from '../oci/routes.ts';
import { OciUpstreams, parseOciUpstreams, parseRealms } from '../oci/upstreams.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';
import { fileReason, StartError } from './start-error.ts';

/** What both protocols share. */
export interface SharedParts {
  readonly store: Store;
  readonly pull: PullThrough;
  /** Of purges, which links are to forget. */
  readonly announcements: Announcements;
  readonly client: UpstreamClient;
  readonly listener: Required<Listener>;
  /** Name of this server in `Via`. */
  readonly via: string;
  readonly onMistake: OnMistake;
}

/** Throws StartError when the file with credentials cannot be used. */
export function composeOci(
  { oci, tagTtlMs, staleIfErrorMs, stallTimeoutMs }: Config,
  { store, pull, client, listener, via, onMistake }: SharedParts,
): DataPlane {
  const timeouts = {
    firstByteMs: deadline(oci.firstByteTimeoutMs),
    stallMs: deadline(stallTimeoutMs),
  };
  const auth = new RegistryAuth(client, {
    credentials: credentials(oci.authFile),
    realms: parseRealms(oci.realms),
    timeouts,
    clock: systemClock,
  });
  const upstreams = parseOciUpstreams(oci.upstreams);
  const fetchers = new Map(
    upstreams.map((upstream) => [
      upstream.name,
      new RegistryFetcher(upstream, client, auth, timeouts),
    ]),
  );
  return ociPlane({
    pull,
    upstreams: new OciUpstreams(upstreams),
    content: {
      links: new Links(store, listener),
      fetcherOf: ({ upstream }) => {
        const fetcher = fetchers.get(upstream.name);
        if (fetcher === undefined) throw new Error(`${upstream.name} has no fetcher`);
        return fetcher;
      },
    },
    freshness: { ttlMs: tagTtlMs, staleWhileRevalidateMs: 0, staleIfErrorMs },
    via,
    onMistake,
  });
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
