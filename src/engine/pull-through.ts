// The way of a request, once its protocol has a name for it:
//
//   look up in the store → hit: serve
//                        → miss: may it be fetched? → join or lead a fill → serve from the spool while it grows
//
// and for answers: fresh → serve; else ask the upstream, and fall back on what is held, by cause.
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
import type {
  Clock,
  ContentRecord,
  Lease,
  Listener,
  Lock,
  Outcome,
  Served,
  Store,
} from './ports.ts';
import { Runs } from './runs.ts';

/** Questions for something small under way at once; hits take no part. */
const QUESTIONS = { places: 256, maxWaiting: 4096, maxWaitMs: 30_000 };

/** How this one request may be answered. */
export interface Ask {
  /** Whether an upstream may be asked at all. */
  readonly fetch: boolean;
  /** Aborts when the client leaves. Read only where something is waited for. */
  readonly signal: AbortSignal;
}

export interface AnswerRequest {
  readonly key: string;
  readonly freshness: Freshness;
  /** Asks the upstream. Throws LarderError. */
  fetch(signal: AbortSignal): Promise<AnswerBytes>;
  /** What the store alone can say, when no upstream may or can be asked; without it, what an upstream said is held. */
  fallback?(): Promise<AnswerBytes | undefined>;
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
  }) {
    this.#store = parts.store;
    this.#lock = parts.lock;
    this.#answers = parts.answers;
    this.#fills = parts.fills;
    this.#failures = parts.failures;
    this.#listener = parts.listener;
    this.#clock = parts.clock;
    this.#tellExpired = parts.tellExpired ?? (() => Promise.resolve());
  }

  /** Content, from the store or through a fill. The caller closes the body. Throws LarderError. */
  async content(request: ContentRequest, ask: Ask): Promise<Served> {
    const { key, failureKey } = request;
    // whoever comes before the stash is done joins the fill, without a look into the store
    let fill = this.#fills.get(key);
    if (fill === undefined) {
      const stored = await this.#stored(key);
      if (stored) return stored;
      if (!ask.fetch) throw notCached();
      this.#failures.check(failureKey);
      fill = this.#fills.joinOrLead(request);
    }
    return { outcome: 'miss', ...(await this.#fills.join(fill, ask.signal)) };
  }

  /** The same for `HEAD`, which never fills: the body has a size, if known, and no bytes. */
  async head(request: ContentRequest, ask: Ask): Promise<Served> {
    const { key, failureKey } = request;
    const fill = this.#fills.get(key);
    if (fill) return { outcome: 'miss', ...(await this.#fills.join(fill, ask.signal)) };
    const stored = await this.#stored(key);
    if (stored) return stored;
    if (!ask.fetch) throw notCached();
    this.#failures.check(failureKey);
    const asked = this.#sizes.joinOrStart(key, () =>
      this.#question((signal) => request.fetchSize(signal)),
    );
    const size = await asked.result.catch((error: unknown) => {
      if (!asked.overtaken.aborted) this.#failures.remember(failureKey, error);
      throw error;
    });
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
  async answer(request: AnswerRequest, ask: Ask): Promise<ServedAnswer> {
    const { key, freshness } = request;
    // no answer that an upstream once gave tells what may be had without it
    if (!ask.fetch && request.fallback) return composed(await request.fallback());
    const known = this.#answers.peek(key);
    if (known && this.#isFresh(known, freshness)) return this.#serve('hit', known, freshness);
    const held = await this.#answers.read(key);
    if (held && this.#isFresh(held, freshness)) return this.#serve('hit', held, freshness);
    if (ask.fetch) return this.#revalidated(request, held);
    if (held) return this.#serve('stale', held, freshness);
    throw notCached();
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
    return stored && { ...stored, outcome: 'hit' };
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
    const { result } = this.#refreshes.joinOrStart(key, (overtaken) =>
      this.#refresh(request, held, overtaken),
    );
    if (held === undefined || verdict === 'expired') return result;
    result.catch((error: unknown) => {
      this.#listener.staleServed({ key, error });
    });
    return this.#serve('stale', held, freshness);
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
      if (!overtaken.aborted && (await this.#isKept(request.key, answer)))
        outcome = { kind: 'stored' };
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
  async #isKept(key: string, answer: Answer): Promise<boolean> {
    try {
      await this.#answers.keep(key, answer);
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
function composed(answer: AnswerBytes | undefined): ServedAnswer {
  if (answer === undefined) throw notCached();
  return { outcome: 'hit', body: memoryBody(answer.bytes), record: undefined, maxAgeMs: 0 };
}

const notCached = () =>
  new LarderError('not_cached', 'not in the store, and nothing may be fetched for this request');
