// What may enter of Go modules, and how its misses are handled: asked by every endpoint and by all background work.

import { LRUCache } from 'lru-cache';
import { LarderError } from '../engine/errors.ts';
import type { ContentRequest } from '../engine/fill.ts';
import { opensAt, refuseYoung, type Decision, type Mode } from '../engine/policy.ts';
import type { Clock } from '../engine/ports.ts';
import type { Ask, PullThrough } from '../engine/pull-through.ts';
import { ClientAsk } from '../http/client-ask.ts';
import { readAll } from '../http/download.ts';
import type { ClientSignal } from '../http/serve.ts';
import { MAX_INFO, parseInfo, type Info } from './info.ts';
import type { GoFileName } from './names.ts';
import type { GoPolicy, GoRule, GoTarget } from './rules.ts';

export type GoDecision = Decision<GoRule>;

export interface GoGateParts {
  readonly policy: GoPolicy;
  /** Why nothing is ever fetched, in the words for a client, where that is so. */
  readonly offline: string | undefined;
  readonly clock: Clock;
  readonly pull: Pick<PullThrough, 'content'>;
  /** A file that is fetched by itself. */
  readonly requestOf: (name: GoFileName) => ContentRequest;
}

/** Versions in memory of which it is known when they were published. */
const KNOWN = 20_000;
/** Versions of one list of which that is found out side by side: half of the fills that one upstream may have. */
const SIDE_BY_SIDE = 32;

interface Known extends Info {
  /** Of its .info. */
  readonly key: string;
}

/** Of a list. */
export interface Allowed {
  readonly versions: readonly string[];
  /** How long that holds, milliseconds since the epoch. */
  readonly until: number;
}

export class GoGate {
  readonly #parts: GoGateParts;
  /** By `module@version`. */
  readonly #known = new LRUCache<string, Known>({ max: KNOWN });

  constructor(parts: GoGateParts) {
    this.#parts = parts;
  }

  /** The rules in force: others after a reload. */
  get rules(): object {
    return this.#parts.policy.rules;
  }

  now(): number {
    return this.#parts.clock.now();
  }

  /** Throws LarderError `denied`. */
  admit(target: GoTarget): GoDecision {
    return this.#parts.policy.admit(target);
  }

  /** Whether a version may be shown, its age left aside. */
  allows(target: GoTarget): boolean {
    return this.#parts.policy.decide(target).denied === undefined;
  }

  /** How a request may be answered. `fetch`: whether its path allows that. */
  ask(fetch: boolean, client: ClientSignal, mode: Mode = 'sync'): Ask {
    const { offline } = this.#parts;
    if (offline !== undefined) return new ClientAsk('none', client, offline);
    return new ClientAsk(fetch ? mode : 'none', client);
  }

  /**
   * Whether a version may enter: by its rule, and by the age that the rule wants. `info`: what its .info says, where that is
   * at hand; else it is fetched, unless `ask` forbids that: then the result is true. Throws LarderError: `denied`, and what its
   * .info fails with.
   */
  async check(target: Required<GoTarget>, ask: Ask, info?: Info): Promise<boolean> {
    const { minAgeMs } = this.admit(target);
    if (minAgeMs === 0) return false;
    const { timeMs, isNew } = info ? { ...info, isNew: false } : await this.#infoOf(target, ask);
    const name = `${target.module}@${String(target.version)}`;
    refuseYoung(name, timeMs, minAgeMs, this.#parts.clock.now());
    return isNew;
  }

  /** Whether it is known, without a question to anybody, that a version is so old. */
  isKnownOld(module: string, version: string, minAgeMs: number): boolean {
    const timeMs = this.#known.get(`${module}@${version}`)?.timeMs;
    return timeMs !== undefined && opensAt(timeMs, minAgeMs) <= this.#parts.clock.now();
  }

  /**
   * Those of a module's versions that may enter, in their order; not those of which the age cannot be found out. Throws LarderError
   * `overloaded`, `store_failed`.
   */
  async allowed(module: string, versions: readonly string[], ask: Ask): Promise<Allowed> {
    const allowed = new Set<string>();
    let until = Infinity;
    const left = versions.values();
    const checkNext = async () => {
      for (const version of left) {
        const opens = await this.#opens({ module, version }, ask);
        if (opens <= this.#parts.clock.now()) allowed.add(version);
        else until = Math.min(until, Number.isNaN(opens) ? -Infinity : opens);
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, checkNext));
    return { versions: versions.filter((version) => allowed.has(version)), until };
  }

  /** From when on a version may enter, milliseconds since the epoch: Infinity for never, NaN where that is not known. */
  async #opens(target: Required<GoTarget>, ask: Ask): Promise<number> {
    const { denied, minAgeMs } = this.#parts.policy.decide(target);
    if (denied !== undefined) return Infinity;
    if (minAgeMs === 0) return -Infinity;
    try {
      const { timeMs } = await this.#infoOf(target, ask);
      return timeMs === undefined ? Infinity : opensAt(timeMs, minAgeMs);
    } catch (error) {
      if (!(error instanceof LarderError) || isOwnTrouble(error)) throw error;
      return Number.NaN;
    }
  }

  /** What was purged may come again as something else. */
  forget(isPurged: (key: string) => boolean): void {
    for (const [id, { key }] of this.#known.entries()) if (isPurged(key)) this.#known.delete(id);
  }

  async #infoOf({ module, version = '' }: GoTarget, ask: Ask): Promise<Info & { isNew: boolean }> {
    const { pull, requestOf } = this.#parts;
    const id = `${module}@${version}`;
    const known = this.#known.get(id);
    if (known) return { ...known, isNew: false };
    const request = requestOf({ kind: 'file', module, version, ext: 'info' });
    const { body, outcome } = await pull.content(request, whole(ask));
    try {
      const info = parseInfo(await readAll(body.read(0, undefined, ask.signal), MAX_INFO));
      this.#known.set(id, { ...info, key: request.key });
      return { ...info, isNew: outcome === 'miss' };
    } finally {
      body.close();
    }
  }
}

/** The same for what is needed to judge: here now, or not at all. */
export function whole({ mode, why, signal }: Ask): Ask {
  return { mode: mode === 'none' || mode === 'async' ? 'none' : 'sync', why, signal };
}

const isOwnTrouble = ({ code }: LarderError): boolean =>
  code === 'overloaded' || code === 'store_failed';
