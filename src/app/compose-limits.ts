// What each upstream host puts up with: as the rules file says, else what is known of the public ones.

import type { HostLimits } from '../http/client.ts';
import type { Rate } from '../http/token-bucket.ts';
import { DOCKER_HUB, parseOciUpstreams } from '../oci/upstreams.ts';
import type { RulesInForce } from './compose-rules.ts';

/** Docker Hub's, for whoever comes from one address; not far below it. */
const HUB_RATE: Rate = { intervalMs: 300, burst: 200 };

export interface Limits {
  /** By `host[:port]`. */
  readonly of: (host: string) => HostLimits | undefined;
  /** Reads the rules in force anew. */
  readonly renew: () => void;
}

/** `upstreams`: `name=url` pairs of registries; a name that is none of them is a host itself. */
export function composeLimits(upstreams: string, rules: Pick<RulesInForce, 'limits'>): Limits {
  const registries = parseOciUpstreams(upstreams);
  const hostOf = (name: string) =>
    registries.find((registry) => registry.name === name)?.url.host ?? name;
  const read = () => {
    const given = new Map(rules.limits());
    const hub = given.get(DOCKER_HUB);
    given.set(DOCKER_HUB, { ...hub, rate: hub?.rate ?? HUB_RATE });
    const byHost = new Map<string, HostLimits>();
    for (const [name, { rate, sockets }] of given)
      byHost.set(hostOf(name), { rate: rate === 'off' ? undefined : rate, sockets });
    return byHost;
  };
  let byHost = read();
  return {
    of: (host) => byHost.get(host),
    renew: () => {
      byHost = read();
    },
  };
}
