// What Larder shows to registries: it answers their challenges with its own credentials or anonymously, keeps the tokens
// for as long as they live, and asks for each one at a time (distribution's token and OAuth2 specifications).

import { LRUCache } from 'lru-cache';
import { LarderError } from '../engine/errors.ts';
import type { Clock } from '../engine/ports.ts';
import type { UpstreamClient, UpstreamRequest } from '../http/client.ts';
import { orAborted } from '../http/deadline.ts';
import { readAll } from '../http/download.ts';
import type { Patience } from '../http/patience.ts';
import { credentialFor, type Credential, type Credentials } from './auth-file.ts';
import type { Challenge } from './challenge.ts';
import { mayGetCredentials, parseRealm, refuseInnerRealm, type Realms } from './realm.ts';
import { drain, refusal } from './refusals.ts';
import { parseToken, type Token } from './token.ts';
import type { Repository } from './upstreams.ts';

/** Tokens, and repositories whose challenge is remembered. */
const MAX_TOKENS = 1000;
const MAX_PLACES = 10_000;
/** Bytes of a token server's answer. */
const MAX_ANSWER = 256 * 1024;

export interface RegistryAuthOptions {
  readonly credentials: Credentials;
  readonly realms: Realms;
  /** Of a token request; the first covers all of it, tries and body. Milliseconds. */
  readonly timeouts: Pick<UpstreamRequest, 'firstByteMs' | 'rateWaitMs' | 'stallMs'>;
  readonly clock: Clock;
}

/** What a registry wants to see: Basic, or the token that a token server gives for this. */
type Demand = { readonly scheme: 'basic' } | TokenDemand;

/** One under way, and the time that it may take. */
interface TokenRequest {
  readonly token: Promise<Token>;
  readonly patience: Patience;
}

interface TokenDemand {
  readonly scheme: 'bearer';
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scopes: readonly string[];
}

export class RegistryAuth {
  readonly #client: UpstreamClient;
  readonly #options: RegistryAuthOptions;
  readonly #demands = new LRUCache<string, Demand>({ max: MAX_PLACES });
  readonly #tokens = new LRUCache<string, Token>({ max: MAX_TOKENS });
  readonly #requests = new Map<string, TokenRequest>();

  constructor(client: UpstreamClient, options: RegistryAuthOptions) {
    this.#client = client;
    this.#options = options;
  }

  /**
   * `Authorization` for a repository whose challenge is known from before, or undefined. `scopes`: what a token must allow
   * beside what the challenge asks for. Throws as `answer` does.
   */
  async known(
    repository: Repository,
    patience: Patience,
    scopes: readonly string[] = [],
  ): Promise<string | undefined> {
    const place = placeOf(repository);
    const demand = this.#demands.get(place);
    if (demand === undefined) return undefined;
    try {
      return await this.#authorization(repository, widened(demand, scopes), undefined, patience);
    } catch (error) {
      // its token server may have moved: the next one asks the registry again
      this.#demands.delete(place);
      throw error;
    }
  }

  /**
   * `Authorization` that answers the challenges of the upstream's own 401; undefined when Larder has no answer.
   * `rejected`: what was sent and not taken; `scopes`: as for `known`. Throws LarderError: `upstream_unauthorized` or `upstream_forbidden` when
   * the token server refuses, `rate_limited`, `upstream_timeout`, `upstream_failed`; and the signal's reason.
   */
  async answer(
    repository: Repository,
    challenges: readonly Challenge[],
    rejected: string | undefined,
    patience: Patience,
    scopes: readonly string[] = [],
  ): Promise<string | undefined> {
    const demand = this.#demandOf(repository, challenges);
    if (demand === undefined) return undefined;
    this.#demands.set(placeOf(repository), demand);
    return this.#authorization(repository, widened(demand, scopes), rejected, patience);
  }

