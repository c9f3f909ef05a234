// The engine's part of the composition: what pulls through, for either protocol.

import { RedisExpiries } from '../coordination/redis-expiries.ts';
import type { RedisService } from '../coordination/redis.ts';
import { Answers } from '../engine/answers.ts';
import { Failures } from '../engine/failures.ts';
import type { FillPorts } from '../engine/fill.ts';
import { Fills } from '../engine/fills.ts';
import type { Clock } from '../engine/ports.ts';
import { PullThrough } from '../engine/pull-through.ts';
import type { Usage } from '../engine/usage.ts';
import type { Config } from './config.ts';
import { deadline } from './duration.ts';

export interface PullParts extends Pick<
  FillPorts,
  'store' | 'lock' | 'peers' | 'listener' | 'admission' | 'room'
> {
  readonly redis: RedisService | undefined;
  readonly clock: Clock;
  readonly usage: Usage;
}

export interface Pulling {
  readonly answers: Answers;
  readonly fills: Fills;
  readonly pull: PullThrough;
}

/** The caller closes `pull`, and waits for the fills. */
export function composePull(config: Config, { redis, usage, ...parts }: PullParts): Pulling {
  const { store, lock, listener, clock } = parts;
  const failures = new Failures(clock, config.negativeTtlMs);
  const fills = new Fills(
    {
      ...parts,
      spoolDir: config.spoolDir,
      fillTimeoutMs: deadline(config.fillTimeoutMs),
      now: clock.now,
    },
    failures,
  );
  const answers = new Answers(store);
  const expiries =
    redis &&
    new RedisExpiries(redis, (key) => {
      answers.drop(key);
    });
  const pull = new PullThrough({
    store,
    lock,
    answers,
    fills,
    failures,
    listener,
    clock,
    usage,
    ...(expiries && { tellExpired: (key: string) => expiries.tell(key) }),
  });
  return { answers, fills, pull };
}
