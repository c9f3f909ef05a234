// Who asks, by Basic authentication (RFC 7617) and a file of users.
//
// A password is compared once; after that its header is known by a keyed hash. A file that has changed is a new start.

import { hash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Users } from './htpasswd.ts';
import type { PasswordChecker } from './password-checker.ts';

export interface Identity {
  /** As the file of users has it. */
  readonly user: string;
}

/** Whose request it is, or why it is nobody's: no usable credentials came with it, or wrong ones. */
export type Verdict = Identity | 'missing' | 'wrong';

/** Credentials known as good, for how long without a use; as wrong, for how long. */
const ACCEPTED = { max: 10_000, ttl: 600_000, updateAgeOnGet: true, ttlResolution: 1000 };
const REFUSED = { max: 10_000, ttl: 30_000 };

/** What one file of users has led to. */
class Judgements {
  readonly accepted = new LRUCache<string, Identity>(ACCEPTED);
  readonly refused = new LRUCache<string, 'wrong'>(REFUSED);
  readonly underWay = new Map<string, Promise<Verdict>>();
  readonly users: Users;
  readonly hashes: readonly string[];

  constructor(users: Users) {
    this.users = users;
    this.hashes = [...users.values()];
  }
}

export class BasicAuth {
  readonly #checker: Pick<PasswordChecker, 'matches'>;
  /** Of this process alone: the keys of the caches tell nobody anything. */
  readonly #secret = randomBytes(32).toString('base64');
  #judgements: Judgements;

  constructor(users: Users, checker: Pick<PasswordChecker, 'matches'>) {
    this.#judgements = new Judgements(users);
    this.#checker = checker;
  }

  /** From now on these are the users; who was accepted before must be among them. */
  replace(users: Users): void {
    this.#judgements = new Judgements(users);
  }

  /**
   * Judges an `Authorization` header; at once where it is known. All who come with the same one meanwhile share a check.
   * Throws LarderError `overloaded`.
   */
  judge(authorization: string | undefined): Verdict | Promise<Verdict> {
    if (authorization === undefined) return 'missing';
    const judgements = this.#judgements;
    const key = this.#keyed(authorization);
    const known = judgements.accepted.get(key) ?? judgements.refused.get(key);
    if (known !== undefined) return known;
    const credentials = parseBasic(authorization);
    if (credentials === undefined) return 'missing';
    let check = judgements.underWay.get(key);
    if (check === undefined) {
      check = this.#check(judgements, key, credentials, authorization).finally(() =>
        judgements.underWay.delete(key),
      );
      judgements.underWay.set(key, check);
    }
    return check;
  }

  async #check(
    judgements: Judgements,
    key: string,
    { user, password }: Credentials,
    authorization: string,
  ): Promise<Verdict> {
    const { users, accepted, refused } = judgements;
    const own = users.get(user);
    const matches = await this.#checker.matches({
      password,
      hash: own ?? this.#another(judgements, user),
    });
    // the file has changed meanwhile
    if (judgements !== this.#judgements) return this.judge(authorization);
    if (own !== undefined && matches) {
      const identity = { user };
      accepted.set(key, identity);
      return identity;
    }
    refused.set(key, 'wrong');
    return 'wrong';
  }

  /** For a name that is no user's the hash of one, always the same: it takes as long as a user's own would. */
  #another({ hashes }: Judgements, name: string): string {
    const number = Number.parseInt(this.#keyed(name).slice(0, 8), 16);
    return hashes[number % hashes.length] ?? '';
  }

  #keyed(text: string): string {
    return hash('sha256', this.#secret + text, 'hex');
  }
}

interface Credentials {
  readonly user: string;
  readonly password: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** User and password of an `Authorization` header; undefined for anything else and anything malformed. */
export function parseBasic(authorization: string): Credentials | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? [];
  if (encoded === undefined) return undefined;
  let pair: string;
  try {
    pair = utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
  const colon = pair.indexOf(':');
  if (colon < 1 || /\p{Cc}/u.test(pair)) return undefined;
  return { user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}