  #demandOf({ upstream, path }: Repository, challenges: readonly Challenge[]): Demand | undefined {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer')?.parameters;
    if (bearer) {
      const scope = bearer.get('scope') ?? `repository:${path}:pull`;
      return {
        scheme: 'bearer',
        realm: parseRealm(upstream, bearer.get('realm')),
        service: bearer.get('service'),
        scopes: scope.split(/\s+/).filter((one) => one !== ''),
      };
    }
    return challenges.some(({ scheme }) => scheme === 'basic') ? { scheme: 'basic' } : undefined;
  }

  async #authorization(
    repository: Repository,
    demand: Demand,
    rejected: string | undefined,
    patience: Patience,
  ): Promise<string | undefined> {
    const { credentials, realms } = this.#options;
    const own = credentialFor(credentials, repository.upstream);
    if (demand.scheme === 'basic') {
      const basic = own?.kind === 'password' ? basicOf(own) : undefined;
      return basic === rejected ? undefined : basic;
    }
    const trusted = mayGetCredentials(repository.upstream, demand.realm, realms);
    return this.#bearer(repository, demand, trusted ? own : undefined, rejected, patience);
  }

  async #bearer(
    repository: Repository,
    demand: TokenDemand,
    credential: Credential | undefined,
    rejected: string | undefined,
    patience: Patience,
  ): Promise<string> {
    // by the upstream too: where it may send Larder is its own matter, and no other one gets what that led to
    const { realm, service, scopes } = demand;
    const key = JSON.stringify([repository.upstream.name, realm, service, scopes, credential]);
    const held = this.#tokens.get(key);
    const now = this.#options.clock.now();
    const taken = held !== undefined && held.authorization !== rejected && now < held.endsAt;
    if (taken && now < held.renewAt) return held.authorization;
    const request = this.#shared(key, realm, patience, (own) =>
      this.#request(repository, demand, credential, own),
    );
    if (!taken) return (await patience.shared(request.token, request.patience)).authorization;
    // renewed meanwhile; whoever comes when it has ended is told why that failed
    request.token.catch(() => undefined);
    return held.authorization;
  }

  /** One request a key at a time; it ends with no caller, as others wait for it. `first`: of who comes first. */
  #shared(
    key: string,
    realm: URL,
    first: Patience,
    request: (patience: Patience) => Promise<Token>,
  ): TokenRequest {
    const running = this.#requests.get(key);
    if (running) return running;
    const { timeouts } = this.#options;
    const { signal } = new AbortController();
    const rateWaitMs = Math.min(timeouts.rateWaitMs, first.rateLeftMs);
    const patience = this.#client.patience({ ...timeouts, url: realm, rateWaitMs, signal });
    const token = request(patience)
      .then((got) => {
        this.#tokens.set(key, got);
        return got;
      })
      .finally(() => {
        patience.end();
        this.#requests.delete(key);
      });
    const started = { token, patience };
    this.#requests.set(key, started);
    return started;
  }

  /** `patience` covers its body too. */
  async #request(
    { upstream }: Repository,
    demand: TokenDemand,
    credential: Credential | undefined,
    patience: Patience,
  ): Promise<Token> {
    const { timeouts, clock } = this.#options;
    const { host } = upstream.url;
    const { signal } = patience;
    await orAborted(refuseInnerRealm(upstream, demand.realm), signal);
    const asked = clock.now();
    const response = await this.#client.send({
      ...tokenRequest(demand, credential),
      ...timeouts,
      signal,
      patience,
    });
    if (response.status !== 200) {
      await drain(response);
      throw tokenRefusal(host, refusal(`the token server of ${host}`, response));
    }
    const answer = await readAll(response.body, MAX_ANSWER).catch((cause: unknown) => {
      if (signal.aborted) throw signal.reason as Error;
      throw new LarderError('upstream_failed', `the token server of ${host} breaks off`, {
        cause,
      });
    });
    return parseToken(host, answer, asked);
  }
}

/** With these scopes too, each of them once with all its actions. */
function widened(demand: Demand, scopes: readonly string[]): Demand {
  if (demand.scheme === 'basic' || scopes.length === 0) return demand;
  const actions = new Map<string, Set<string>>();
  for (const scope of [...scopes, ...demand.scopes]) {
    // a name may have colons
    const colon = scope.lastIndexOf(':');
    const resource = scope.slice(0, Math.max(0, colon));
    const held = actions.get(resource) ?? new Set();
    for (const action of scope.slice(colon + 1).split(',')) held.add(action);
    actions.set(resource, held);
  }
  const merged = [...actions].map(([resource, held]) => `${resource}:${[...held].join(',')}`);
  return { ...demand, scopes: merged };
}

/** A token server that knows nothing of the repository is no proof that the repository is not there. */
const tokenRefusal = (host: string, error: LarderError): LarderError =>
  error.code === 'not_found'
    ? new LarderError('upstream_failed', `the token server of ${host} is not where ${host} says`)
    : error;

/** GET with Basic or nothing; for an identity token the POST of OAuth2. */
function tokenRequest(
  { realm, service, scopes }: TokenDemand,
  credential: Credential | undefined,
): Pick<UpstreamRequest, 'url' | 'method' | 'headers' | 'body'> {
  if (credential?.kind === 'identity') {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: 'larder',
      refresh_token: credential.token,
      scope: scopes.join(' '),
      ...(service !== undefined && { service }),
    });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    return { url: realm, method: 'POST', headers, body: form.toString() };
  }
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const headers = credential ? { authorization: basicOf(credential) } : {};
  return { url, method: 'GET', headers };
}

const basicOf = ({ user, password }: Credential & { kind: 'password' }): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

const placeOf = ({ upstream, path }: Repository): string => `${upstream.name}/${path}`;
