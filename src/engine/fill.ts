// One fetch on its way into the store: leased → fetching → verified → committed | failed.
// It belongs to nobody's connection: clients read from its spool, and neither cancel nor slow it.

import { createHash } from 'node:crypto';
import { LarderError, messageOf } from './errors.ts';
import { failedWith, leaseUnless } from './outcomes.ts';
import type {
  Admission,
  Body,
  ContentRecord,
  Entrant,
  Fetched,
  Lease,
  Listener,
  Lock,
  Outcome,
  Peers,
  Room,
  StashSource,
  Store,
} from './ports.ts';
import { Spool } from './spool.ts';
import { unseen } from './unseen.ts';

/** How long the last chunk may wait for a store to have the bytes in place. */
const PLACING_MS = 10;

/** Checks the bytes of one fill. */
export interface Check {
  /**
   * Called once, with all bytes. Throws LarderError `bad_content` or `checksum_mismatch`; what it resolves to is kept
   * in the record.
   */
  verify(source: StashSource, size: number, sha256: string): Promise<Record<string, string>>;
  /**
   * Called last: whether checked bytes go with what is stored already. Throws LarderError `bad_content`, and `store_failed`
   * where that cannot be found out: then they reach their readers, and are not kept.
   */
  compare?(sha256: string, extra: Readonly<Record<string, string>>): Promise<void>;
}

/** A piece of content that may be fetched: its name, and what its protocol knows of it. */
export interface ContentRequest {
  readonly key: string;
  /** Under which a failure is remembered: content that several may ask for, not all of whom get it, has several. */
  readonly failureKey: string;
  /** Whose cap of fills it counts against. */
  readonly upstream: string;
  /** More bytes than this are refused, before they come where the length is announced. */
  readonly maxBytes: number;
  /**
   * Gets it from an upstream. Throws LarderError. `leave` gives the place among that upstream's fills back early, for what
   * comes from elsewhere and is counted there.
   */
  fetch(signal: AbortSignal, leave: () => void): Promise<Fetched>;
  /** Length in bytes, where that is known of what is not stored, from whoever names it. Throws LarderError `store_failed`. */
  knownSize?(): Promise<number | undefined>;
  /** Its length in bytes as the upstream tells, without its bytes. */
  fetchSize(signal: AbortSignal): Promise<number | undefined>;
  /** Begins the check, so that what it needs from elsewhere comes side by side with the bytes. */
  beginCheck(signal: AbortSignal): Check;
  /** Who asks to come in with it, for whoever has a say on that. `source`: where it comes from. */
  entrant?(source: string): Entrant | undefined;
  /** Called when somebody leads a fill of it: the place for a read-ahead. */
  onFill?(): void;
  /** Called when the fill that it leads is over: whether what it fetched is in the store. */
  onEnd?(stored: boolean): void;
}

export interface FillPorts {
  readonly store: Store;
  readonly lock: Lock;
  /** Where replicas can reach each other. */
  readonly peers?: Peers | undefined;
  readonly listener: Required<Listener>;
  readonly admission?: Admission | undefined;
  /** Where the store is kept below a size. */
  readonly room?: Room | undefined;
  /** Waits for a place among the fills of this upstream; the result gives it back. Throws LarderError `overloaded`. */
  admit(upstream: string): Promise<() => void>;
  /** An existing folder. */
  readonly spoolDir: string;
  /** A whole fill, milliseconds. */
  readonly fillTimeoutMs: number;
  readonly now: () => number;
}

/** Bytes on their way in from another replica. Neither rejects. */
interface Copying {
  readonly done: Promise<boolean>;
  stop(): Promise<boolean>;
}

/** How far a fill is. */
export interface FillProgress {
  readonly key: string;
  readonly failureKey: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** That have come. */
  readonly bytes: number;
  /** Bytes in all, where that is known. */
  readonly size: number | undefined;
  /** Requests that wait for it or read it. */
  readonly readers: number;
}

export class Fill {
  /** Settles when the fill is over, the stash included. Never rejects. Whoever started it calls `forget` then. */
  readonly ended: Promise<void>;
  readonly #ports: FillPorts;
  readonly #request: ContentRequest;
  readonly #spool: Spool;
  readonly #startedAt: number;
  readonly #abort = new AbortController();
  readonly #disowned = new AbortController();
  #stashing: Promise<unknown> | undefined;
  /** Of all bytes in the spool. */
  readonly #hash = createHash('sha256');
  #announced: number | undefined;
  #record: ContentRecord | undefined;
  #error: unknown;
  /** Set when another holder of the lease has stored it meanwhile. */
  #present = false;
  #stored = false;
  /** Unset when the store cannot say what is there already. */
  #mayKeep = true;
  /** Set when the store had no room for it. */
  #hadNoRoom = false;

