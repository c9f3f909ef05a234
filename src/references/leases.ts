import { setImmediate as immediate } from 'node:timers/promises';
import type { Lease, Lock } from '../engine/ports.ts';

interface Wanted {
  readonly key: string;
  readonly scope: string;
}

/** The lease of a key, whatever the work before it told. Throws the signal's reason, and what the lock service throws. */
export async function leaseOf(
  lock: Lock,
  { key, scope }: Wanted,
  signal: AbortSignal,
): Promise<Lease> {
  for (;;) {
    const turn = await lock.acquire({ key, scope, signal });
    if (!('kind' in turn)) return turn;
    // an outcome is for those who want what the key stands for, and is passed on to all of them first
    await immediate();
  }
}

/** As `leaseOf`; undefined where its holder does not give it back in `waitMs` milliseconds. */
export async function leaseWithin(
  lock: Lock,
  { waitMs, ...wanted }: Wanted & { readonly waitMs: number },
): Promise<Lease | undefined> {
  const waiting = new AbortController();
  const timer = setTimeout(() => {
    waiting.abort(new Error('the lease was waited for too long'));
  }, waitMs);
  try {
    return await leaseOf(lock, wanted, waiting.signal);
  } catch (error) {
    if (waiting.signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
