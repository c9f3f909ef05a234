// The one connection to Redis. Redis is a convenience: what it does not answer within a moment is done without it, and
// nobody asks it again until a probe in the background has seen it take a write.

import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { messageOf } from '../engine/errors.ts';
import type { Listener } from '../engine/ports.ts';
import { RedisAway } from './redis-away.ts';
import { SCRIPTS } from './redis-scripts.ts';
import type { RedisTarget } from './redis-url.ts';

/** An answer that takes longer counts as none. Milliseconds. */
const LATE_MS = 250;
/** Between probes of a Redis that is away. */
const PROBE_MS = 500;
/** Longest wait for it at the start. */
const START_MS = 1000;

type Script = keyof typeof SCRIPTS;
type Client = Redis | Cluster;
type Run = (...args: (string | number)[]) => Promise<unknown>;

export interface RedisParts {
  readonly target: RedisTarget;
  /** Of all keys and channels. */
  readonly prefix: string;
  readonly listener: Pick<Required<Listener>, 'lockService'>;
}

export class RedisService {
  readonly prefix: string;
  readonly #listener: RedisParts['listener'];
  readonly #client: Client;
  readonly #subscriber: Client;
  readonly #handlers = new Map<string, (message: string) => void>();
  #up = true;
  /** Times that the subscriptions began. */
  #begun = 0;
  #probing: NodeJS.Timeout | undefined;

  private constructor({ target, prefix, listener }: RedisParts) {
    this.prefix = prefix;
    this.#listener = listener;
    this.#client = open(target, false);
    this.#subscriber = open(target, true);
    // every failure is met where a command waits for it
    for (const one of [this.#client, this.#subscriber]) one.on('error', () => undefined);
    this.#subscriber.on('ready', () => {
      this.#begun++;
    });
    this.#subscriber.on('message', (channel: string, message: string) => {
      this.#handlers.get(channel)?.(message);
    });
  }

  /** Resolves when Redis is there, or after a second without it. Close it. */
  static async open(parts: RedisParts): Promise<RedisService> {
    const service = new RedisService(parts);
    const until = Date.now() + START_MS;
    while (!(await service.#probe())) {
      if (Date.now() < until) {
        await sleep(20);
        continue;
      }
      service.#away('it cannot be reached');
      break;
    }
    return service;
  }

  /** Whether it is worth asking. */
  get up(): boolean {
    return this.#up;
  }

  /** Whether it can be used now, as far as is known without asking it. */
  get connected(): boolean {
    return this.#up && this.#client.status === 'ready';
  }

  /**
   * Whether messages come in: undefined while that is not known, and another number than before when some may have been
   * missed since.
   */
  get hearing(): number | undefined {
    // a cluster's client changes its connection without a word
    const isKnown = this.connected && this.#subscriber instanceof Redis;
    return isKnown && this.#subscriber.status === 'ready' ? this.#begun : undefined;
  }

  /**
   * Runs a script. Throws RedisAway. `late` gets a reply that comes when nobody waits for it any more.
   */
  async run(
    script: Script,
    args: (string | number)[],
    late?: (reply: unknown) => void,
  ): Promise<unknown> {
    if (!this.#up) throw new RedisAway('Redis is away');
    try {
      return await this.#inTime(script, args, late);
    } catch (error) {
      this.#away(messageOf(error));
      throw new RedisAway('Redis is away', { cause: error });
    }
  }

  /** From now on `handle` gets the messages of a channel; what is said while the connection is away is missed. */
  subscribe(channel: string, handle: (message: string) => void): void {
    this.#handlers.set(channel, handle);
    // subscribed anew by each new connection
    this.#subscriber.subscribe(channel).catch(() => undefined);
  }

  close(): void {
    clearTimeout(this.#probing);
    this.#client.disconnect();
    this.#subscriber.disconnect();
  }

  #script(script: Script, args: (string | number)[]): Promise<unknown> {
    // made by ioredis from its option `scripts`, which its types do not follow
    return (this.#client as unknown as Record<Script, Run>)[script](...args);
  }

  #inTime(script: Script, args: (string | number)[], late?: (reply: unknown) => void) {
    return new Promise<unknown>((resolve, reject) => {
      let waiting = true;
      const giveUp = () => {
        waiting = false;
        reject(new Error(`it did not answer within ${String(LATE_MS)} ms`));
      };
      // where this process was busy for so long, an answer may be there that was not yet read
      let timer = setTimeout(() => {
        timer = setTimeout(giveUp, 1);
      }, LATE_MS);
      this.#script(script, args).then(
        (reply) => {
          clearTimeout(timer);
          if (waiting) resolve(reply);
          else late?.(reply);
        },
        (error: unknown) => {
          clearTimeout(timer);
          reject(new Error(messageOf(error), { cause: error }));
        },
      );
    });
  }

  #away(reason: string): void {
    if (!this.#up) return;
    this.#up = false;
    this.#listener.lockService({ up: false, reason });
    this.#arm();
  }

  #arm(): void {
    this.#probing = setTimeout(() => {
      void this.#probe().then((there) => {
        if (there) {
          this.#up = true;
          this.#listener.lockService({ up: true });
        } else this.#arm();
      });
    }, PROBE_MS).unref();
  }

  #probe(): Promise<boolean> {
    return this.#inTime('larderProbe', [`${this.prefix}probe`]).then(
      () => true,
      () => false,
    );
  }
}

function open({ username, password, db, tls, kind }: RedisTarget, subscriber: boolean): Client {
  const options = {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls && { tls: {} }),
    db,
    connectionName: 'larder',
    connectTimeout: 2000,
    // of a connection on which nothing comes back any more
    socketTimeout: 5000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: subscriber,
    retryStrategy: backoff,
    scripts: SCRIPTS,
  };
  switch (kind.name) {
    case 'single':
      return new Redis({ ...options, ...kind.address });
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: [...kind.sentinels],
        name: kind.master,
        sentinelRetryStrategy: backoff,
      });
    case 'cluster':
      return new Cluster([...kind.nodes], {
        redisOptions: options,
        scripts: SCRIPTS,
        enableOfflineQueue: subscriber,
        clusterRetryStrategy: backoff,
      });
  }
}

const backoff = (tries: number) => Math.min(50 * tries, 1000);
