// The images' part of the composition.

import { readFileSync } from 'node:fs';
import type { Answers } from '../engine/answers.ts';
import { messageOf } from '../engine/errors.ts';
import type { Holdings } from '../engine/holdings.ts';
import type { Clock, Listener, Store } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import { within, type Announcements } from '../engine/purge-plan.ts';
import type { UpstreamClient } from '../http/client.ts';
import type { DataPlane } from '../http/context.ts';
import type { OnMistake } from '../http/mistakes.ts';
import { parseAuthFile, type Credentials } from '../oci/auth-file.ts';
import { RegistryFetcher } from '../oci/fetch-registry.ts';
import { OciHoldings } from '../oci/holdings.ts';
import { Links } from '../oci/links.ts';
import { RegistryAuth } from '../oci/registry-auth.ts';
import { ociPlane } from '../oci/routes.ts';
import { OciUpstreams, parseOciUpstreams, parseRealms, type Repository } from '../oci/upstreams.ts';
import type { RulesInForce } from './compose-rules.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';
import { fileReason, StartError } from './start-error.ts';

/** What both protocols share. */
export interface SharedParts {
  readonly store: Store;
  readonly answers: Answers;
  readonly pull: PullThrough;
  /** Of purges, which links are to forget. */
  readonly announcements: Announcements;
  readonly clock: Clock;
  readonly client: UpstreamClient;
  readonly listener: Required<Listener>;
  readonly rules: RulesInForce;
  /** Name of this server in `Via`. */
  readonly via: string;
  readonly onMistake: OnMistake;
}

export interface OciSide {
  readonly plane: DataPlane;
  /** What of the images is in this store. */
  holdings(store: Store): Holdings;
  readonly links: Links;
  /** Resolves when links and edges that are on their way are in the store. */
  settled(): Promise<void>;
}

/** Throws StartError when the file with credentials cannot be used. */
export function composeOci(
  { oci, tagTtlMs, staleIfErrorMs, stallTimeoutMs }: Config,
  {
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
  }: SharedParts,
): OciSide {
  const timeouts = {
    firstByteMs: deadline(oci.firstByteTimeoutMs),
    stallMs: deadline(stallTimeoutMs),
  };
  const auth = new RegistryAuth(client, {
    credentials: credentials(oci.authFile),
    realms: parseRealms(oci.realms),
    timeouts,
    clock,
  });
  const registries = parseOciUpstreams(oci.upstreams);
  const fetchers = new Map<string, RegistryFetcher>();
  const fetcherOf = ({ upstream, from }: Repository) => {
    // credentials for the registry's own address are not for another one's
    const asked = from === undefined ? upstream : { name: from.host, url: from };
    const key = `${asked.name} ${asked.url.href}`;
    let fetcher = fetchers.get(key);
    if (fetcher === undefined)
      fetchers.set(key, (fetcher = new RegistryFetcher(asked, client, auth, timeouts)));
    return fetcher;
  };
  const upstreams = new OciUpstreams(registries);
  const links = new Links({ store, answers, listener });
  announcements.subscribe((scope) => links.forget(within(scope)));
  const plane = ociPlane({
    pull,
    store,
    answers,
    upstreams,
    content: {
      links,
      fetcherOf,
    },
    policy: rules.oci,
    clock,
    offline: rules.offline,
    freshness: { ttlMs: tagTtlMs, staleWhileRevalidateMs: 0, staleIfErrorMs },
    via,
    onMistake,
  });
  return {
    plane,
    holdings: (place) => new OciHoldings({ store: place, upstreams }),
    links,
    settled: () => links.settled(),
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
