// The images' part of the composition.

import type { Answers } from '../engine/answers.ts';
import type { Holdings } from '../engine/holdings.ts';
import type { Clock, Listener, Store } from '../engine/ports.ts';
import type { PullThrough } from '../engine/pull-through.ts';
import { within, type Announcements } from '../engine/purge-plan.ts';
import type { UpstreamClient } from '../http/client.ts';
import type { DataPlane } from '../http/context.ts';
import type { OnMistake } from '../http/mistakes.ts';
import { OciAnswers } from '../oci/answers.ts';
import type { OciParts } from '../oci/exchange.ts';
import { OciHoldings } from '../oci/holdings.ts';
import { Links } from '../oci/links.ts';
import { ociPlane } from '../oci/routes.ts';
import { OciContent } from '../oci/serve-content.ts';
import type { OciUpstreams } from '../oci/upstreams.ts';
import { ImageWarmer } from '../oci/warm.ts';
import { composeRegistries } from './compose-registries.ts';
import { WARM_WAIT_MS } from './compose-warm.ts';
import type { RulesInForce } from './compose-rules.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';

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
  readonly warmer: ImageWarmer;
  readonly upstreams: OciUpstreams;
  /** What of the images is in this store. */
  holdings(store: Store): Holdings;
  readonly links: Links;
  /** Resolves when links and edges that are on their way are in the store. */
  settled(): Promise<void>;
}

/** Throws StartError when the file with credentials cannot be used. */
export function composeOci(
  { oci, limits, tagTtlMs, staleIfErrorMs, stallTimeoutMs }: Config,
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
    rateWaitMs: limits.rateWaitMs,
    stallMs: deadline(stallTimeoutMs),
  };
  const { upstreams, fetcherOf } = composeRegistries(oci, { client, clock, timeouts });
  const links = new Links({ store, answers, listener });
  announcements.subscribe((scope) => links.forget(within(scope)));
  const parts: OciParts = {
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
    rateStatus: limits.status,
    freshness: { ttlMs: tagTtlMs, staleWhileRevalidateMs: 0, staleIfErrorMs },
    via,
    onMistake,
  };
  const content = new OciContent(parts);
  const named = new OciAnswers(parts, content);
  return {
    plane: ociPlane(parts, content, named),
    warmer: new ImageWarmer({ ...parts, content, answers: named, waitMs: WARM_WAIT_MS }),
    upstreams,
    holdings: (place) => new OciHoldings({ store: place, upstreams }),
    links,
    settled: () => links.settled(),
  };
}
