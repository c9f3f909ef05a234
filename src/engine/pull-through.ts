// The way of a request, once its protocol has a name for it:
//
//   look up in the store → hit: serve
//                        → miss: by its mode → join or lead a fill → serve from the spool while it grows
//
// and for answers: fresh → serve; else by its mode ask the upstream, and fall back on what is held, by cause.
// Whether the name may be asked for at all was decided before (policy.ts).
// The outcome word is decided here and nowhere else.

import { confirmed, type Answer, type AnswerBytes, type Answers } from './answers.ts';
import { LarderError } from './errors.ts';
import type { Failures } from './failures.ts';
import type { ContentRequest } from './fill.ts';
import type { Fills } from './fills.ts';
import { judge, mayServeStale, usableOnError, type Freshness } from './freshness.ts';
import { Slots } from './limits.ts';
import { headBody, memoryBody } from './memory-body.ts';
import { failedWith, leaseUnless } from './outcomes.ts';
import type { Mode } from './policy.ts';
import type {
  Body,
  Clock,
  ContentRecord,
  Lease,
  Listener,
  Lock,
  Outcome,
  Redirected,
  Served,
  Store,
} from './ports.ts';
import { Runs } from './runs.ts';
import type { Usage } from './usage.ts';

/** Questions for something small under way at once; hits take no part. */
const QUESTIONS = { places: 256, maxWaiting: 4096, maxWaitMs: 30_000 };

/** How this one request may be answered. */
export interface Ask {
  /** How a miss is handled. With `none` no upstream is asked for anything. */
  readonly mode: Mode;
  /** Why nothing may be fetched, in the words for a client, where the mode alone does not say it. */
  readonly why?: string | undefined;
  /** Aborts when the client leaves. Read only where something is waited for. */
  readonly signal: AbortSignal;
}

export interface AnswerRequest {
  readonly key: string;
  readonly freshness: Freshness;
  /** Asks the upstream. Throws LarderError. */
  fetch(signal: AbortSignal): Promise<AnswerBytes>;
  /** Writes what refers to what the answer names; it is kept after that. Throws LarderError `store_failed`. */
  references?(bytes: Uint8Array): Promise<void>;
  /** What the store alone can say, when no upstream may or can be asked; without it, what an upstream said is held. */
  fallback?(): Promise<AnswerBytes | undefined>;
}

/** What a client may get from the upstream by itself. */
export interface Redirectable {
  /** Where; undefined: it must come from here. Throws LarderError. */
  location(signal: AbortSignal): Promise<string | undefined>;
}

/** An answer that is served; `maxAgeMs` is how long it stays fresh. */
export interface ServedAnswer extends Served {
  readonly maxAgeMs: number;
}

export class PullThrough {
  readonly #store: Store;
  readonly #lock: Lock;
  readonly #answers: Answers;
  readonly #fills: Fills;
  readonly #failures: Failures;
  readonly #listener: Required<Listener>;
  readonly #clock: Clock;
  readonly #tellExpired: (key: string) => Promise<void>;
  readonly #usage: Usage;
  readonly #refreshes = new Runs<ServedAnswer>();
  readonly #sizes = new Runs<number | undefined>();
  readonly #questions = new Slots(QUESTIONS);
  readonly #closing = new AbortController();

  constructor(parts: {
    store: Store;
    lock: Lock;
    answers: Answers;
    fills: Fills;
    failures: Failures;
    listener: Required<Listener>;
    clock: Clock;
    /** Tells the other replicas of an answer that is out of date, as far as they can be told. */
    tellExpired?: (key: string) => Promise<void>;
    usage: Usage;
  }) {
    this.#store = parts.store;
    this.#lock = parts.lock;
    this.#answers = parts.answers;
    this.#fills = parts.fills;
    this.#failures = parts.failures;
    this.#listener = parts.listener;
    this.#clock = parts.clock;
    this.#tellExpired = parts.tellExpired ?? (() => Promise.resolve());
    this.#usage = parts.usage;
  }

