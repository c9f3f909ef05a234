// The one decision point: who may enter, and how a miss is handled. Rules in order, the first that matches decides. What a
// name is, and when a rule matches one, is for its protocol to say.

import { LRUCache } from 'lru-cache';
import { LarderError } from './errors.ts';

/**
 * How a miss is handled. sync: fetched while the client reads. async: 404, and fetched behind. redirect: the client is sent
 * to the upstream, nothing is kept. async_redirect: both. none: 404.
 */
export const MODES = ['sync', 'async', 'redirect', 'async_redirect', 'none'] as const;
export type Mode = (typeof MODES)[number];

/** What a rule says of the names that it matches, whatever their protocol. */
export interface Rule {
  /** Why they may not enter. */
  readonly deny?: string | undefined;
  readonly mode?: Mode | undefined;
  /** What was published less than so many milliseconds ago may not enter yet. */
  readonly minAgeMs?: number | undefined;
}

export interface CompiledRule<Name, R extends Rule> {
  readonly rule: R;
  /** `partly`: the name stands for several things, and the rule is about some of them. */
  readonly matches: (name: Name) => boolean | 'partly';
}

export interface Decision<R extends Rule> {
  /** The rule that decides, from 1; undefined when none matches. */
  readonly number: number | undefined;
  readonly rule: R | undefined;
  /** The reason, where the name may not enter. */
  readonly denied: string | undefined;
  readonly mode: Mode;
  readonly minAgeMs: number;
  /** Whether some of what the name stands for may be denied although the name is not. */
  readonly selective: boolean;
}

/** Decisions in memory. */
const REMEMBERED = 10_000;

export class Policy<Name, R extends Rule> {
  readonly #keyOf: (name: Name) => string;
  readonly #without: Decision<R>;
  readonly #remembered = new LRUCache<string, Decision<R>>({ max: REMEMBERED });
  #rules: readonly CompiledRule<Name, R>[];

  /** `keyOf`: a text that two names share only if they are the same. `mode`: where no rule says another. */
  constructor(
    keyOf: (name: Name) => string,
    mode: Mode,
    rules: readonly CompiledRule<Name, R>[] = [],
  ) {
    this.#keyOf = keyOf;
    this.#rules = rules;
    this.#without = {
      number: undefined,
      rule: undefined,
      denied: undefined,
      mode,
      minAgeMs: 0,
      selective: false,
    };
  }

  /** Another array after every `replace`. */
  get rules(): readonly CompiledRule<Name, R>[] {
    return this.#rules;
  }

  /** From now on these rules decide. */
  replace(rules: readonly CompiledRule<Name, R>[]): void {
    this.#rules = rules;
    this.#remembered.clear();
  }

  decide(name: Name): Decision<R> {
    if (this.#rules.length === 0) return this.#without;
    const key = this.#keyOf(name);
    let decision = this.#remembered.get(key);
    if (decision === undefined) {
      decision = this.#decide(name);
      this.#remembered.set(key, decision);
    }
    return decision;
  }

  /** As `decide`. Throws LarderError `denied`, with the reason. */
  admit(name: Name): Decision<R> {
    const decision = this.decide(name);
    if (decision.denied !== undefined) throw new LarderError('denied', decision.denied);
    return decision;
  }

  /**
   * The first rule about all that the name stands for; where it denies, an earlier one that lets some of it in, since that
   * could not be asked for otherwise.
   */
  #decide(name: Name): Decision<R> {
    let opening: number | undefined;
    let selective = false;
    for (const [at, { rule, matches }] of this.#rules.entries()) {
      const match = matches(name);
      if (match === false) continue;
      if (match === true) {
        if (rule.deny === undefined || opening === undefined) return this.#by(at, selective);
        return this.#by(opening, true);
      }
      if (rule.deny === undefined) opening ??= at;
      selective ||= rule.deny !== undefined || (rule.minAgeMs ?? 0) > 0;
    }
    return selective ? { ...this.#without, selective } : this.#without;
  }

  #by(at: number, selective: boolean): Decision<R> {
    const rule = this.#rules[at]?.rule;
    const minAgeMs = rule?.minAgeMs ?? 0;
    return {
      number: at + 1,
      rule,
      denied: rule?.deny,
      mode: rule?.mode ?? this.#without.mode,
      minAgeMs,
      selective: selective || minAgeMs > 0,
    };
  }
}

/** The last moment that a Date can be. */
const LAST_MS = 8.64e15;

/** From when on something is as old as that, milliseconds since the epoch as `publishedMs` is. */
export const opensAt = (publishedMs: number, minAgeMs: number): number =>
  Math.min(publishedMs + minAgeMs, LAST_MS);

/**
 * Whether something is as old as its rule wants. `publishedMs`: since the epoch; undefined when it does not say. Throws
 * LarderError `denied`.
 */
export function refuseYoung(
  name: string,
  publishedMs: number | undefined,
  minAgeMs: number,
  now: number,
): void {
  if (publishedMs === undefined)
    throw new LarderError('denied', `${name} does not say when it was published, and a rule asks`);
  const opens = opensAt(publishedMs, minAgeMs);
  if (opens <= now) return;
  const from = new Date(opens).toISOString();
  throw new LarderError('denied', `${name} is too young: a rule lets it in from ${from} on`);
}