  constructor(ports: FillPorts, request: ContentRequest) {
    this.#ports = ports;
    this.#request = request;
    this.#spool = new Spool(ports.spoolDir);
    this.#startedAt = ports.now();
    this.ended = this.#run();
  }

  get key(): string {
    return this.#request.key;
  }

  /** In whose name it is fetched: as of its request. */
  get failureKey(): string {
    return this.#request.failureKey;
  }

  /** What it failed with; undefined while it runs and after it went well. */
  get error(): unknown {
    return this.#error;
  }

  /** What was checked, as soon as it is: before the store has it. */
  get record(): ContentRecord | undefined {
    return this.#record;
  }

  /** Whether its content is in the store now, and was not purged since. */
  get stored(): boolean {
    return this.#stored && !this.isDisowned;
  }

  /** Whether that is so by its own fetch: another holder of the lease may have stored it meanwhile. */
  get fetched(): boolean {
    return this.stored && !this.#present;
  }

  get progress(): FillProgress {
    return {
      key: this.#request.key,
      failureKey: this.#request.failureKey,
      startedAt: this.#startedAt,
      bytes: this.#spool.size,
      size: this.#record?.size ?? this.#announced,
      readers: this.#spool.readers,
    };
  }

  get isDisowned(): boolean {
    return this.#disowned.signal.aborted;
  }

  /**
   * Its name is purged: it goes on for those who wait for it alone, keeps nothing, and leaves the lease to whoever wants it
   * next. Resolves when no stash of it is under way: one that has begun ends first, so that what it stored is there to be
   * deleted. Never rejects.
   */
  async disown(): Promise<void> {
    this.#disowned.abort(new Error('its name is purged'));
    await this.#stashing;
  }

  /** This process stops: whoever waits here fails, and other replicas are told nothing but that it is their turn. */
  abandon(): void {
    this.#abort.abort(stopping());
  }

  /** Frees what it holds, as soon as the last reader closes: nobody joins after this. */
  forget(): void {
    this.#spool.close();
  }