  /** Content, from the store or through a fill. The caller closes the body. Throws LarderError. */
  async content(request: ContentRequest & Redirectable, ask: Ask): Promise<Served | Redirected>;
  async content(request: ContentRequest, ask: Ask): Promise<Served>;
  async content(
    request: ContentRequest & Partial<Redirectable>,
    ask: Ask,
  ): Promise<Served | Redirected> {
    const { key, failureKey } = request;
    // whoever comes before the stash is done joins the fill, without a look into the store
    let fill = waits(ask) ? this.#fills.get(key) : undefined;
    if (fill === undefined) {
      const stored = await this.#stored(key);
      if (stored) return stored;
      const redirected = await this.#unlessFetched(request, ask, () => {
        this.#fillBehind(request);
      });
      if (redirected) return redirected;
      this.#failures.check(failureKey);
      fill = this.#fills.joinOrLead(request);
    }
    return { outcome: 'miss', ...(await this.#fills.join(fill, ask.signal)) };
  }

  /** The same for `HEAD`, which never fills and is never redirected: the body has a size, if known, and no bytes. */
  async head(request: ContentRequest, ask: Ask): Promise<Served> {
    const { key, failureKey } = request;
    const fill = waits(ask) ? this.#fills.get(key) : undefined;
    if (fill) return { outcome: 'miss', ...(await this.#fills.join(fill, ask.signal)) };
    const stored = await this.#stored(key);
    if (stored) return stored;
    if (fromStoreAlone(ask)) throw notCached(ask);
    const known = await request.knownSize?.();
    // no hit: whoever waits for one waits for what is stored
    if (known !== undefined) return { outcome: 'miss', body: headBody(known), record: undefined };
    this.#failures.check(failureKey);
    const asking = async (overtaken: AbortSignal) => {
      try {
        return await this.#question((signal) => request.fetchSize(signal));
      } catch (error) {
        // before anybody who comes now can ask once more
        if (!overtaken.aborted) this.#failures.remember(failureKey, error);
        throw error;
      }
    };
    const size = await this.#sizes.joinOrStart(key, asking).result;
    return { outcome: 'miss', body: headBody(size), record: undefined };
  }

  /**
   * Brings content into the store, for whoever does not read it: true when it is there, false when it was fetched and could not be
   * kept. Throws LarderError.
   */
  async fill(request: ContentRequest): Promise<boolean> {
    const { key, failureKey } = request;
    let fill = this.#fills.get(key);
    if (fill === undefined) {
      if ((await this.#store.record(key)) !== undefined) return true;
      this.#failures.check(failureKey);
      fill = this.#fills.joinOrLead(request);
    }
    await fill.ended;
    if (fill.error !== undefined) throw fill.error as Error;
    return fill.stored;
  }

  /** An answer: fresh, refreshed, or as stale as its cause allows. Throws LarderError. */
  async answer(request: AnswerRequest & Redirectable, ask: Ask): Promise<ServedAnswer | Redirected>;
  async answer(request: AnswerRequest, ask: Ask): Promise<ServedAnswer>;
  async answer(
    request: AnswerRequest & Partial<Redirectable>,
    ask: Ask,
  ): Promise<ServedAnswer | Redirected> {
    const { key, freshness } = request;
    this.#usage.used(key);
    // no answer that an upstream once gave tells what may be had without it
    if (fromStoreAlone(ask) && request.fallback) return composed(await request.fallback(), ask);
    const known = this.#answers.peek(key);
    if (known && this.#isFresh(known, freshness)) return this.#serve('hit', known, freshness);
    const held = await this.#answers.read(key);
    if (held && this.#isFresh(held, freshness)) return this.#serve('hit', held, freshness);
    if (held && ask.mode === 'async') this.#refreshBehind(request, held);
    if (held && fromStoreAlone(ask)) return this.#serve('stale', held, freshness);
    const redirected = await this.#unlessFetched(request, ask, () => {
      this.#refreshBehind(request, held);
    });
    return redirected ?? this.#revalidated(request, held);
  }

  /** The record of content that is checked, whether it is in the store yet or on its way there. */
  async record(key: string): Promise<ContentRecord | undefined> {
    return this.#fills.get(key)?.record ?? (await this.#store.record(key));
  }

  /**
   * Makes the next request for an answer ask the upstream, as something has shown it to be out of date; not where it
   * `holds` all the same. Throws LarderError `store_failed`.
   */
  async expire(key: string, holds: (bytes: Uint8Array) => boolean): Promise<void> {
    // what a refresh under way will bring may hold, and nobody is to ask beside it
    await this.#refreshes.ended(key);
    const answer = this.#answers.peek(key) ?? (await this.#answers.read(key));
    if (answer && holds(answer.bytes)) return;
    this.#failures.forget(key);
    if (answer === undefined) return;
    await this.#answers.expire(key);
    await this.#tellExpired(key);
  }

  /**
   * Forgets all that is purged: what failed, answers in memory, and what is under way, which those who wait for it get all
   * the same. Resolves when nothing of that is being written any more: what was is there to be deleted. Throws LarderError
   * `store_failed`.
   */
  async forget(isPurged: (key: string) => boolean): Promise<void> {
    this.#refreshes.overtake(isPurged);
    this.#sizes.overtake(isPurged);
    this.#failures.forgetAll(isPurged);
    await Promise.all([this.#fills.disown(isPurged), this.#answers.forgetAll(isPurged)]);
  }

  /** Ends what runs for nobody. */
  close(): void {
    this.#closing.abort(new LarderError('overloaded', 'the server is stopping'));
    // whatever waits for a lease
    this.#refreshes.overtake(() => true);
  }

  async #stored(key: string): Promise<Served | undefined> {
    let stored = await this.#store.open(key);
    if (stored === undefined && this.#fills.wasJustStored(key))
      stored = await this.#store.open(key);
    if (stored === undefined) return undefined;
    this.#usage.used(key);
    const { body } = stored;
    // who reads out of memory misses nothing that goes
    if (body.bytes) return { ...stored, outcome: 'hit' };
    return { ...stored, outcome: 'hit', body: this.#read(key, body) };
  }

  /** The same body, known to be read until it is closed. */
  #read(key: string, body: Body): Body {
    const end = this.#usage.reading(key);
    return {
      size: body.size,
      read: (start, end, signal) => body.read(start, end, signal),
      close() {
        end();
        body.close();
      },
    };
  }

  /** What a miss gets that no client waits for; undefined: it is fetched while the client reads. Throws LarderError. */
  async #unlessFetched(
    request: Partial<Redirectable>,
    ask: Ask,
    fetchBehind: () => void,
  ): Promise<Redirected | undefined> {
    if (ask.mode === 'sync') return undefined;
    if (ask.mode === 'none') throw notCached(ask);
    if (ask.mode === 'async') {
      fetchBehind();
      throw notCached(ask);
    }
    const location = await request.location?.(ask.signal);
    // an upstream that clients cannot go to is served through
    if (location === undefined) return undefined;
    if (ask.mode === 'async_redirect') fetchBehind();
    return { outcome: 'redirect', location };
  }

  /** A fill that nobody waits for. Throws what is remembered as not there. */
  #fillBehind(request: ContentRequest): void {
    const failed = this.#failures.get(request.failureKey);
    if (failed?.code === 'not_found') throw failed;
    if (failed === undefined) this.#fills.joinOrLead(request);
  }

  /** A refresh that nobody waits for. Throws what is remembered as not there. */
  #refreshBehind(request: AnswerRequest, held: Answer | undefined): void {
    const { key } = request;
    const failed = this.#failures.get(key);
    if (failed?.code === 'not_found') throw failed;
    if (failed) return;
    this.#refreshed(request, held).catch((error: unknown) => {
      if (held) this.#listener.staleServed({ key, error });
    });
  }

  #isFresh(answer: Answer, freshness: Freshness): boolean {
    return judge(answer, freshness, this.#clock.now()) === 'fresh';
  }

  /** What the upstream says now, or what is held, where a check has failed just now or runs behind. */
  async #revalidated(request: AnswerRequest, held: Answer | undefined): Promise<ServedAnswer> {
    const { key, freshness } = request;
    const verdict = held ? judge(held, freshness, this.#clock.now()) : 'expired';
    if (held && verdict === 'failing') return this.#serve('stale', held, freshness);
    const failed = this.#failures.get(key);
    if (failed) return this.#onFailure(request, held, failed);
    if (held === undefined || verdict === 'expired') return this.#refreshed(request, held);
    this.#refreshBehind(request, held);
    return this.#serve('stale', held, freshness);
  }

  #refreshed(request: AnswerRequest, held: Answer | undefined): Promise<ServedAnswer> {
    const run = (overtaken: AbortSignal) => this.#refresh(request, held, overtaken);
    return this.#refreshes.joinOrStart(request.key, run).result;
  }

  /** One question among all that share the lock service: whoever comes meanwhile reads the answer it brings. */
  async #refresh(
    request: AnswerRequest,
    held: Answer | undefined,
    overtaken: AbortSignal,
  ): Promise<ServedAnswer> {
    const { key, freshness } = request;
    let answer: Answer | undefined;
    try {
      const brought = async () => {
        const read = await this.#answers.read(key);
        if (read && read.confirmedAt !== held?.confirmedAt) answer = read;
        return answer !== undefined;
      };
      const lease = await leaseUnless(brought, this.#lock, { key, scope: key, signal: overtaken })
        // asks for those who wait, without a lease
        .catch((error: unknown) => {
          if (error !== overtaken.reason) throw error;
        });
      if (lease) answer = await this.#leased(request, held, lease, overtaken);
      else if (overtaken.aborted) answer ??= await this.#asked(request, held);
    } catch (error) {
      if (!overtaken.aborted) {
        this.#failures.remember(key, error);
        if (held && error instanceof LarderError) await this.#note(key, held, error);
      }
      return await this.#onFailure(request, held, error);
    }
    if (answer === undefined)
      throw new LarderError('store_failed', 'the answer could not be kept; try again');
    return this.#serve(held ? 'revalidated' : 'miss', answer, freshness);
  }

  /** Asks the upstream under a lease, which goes to the next one as soon as this is overtaken. */
  async #leased(
    request: AnswerRequest,
    held: Answer | undefined,
    lease: Lease,
    overtaken: AbortSignal,
  ): Promise<Answer> {
    const giveBack = () => void lease.release();
    overtaken.addEventListener('abort', giveBack);
    if (overtaken.aborted) giveBack();
    let outcome: Outcome | undefined;
    try {
      const answer = await this.#asked(request, held);
      if (!overtaken.aborted && (await this.#isKept(request, answer))) outcome = { kind: 'stored' };
      return answer;
    } catch (error) {
      outcome = failedWith(error);
      throw error;
    } finally {
      await lease.release(overtaken.aborted ? undefined : outcome);
    }
  }

  /** What the upstream says now. Throws LarderError. */
  async #asked(request: AnswerRequest, held: Answer | undefined): Promise<Answer> {
    const fresh = await this.#question((signal) => request.fetch(signal));
    return confirmed(fresh, held, this.#clock.now());
  }

  /** Keeps an answer, in memory at least: whether the store has it. */
  async #isKept(request: AnswerRequest, answer: Answer): Promise<boolean> {
    const { key } = request;
    try {
      await this.#answers.keep(key, answer, () => request.references?.(answer.bytes));
      return true;
    } catch (error) {
      this.#listener.storeFailed({ key, operation: 'answer', error });
      return false;
    }
  }

  /** The upstream fails: what is held stands in, if the cause allows it and it is not too old. */
  async #onFailure(
    request: AnswerRequest,
    held: Answer | undefined,
    error: unknown,
  ): Promise<ServedAnswer> {
    const { key, freshness } = request;
    if (!(error instanceof LarderError)) throw error;
    if (mayServeStale(error.code)) {
      if (held && usableOnError(held, freshness, this.#clock.now())) {
        this.#listener.staleServed({ key, error });
        return this.#serve('stale', held, freshness);
      }
      const composed = await request.fallback?.();
      if (composed) {
        this.#listener.staleServed({ key, error });
        return {
          outcome: 'stale',
          body: memoryBody(composed.bytes),
          record: undefined,
          maxAgeMs: 0,
        };
      }
    }
    throw error;
  }

  /** Notes with what is held that a check failed. A store that cannot keep that changes nothing for the client. */
  async #note(key: string, held: Answer, { code }: LarderError): Promise<void> {
    try {
      // access that was withdrawn must not come back as a stale answer when the upstream is down later
      if (code === 'not_found' || code === 'upstream_forbidden' || code === 'upstream_unauthorized')
        await this.#answers.forget(key);
      // Larder's own trouble says nothing of the upstream
      else if (mayServeStale(code) && code !== 'overloaded')
        await this.#answers.markFailed(key, held, this.#clock.now());
    } catch (error) {
      this.#listener.storeFailed({ key, operation: 'answer', error });
    }
  }

  /** Asks an upstream for something small, as one of a bounded number. Throws LarderError `overloaded`. */
  async #question<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const leave = await this.#questions.take();
    try {
      this.#closing.signal.throwIfAborted();
      return await ask(this.#closing.signal);
    } finally {
      leave();
    }
  }

  #serve(outcome: Served['outcome'], answer: Answer, freshness: Freshness): ServedAnswer {
    const maxAgeMs =
      outcome === 'stale' ? 0 : answer.confirmedAt + freshness.ttlMs - this.#clock.now();
    return {
      outcome,
      body: memoryBody(answer.bytes),
      record: answer.record,
      maxAgeMs: Math.max(0, maxAgeMs),
    };
  }
}

/** What the store alone could say. */
function composed(answer: AnswerBytes | undefined, ask: Ask): ServedAnswer {
  if (answer === undefined) throw notCached(ask);
  return { outcome: 'hit', body: memoryBody(answer.bytes), record: undefined, maxAgeMs: 0 };
}

/** Whether a client waits for a fill that is under way. */
const waits = ({ mode }: Ask): boolean => mode === 'sync' || mode === 'none';

const fromStoreAlone = ({ mode }: Ask): boolean => mode === 'none' || mode === 'async';

/** What is told of something that is not stored, and that is not fetched while the client waits. */
export function notCached({ mode, why }: Pick<Ask, 'mode' | 'why'>): LarderError {
  if (mode === 'async')
    return new LarderError(
      'not_cached',
      'not in the store yet; it is fetched now: try again in a moment',
      { retryAfterMs: 1000 },
    );
  return new LarderError(
    'not_cached',
    `not in the store, and ${why ?? 'nothing may be fetched for this request'}`,
  );
}
