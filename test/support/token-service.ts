// A token service on loopback, beside a mock registry: counts what it is asked, and knows the tokens it gave.

import type { Answer } from './answers.ts';
import { FaultServer, json, type Asked } from './fault-server.ts';

export interface TokenServiceOptions {
  /** Who may have tokens: `user:password`. Default: anybody, without credentials. */
  readonly user?: string;
  /** An identity token that may be changed for tokens, too. */
  readonly refreshToken?: string;
  /** What it says of a token's life, seconds. Default: nothing. */
  readonly expiresIn?: number;
  /** What it calls a token. Default `token`. */
  readonly field?: 'token' | 'access_token';
}

/** What a client sends for `user:password`. */
export const basicAuthorization = (pair: string): string =>
  `Basic ${Buffer.from(pair).toString('base64')}`;

/** Starts one; it ends with the test or file. */
export const startTokenService = (options: TokenServiceOptions = {}): Promise<TokenService> =>
  new TokenService(options).up();

export class TokenService extends FaultServer {
  readonly #options: TokenServiceOptions;
  /** Scopes by token. */
  readonly #given = new Map<string, readonly string[]>();
  #count = 0;

  constructor(options: TokenServiceOptions) {
    super((asked) => this.#give(asked));
    this.#options = options;
  }

  get realm(): string {
    return `${this.url}/token`;
  }

  /** Whether a header holds a token that may pull from the repository. */
  grants(authorization: string, repository: string): boolean {
    const token = /^Bearer (.+)$/.exec(authorization)?.[1] ?? '';
    return this.#given.get(token)?.includes(`repository:${repository}:pull`) === true;
  }

  /** No token that was given so far counts any more. */
  revokeAll(): void {
    this.#given.clear();
  }

  #give({ method, path, query, headers, body }: Asked): Answer {
    const { user, refreshToken, expiresIn, field = 'token' } = this.#options;
    if (path !== '/token') return json(404, {});
    const asked = method === 'POST' ? new URLSearchParams(body) : query;
    const basic = user === undefined ? undefined : basicAuthorization(user);
    const isIdentity = refreshToken !== undefined && asked.get('refresh_token') === refreshToken;
    const isOpen = user === undefined && refreshToken === undefined;
    if (!isOpen && !isIdentity && (basic === undefined || headers.authorization !== basic)) {
      return json(401, { details: 'incorrect username or password' });
    }
    const token = `token-${String(++this.#count)}`;
    this.#given.set(
      token,
      asked.getAll('scope').flatMap((scope) => scope.split(' ')),
    );
    return json(200, { [field]: token, expires_in: expiresIn });
  }
}