  /**
   * The bytes, as soon as the first of them may be read. Throws what the fill fails with before that.
   * `record` is undefined while the bytes are still unchecked.
   */
  async join(signal: AbortSignal): Promise<{ body: Body; record: ContentRecord | undefined }> {
    const spool = this.#spool;
    spool.join();
    try {
      await spool.readable(signal);
    } catch (error) {
      spool.close();
      throw error;
    }
    const bytes = spool.bytes;
    const body: Body = {
      size: this.#record?.size ?? this.#announced,
      ...(bytes && { bytes }),
      read: (start, end, readSignal) => spool.read(start, end, readSignal),
      close: () => {
        spool.close();
      },
    };
    return { body, record: this.#record };
  }

  async #run(): Promise<void> {
    const timer = setTimeout(() => {
      this.#abort.abort(
        new LarderError('upstream_timeout', 'fetch timed out: it took longer than a fill may'),
      );
    }, this.#ports.fillTimeoutMs);
    try {
      await this.#leased();
    } catch (error) {
      this.#fail(error);
    } finally {
      clearTimeout(timer);
      this.#abort.abort(new LarderError('upstream_failed', 'the fill is over'));
      await this.#spool.release().catch((error: unknown) => {
        this.#ports.listener.storeFailed({ key: this.#request.key, operation: 'spool', error });
      });
    }
    this.#report(this.#ports.now() - this.#startedAt);
  }

  async #leased(): Promise<void> {
    const { peers } = this.#ports;
    let copying: Copying | undefined;
    const onHeld = (address: string) => {
      if (peers) copying ??= this.#copying(peers, address);
    };
    for (let isGone = false; ; isGone = true) {
      const lease = await this.#turn(onHeld, isGone);
      // who leads there goes on for its own clients, whoever holds the lease now
      const isCopied = await (this.isDisowned ? copying?.done : copying?.stop());
      if (lease !== undefined || this.isDisowned) {
        await this.#filled(lease, isCopied === true);
        return;
      }
      if (isCopied || (await this.#fetchStored())) {
        this.#present = this.#stored = true;
        return;
      }
    }
  }

  /**
   * The lease; undefined when another holder has stored it meanwhile, or when it is disowned. `isGone`: what was stored is
   * not there any more, whatever its record says.
   */
  async #turn(onHeld: (address: string) => void, isGone: boolean): Promise<Lease | undefined> {
    const { lock, store } = this.#ports;
    const { key, failureKey: scope } = this.#request;
    const signal = AbortSignal.any([this.#abort.signal, this.#disowned.signal]);
    const stored = async () => !isGone && (await store.record(key)) !== undefined;
    try {
      const lease = await leaseUnless(stored, lock, { key, scope, signal, onHeld });
      if (!this.isDisowned) return lease;
      await lease?.release();
    } catch (error) {
      if (error !== this.#disowned.signal.reason) throw error;
    }
    return undefined;
  }

  /** Brings what is not here yet, checks and keeps it. Without a lease it is for those who wait alone. */
  async #filled(lease: Lease | undefined, isCopied: boolean): Promise<void> {
    this.#disowned.signal.addEventListener('abort', () => {
      if (this.#stashing === undefined) void lease?.release();
    });
    let outcome: Outcome | undefined;
    try {
      if (!isCopied) await this.#admitted();
      await this.#stash(lease);
      if (this.#stored) outcome = { kind: 'stored' };
    } catch (error) {
      // its own clients do not wait until the others are told
      this.#fail(error);
      outcome = failedWith(error);
    } finally {
      await lease?.release(this.isDisowned ? undefined : outcome);
    }
  }

  /**
   * Takes the bytes from the replica that leads, as they come, until they end or it is stopped; both say whether all is
   * here. Where it breaks, the store or the upstream has the rest.
   */
  #copying(peers: Peers, address: string): Copying {
    const stopping = new AbortController();
    const signal = AbortSignal.any([stopping.signal, this.#abort.signal]);
    const done = this.#copy(peers, address, signal).catch(() => false);
    return {
      done,
      stop: () => {
        stopping.abort(new Error('the leader has ended'));
        return done;
      },
    };
  }

  /** True when all is here and is what the leader checked. */
  async #copy(peers: Peers, address: string, signal: AbortSignal): Promise<boolean> {
    const peer = await peers.open(address, this.#request.key, signal);
    this.#announced = peer.size;
    for await (const chunk of peer.body) await this.#take(chunk);
    await this.#spool.flushed();
    const checked = peer.record();
    if (checked.sha256 !== this.#hash.copy().digest('hex')) return false;
    this.#record = checked;
    this.#spool.complete();
    return true;
  }

  async #take(chunk: Uint8Array): Promise<void> {
    const size = this.#spool.size + chunk.length;
    this.#refuseAbove(size);
    // before any reader has more than its answer announces
    if (size > (this.#announced ?? Infinity)) throw this.#otherLength('more');
    this.#hash.update(chunk);
    await this.#spool.append(chunk);
  }

  async #admitted(): Promise<void> {
    const giveBack = await this.#ports.admit(this.#request.upstream);
    let left = false;
    const leave = () => {
      if (!left) giveBack();
      left = true;
    };
    try {
      await this.#fetchAndVerify(leave);
    } finally {
      leave();
    }
  }

  /**
   * Another holder of the lease has stored it: those who wait here share one look into the store. False when it is gone
   * again.
   */
  async #fetchStored(): Promise<boolean> {
    const { key } = this.#request;
    const found = await this.#ports.store.open(key);
    if (found === undefined) return false;
    const { record, body } = found;
    try {
      this.#announced ??= record.size;
      for await (const chunk of body.read(this.#spool.size, undefined, this.#abort.signal)) {
        // it is valid until the next one is asked for
        await this.#take(Uint8Array.from(chunk));
      }
      await this.#spool.flushed();
      if (this.#hash.digest('hex') !== record.sha256)
        throw new LarderError('store_failed', 'the store has other bytes than its record says');
    } finally {
      body.close();
    }
    this.#record = record;
    this.#spool.complete();
    return true;
  }

  #fail(error: unknown): void {
    this.#error = error;
    this.#spool.fail(error);
  }

  async #fetchAndVerify(leave: () => void): Promise<void> {
    const { signal } = this.#abort;
    const request = this.#request;
    const check = request.beginCheck(signal);
    const fetched = await request.fetch(signal, leave);
    const admitted = this.#admit(fetched.source);
    const announced = (this.#announced ??= fetched.size);
    this.#refuseAbove(fetched.size ?? 0);
    if (fetched.size !== undefined && fetched.size !== announced)
      throw this.#otherLength(String(fetched.size));
    // of bytes that a replica handed on before it went
    const before = { size: this.#spool.size, hash: this.#hash };
    const body = before.size === 0 ? fetched.body : unseen(fetched.body, before, otherBytes);
    for await (const chunk of body) await this.#take(chunk);
    await this.#spool.flushed();
    const { size } = this.#spool;
    if (size !== (announced ?? size)) throw this.#otherLength(String(size));
    const sha256 = this.#hash.digest('hex');
    const extra = await check.verify(this.#spool.source(), size, sha256);
    await admitted;
    const time = new Date(this.#ports.now()).toISOString();
    await this.#compare(check, { size, sha256, time, source: fetched.source, extra });
  }

  /** Asked side by side with the transfer; whoever is refused completes it for nobody. */
  #admit(source: string): Promise<void> | undefined {
    const { admission } = this.#ports;
    const entrant = admission && this.#request.entrant?.(source);
    const admitted = entrant && admission.admit(entrant, this.#abort.signal);
    admitted?.catch(() => undefined); // told when the bytes are there
    return admitted;
  }

  /** What is compared is known before, so that of two that belong together one sees the other. */
  async #compare(check: Check, record: ContentRecord): Promise<void> {
    this.#record = record;
    try {
      await check.compare?.(record.sha256, record.extra);
    } catch (error) {
      if (!(error instanceof LarderError) || error.code !== 'store_failed') {
        this.#record = undefined;
        throw error;
      }
      this.#mayKeep = false;
      this.#ports.listener.storeFailed({ key: this.#request.key, operation: 'check', error });
    }
  }

  #otherLength(sent: string): LarderError {
    return new LarderError(
      'upstream_failed',
      `the upstream announced ${String(this.#announced)} bytes and sent ${sent}`,
    );
  }

  #refuseAbove(bytes: number): void {
    if (bytes <= this.#request.maxBytes) return;
    throw new LarderError(
      'bad_content',
      `larger than the ${String(this.#request.maxBytes)} bytes that it may have`,
    );
  }

  /**
   * No client sees this fail, and none waits for a store that is full or slow: the last chunk goes out when the bytes are in
   * place, so that a kill right after an answer loses nothing, or after a moment.
   */
  async #stash(lease: Lease | undefined): Promise<void> {
    const letGo = () => {
      this.#spool.complete();
    };
    const moment = setTimeout(letGo, PLACING_MS);
    try {
      await this.#stashInRoom(lease);
    } finally {
      clearTimeout(moment);
      letGo();
    }
  }

  /** Whoever waits for room has begun no stash: it can still be disowned, and gives its lease back then. */
  async #stashInRoom(lease: Lease | undefined): Promise<void> {
    const { room } = this.#ports;
    const record = this.#record;
    const mayKeep = () => this.#mayKeep && lease?.lost.aborted === false && !this.isDisowned;
    if (lease === undefined || record === undefined || !mayKeep()) return;
    if (room === undefined) return this.#keep(record);
    const ends = [this.#abort.signal, this.#disowned.signal, lease.lost];
    const leave = await room.take(record.size, AbortSignal.any(ends));
    this.#hadNoRoom = leave === undefined;
    try {
      if (leave && mayKeep()) await this.#keep(record);
    } finally {
      leave?.();
    }
  }

  async #keep(record: ContentRecord): Promise<void> {
    const { store, listener } = this.#ports;
    const { key } = this.#request;
    const stashing = store.stash(key, this.#spool.source(), record);
    this.#stashing = stashing.catch(() => undefined);
    try {
      if ((await stashing) === 'stored') listener.added({ key, bytes: record.size });
    } catch (error) {
      listener.storeFailed({ key, operation: 'stash', error });
      return;
    }
    this.#stored = true;
    if (this.stored) listener.stored({ key, record });
  }

  #report(ms: number): void {
    const { key } = this.#request;
    const bytes = this.#spool.size;
    const isPurged = this.isDisowned && this.#error === undefined;
    if (this.stored || isPurged) {
      const outcome = isPurged ? 'purged' : 'stored';
      this.#ports.listener.fillEnded({ key, outcome, bytes, ms });
      return;
    }
    // without an error it reached its readers and could not be kept
    const unkept = this.#hadNoRoom ? 'overloaded' : 'store_failed';
    const error = this.#error ?? new LarderError(unkept, 'it could not be kept');
    const code = error instanceof LarderError ? error.code : messageOf(error);
    this.#ports.listener.fillEnded({ key, outcome: 'failed', code, bytes, ms });
  }
}

const stopping = () =>
  new LarderError('overloaded', 'Larder is stopping; try again', { retryAfterMs: 1000 });

const otherBytes = (): never => {
  throw new LarderError('upstream_failed', 'the upstream sends other bytes than it sent before');
};
