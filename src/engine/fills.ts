import { LRUCache } from 'lru-cache';
import type { Failures } from './failures.ts';
import { Fill, type ContentRequest, type FillPorts, type FillProgress } from './fill.ts';
import { Slots, overloaded } from './limits.ts';

/** Caps. Hits take no part in any. */
const FILLS = { places: 256, maxWaiting: 4096, maxWaitMs: 30_000 };
const FILLS_PER_UPSTREAM = { places: 64, maxWaiting: 2048, maxWaitMs: 30_000 };
/** Requests that wait for a fill's first byte. */
const MAX_WAITING_REQUESTS = 8192;

/** Single flight for content: one fill a key, joined by whoever asks meanwhile. */
export class Fills {
  readonly #ports: FillPorts;
  readonly #failures: Failures;
  readonly #inFlight = new Map<string, Fill>();
  /** Nobody joins these any more. */
  readonly #disowned = new Set<Fill>();
  readonly #all = new Slots(FILLS);
  readonly #byUpstream = new Map<string, Slots>();
  /** Keys stored lately, for whoever looked into the store just before. */
  readonly #justStored = new LRUCache<string, true>({ max: 8192 });
  #waiting = 0;
  #stopped = false;

  constructor(ports: Omit<FillPorts, 'admit'>, failures: Failures) {
    this.#ports = { ...ports, admit: (upstream) => this.#admit(upstream) };
    this.#failures = failures;
  }

  get inFlight(): number {
    return this.#inFlight.size + this.#disowned.size;
  }

  get queued(): number {
    return this.#all.waiting;
  }

  /** Those under way, the oldest first. */
  progress(): FillProgress[] {
    const fills = [...this.#disowned, ...this.#inFlight.values()];
    return fills.map((fill) => fill.progress).sort((a, b) => a.startedAt - b.startedAt);
  }

  get(key: string): Fill | undefined {
    return this.#inFlight.get(key);
  }

  /** Whether a fill may have stored it while the caller looked for it: look again. */
  wasJustStored(key: string): boolean {
    return this.#justStored.has(key);
  }

  /** Joins the fill of this key, or leads one. Decided at once, so that two callers never both lead. */
  joinOrLead(request: ContentRequest): Fill {
    const running = this.#inFlight.get(request.key);
    if (running) return running;
    const fill = new Fill(this.#ports, request);
    if (this.#stopped) fill.abandon();
    this.#inFlight.set(request.key, fill);
    void fill.ended.then(() => {
      if (fill.stored) this.#justStored.set(request.key, true);
      else if (fill.error !== undefined && !fill.isDisowned)
        this.#failures.remember(request.failureKey, fill.error);
      request.onEnd?.(fill.fetched);
      if (!this.#disowned.delete(fill)) this.#inFlight.delete(request.key);
      fill.forget();
    });
    request.onFill?.();
    return fill;
  }

  /**
   * Fills of what is purged, or in the name of what is, go on for their clients alone; the next request leads one of its
   * own. Resolves when none of them is being stashed.
   */
  async disown(isPurged: (key: string) => boolean): Promise<void> {
    const purged = [...this.#inFlight.values(), ...this.#disowned].filter(
      ({ key, failureKey }) => isPurged(key) || isPurged(failureKey),
    );
    for (const fill of purged) {
      if (this.#inFlight.get(fill.key) === fill) this.#inFlight.delete(fill.key);
      this.#disowned.add(fill);
    }
    await Promise.all(purged.map((fill) => fill.disown()));
  }

  /** Waits for a fill's first bytes, as one of a bounded number. Throws LarderError. */
  async join(fill: Fill, signal: AbortSignal): ReturnType<Fill['join']> {
    if (this.#waiting >= MAX_WAITING_REQUESTS) throw overloaded();
    this.#waiting++;
    try {
      return await fill.join(signal);
    } finally {
      this.#waiting--;
    }
  }

  /** Gives up every fill that is not checked yet, and whatever comes still. Resolves when those under way are over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const fill of [...this.#inFlight.values(), ...this.#disowned]) fill.abandon();
    await this.settled();
  }

  /** Resolves when every fill under way is over. */
  async settled(): Promise<void> {
    await Promise.all([...this.#inFlight.values(), ...this.#disowned].map((fill) => fill.ended));
  }

  async #admit(upstream: string): Promise<() => void> {
    let mine = this.#byUpstream.get(upstream);
    if (mine === undefined) this.#byUpstream.set(upstream, (mine = new Slots(FILLS_PER_UPSTREAM)));
    const leaveMine = await mine.take();
    try {
      const leaveAll = await this.#all.take();
      return () => {
        leaveAll();
        leaveMine();
      };
    } catch (error) {
      leaveMine();
      throw error;
    }
  }
}
