// A host behind the limits of src/http, with time that the test moves and answers that it writes down.

import { Patience } from '../../src/http/patience.ts';
import { attempt } from '../../src/http/retry.ts';
import type { Rate, SharedBuckets } from '../../src/http/token-bucket.ts';
import { UpstreamHost } from '../../src/http/upstream-host.ts';
import { recorder } from './engine.ts';
import { ManualTiming } from './manual-timing.ts';

/** What the host says to one request: a status, with headers or not, or the error by which it broke. */
export type Said =
  number | { readonly status: number; readonly headers: Record<string, string> } | Error;

export interface Asking {
  readonly rateWaitMs?: number;
  readonly firstByteMs?: number;
  readonly signal?: AbortSignal;
}

/** `turns`: what it says, in order; the last one counts for all that follow. */
export function limitedHost(
  turns: Said | readonly Said[],
  { rate, shared }: { rate?: Rate; shared?: SharedBuckets } = {},
) {
  const timing = new ManualTiming();
  const { listener, events } = recorder();
  const host = new UpstreamHost('host.test', {
    timing,
    rateOf: () => rate,
    shared,
    holds: true,
    listener,
  });
  const list = Array.isArray(turns) ? (turns as readonly Said[]) : [turns as Said];
  /** When each request was sent, milliseconds. */
  const sends: number[] = [];

  const once = async (patience: Patience, triesLeft: number) => {
    const pass = await host.turn(patience);
    const said = list[Math.min(sends.push(timing.now()), list.length) - 1];
    await Promise.resolve();
    if (said instanceof Error) {
      if (triesLeft > 0) pass.left();
      else pass.failed(said.message);
      throw said;
    }
    const { status, headers } =
      typeof said === 'object' ? said : { status: said ?? 200, headers: {} };
    pass.answered();
    host.note(status, headers);
    return { status };
  };

  /** Asks as the client does, and tells the status. */
  const ask = async ({ rateWaitMs = 0, firstByteMs = 60_000, signal }: Asking = {}) => {
    const late = () => new Error('too late');
    const patience = new Patience(timing, { firstByteMs, rateWaitMs, late, signal });
    try {
      const { status } = await attempt({
        timing,
        patience,
        tries: 3,
        isRepeatable: true,
        once: (triesLeft) => once(patience, triesLeft),
        waitMs: () => host.waitMs(),
        discard: () => undefined,
      });
      return status;
    } finally {
      patience.end();
    }
  };
  return { timing, host, sends, events, ask };
}
