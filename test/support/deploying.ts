// The deploying part of the program, in the process of the test, over servers of the test.

import { Deployer, type DeployRegistry } from '../../src/oci/deploy/deployer.ts';
import { planDeploy } from '../../src/oci/deploy/plan.ts';
import type { Credential } from '../../src/oci/auth-file.ts';
import { RegistryFetcher } from '../../src/oci/fetch-registry.ts';
import { RegistryPusher } from '../../src/oci/push-registry.ts';
import { RegistryAuth } from '../../src/oci/registry-auth.ts';
import { OciUpstreams, parseOciUpstreams, type OciUpstream } from '../../src/oci/upstreams.ts';
import type { Answer } from './answers.ts';
import { FaultServer, json, type Asked } from './fault-server.ts';
import { upstreamClient } from './origin.ts';

interface DeployingOptions {
  /** Of the registry that is named first. */
  readonly credential?: Credential;
  readonly timeoutMs?: number;
}

/** Runs lines against registries by name, all that may run at once. Results in the order of the lines. */
export async function deployAll(
  registries: Readonly<Record<string, string>>,
  lines: readonly object[],
  { credential, timeoutMs = 20_000 }: DeployingOptions = {},
) {
  const pairs = Object.entries(registries).map(([name, url]) => `${name}=${url}`);
  const upstreams = parseOciUpstreams(pairs.join(' '));
  const { client } = upstreamClient();
  const timeouts = { firstByteMs: timeoutMs, rateWaitMs: timeoutMs, stallMs: 20_000 };
  const auth = new RegistryAuth(client, {
    credentials: new Map(credential ? [[upstreams[0]?.name ?? '', credential]] : []),
    realms: new Map(),
    timeouts,
    clock: { now: () => Date.now() },
  });
  const registryOf = (upstream: OciUpstream): DeployRegistry => {
    const fetcher = new RegistryFetcher(upstream, client, auth, timeouts, 'push');
    const source = new RegistryFetcher(upstream, client, auth, timeouts);
    return { fetcher, pusher: new RegistryPusher(fetcher, client), source };
  };
  const texts = (async function* () {
    for (const line of lines) yield JSON.stringify(line);
    await Promise.resolve();
  })();
  const plan = await planDeploy(texts, new OciUpstreams(upstreams));
  if (plan.problems.length > 0) throw new Error(plan.problems.join('\n'));
  const deployer = new Deployer({ registryOf, timeoutMs, dryRun: false }, plan);
  const { signal } = new AbortController();
  return Promise.all(plan.steps.map(({ input }) => deployer.run(input, signal)));
}

/** A registry that takes what is put, and has none of it before. */
export class Sink extends FaultServer {
  /** What stands in `METHOD path` is answered by the next of these instead. */
  readonly scripted: { readonly match: RegExp; readonly answers: Answer[] }[] = [];
  readonly #held = new Set<string>();

  constructor() {
    super((asked) => this.#route(asked));
  }

  #route(asked: Asked): Answer {
    const { method, path, url } = asked;
    const script = this.scripted.find(({ match }) => match.test(`${method} ${path}`));
    const next = script?.answers.shift();
    if (next) return next;
    if (method === 'POST') {
      const location = `/v2/upload/${String(this.log.length)}`;
      return { ...json(202, {}), headers: { location } };
    }
    const digest = /digest=([^&]+)/.exec(url)?.[1];
    const key = digest === undefined ? path : decodeURIComponent(digest);
    if (method === 'PUT') {
      this.#held.add(key);
      return json(201, {});
    }
    return this.#held.has(key) ? json(200, {}) : json(404, {});
  }
}
